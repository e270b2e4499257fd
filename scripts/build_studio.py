# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the studio's page from ``studio/`` into ``lars_plugin/studio/web``, if npm is there.

A build hook of hatchling, so that every wheel and editable installation has the page, and a
script: ``python scripts/build_studio.py``. What is built already from the same sources stays.
Without npm, or with one of an older Node.js, the rest of the package is built all the same, and a
line says what is missing. A build that fails where npm is there is an error.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    Hook = BuildHookInterface[BuilderConfig]
else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface as Hook
    except ImportError:  # run as a script, where hatchling need not be
        Hook = object

STAMP = ".built-from"
OLDEST = 18  # Node.js that Vite needs


def build(root: Path) -> str:
    """Build the page below a checkout.

    Returns:
        A line about what is missing to build it, or nothing.

    Raises:
        RuntimeError: the build fails; says why.
    """
    sources, web = root / "studio", root / "lars_plugin" / "studio" / "web"
    if not (sources / "package-lock.json").is_file():
        return (
            ""
            if (web / "index.html").is_file()
            else "the sources of the studio's page are not here"
        )
    digest = _digest(sources)
    stamp = web / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return ""
    npm = shutil.which("npm")
    if npm is None or _node() < OLDEST:
        return (
            f"no npm of Node.js {OLDEST} or newer: the page of `lars studio` is not built;"
            " install it and run python scripts/build_studio.py"
        )
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    commands = [["ci", *quiet], ["run", "--silent", "build", "--", "--logLevel", "warn"]]
    for command in commands:
        done = subprocess.run(
            [npm, *command], cwd=sources, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
            raise RuntimeError(
                f"the page of `lars studio` is not built: npm {command[0]} failed: {reason[0]}"
            )
    stamp.write_text(digest, encoding="utf-8")
    return ""


def _node() -> int:
    """The version of Node.js, or 0."""
    node = shutil.which("node")
    if node is None:
        return 0
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = done.stdout.strip().removeprefix("v").split(".")[0]
    return int(major) if major.isdigit() else 0


def _digest(sources: Path) -> str:
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(sources):
        folders[:] = sorted(name for name in folders if name != "node_modules")
        for name in sorted(files):
            path = Path(folder, name)
            digest.update(path.relative_to(sources).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


class StudioHook(Hook):
    """Runs before every build of a wheel, an editable installation or a source archive."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """See :func:`build`."""
        missing = build(Path(self.root))
        if missing:
            self.app.display_warning(missing)


def main(root: Path) -> int:
    """Build, and say what is missing; the exit code is 1 only where the build fails."""
    try:
        missing = build(root)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if missing:
        print(missing)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[1]))
