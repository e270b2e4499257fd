# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the studio's page from ``studio/`` into ``lars_plugin/studio/web``, if npm is there.

A build hook of hatchling, so that every wheel and editable installation has the page, and a
script: ``python scripts/build_studio.py``. What is built already from the same sources stays.
Without npm the rest of the package is built all the same, and a line says what is missing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, where hatchling need not be
    # A class in the place of another: types have no word for a module that may be missing.
    BuildHookInterface = object  # type: ignore[assignment,misc]

STAMP = ".built-from"


def build(root: Path) -> str:
    """Build the page below a checkout; returns a line about what is missing, or nothing."""
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
    if npm is None:
        return (
            "no npm: the page of `lars studio` is not built; install Node.js 18 or newer with npm"
            " and run python scripts/build_studio.py"
        )
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    commands = [["ci", *quiet], ["run", "--silent", "build", "--", "--logLevel", "warn"]]
    for command in commands:
        done = subprocess.run(
            [npm, *command], cwd=sources, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
            return f"the page of `lars studio` is not built: npm {command[0]} failed: {reason[0]}"
    stamp.write_text(digest, encoding="utf-8")
    return ""


def _digest(sources: Path) -> str:
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(sources):
        folders[:] = sorted(name for name in folders if name != "node_modules")
        for name in sorted(files):
            path = Path(folder, name)
            digest.update(path.relative_to(sources).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


# Its parameter is the builder's configuration, which the hook does not read, and which `object` of
# the line above could not take.
class StudioHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before every build of a wheel, an editable installation or a source archive."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """See :func:`build`."""
        missing = build(Path(self.root))
        if missing:
            self.app.display_warning(missing)


if __name__ == "__main__":
    problem = build(Path(__file__).resolve().parents[1])
    if problem:
        print(problem)
        sys.exit(1)
