# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring constraints.txt, the lock file of development, to the newest versions.

    python scripts/update_constraints.py           # say what would change
    python scripts/update_constraints.py --write   # change it; then run `make test`

pip resolves the package with its extra ``dev`` anew, without constraints and for this Python.
Comments and markers stay; what nothing needs any more goes, and what is new comes in.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "constraints.txt"
# Chosen by hand: stems are compared to the bit with it.
KEPT = ("torch",)


def normal(name: str) -> str:
    """A name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def newest() -> dict[str, tuple[str, str]]:
    """Normal name to name and version of what pip would install."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet",
         "--report", "-", f"{ROOT}[dev]"],
        env={**os.environ, "PIP_CONSTRAINT": ""},
        stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    entries = [entry["metadata"] for entry in json.loads(done.stdout)["install"]]
    return {normal(one["name"]): (one["name"], one["version"].split("+")[0]) for one in entries}


def updated(text: str, found: Mapping[str, tuple[str, str]]) -> str:
    """The new text of the file.

    Args:
        text: the old one.
        found: see :func:`newest`.
    """
    lines, seen = [], set()
    for line in text.splitlines():
        match = re.fullmatch(r"([\w.-]+)==([^\s;]+)(.*)", line)
        if match is None:
            lines.append(line)
            continue
        key = normal(match[1])
        seen.add(key)
        # What only other Pythons or systems need is not among the packages found here.
        if key in KEPT or (key not in found and match[3]):
            lines.append(line)
        elif key in found:
            lines.append(f"{match[1]}=={found[key][1]}{match[3]}")
    comments = [line for line in lines if not line or line.startswith("#")]
    pins = [line for line in lines if line not in comments]
    pins += [f"{name}=={new}" for key, (name, new) in found.items()
             if key not in seen and key != "lars-plugin"]  # fmt: skip
    return "\n".join([*comments, *sorted(pins, key=str.lower)]) + "\n"


def main() -> int:
    """1 if something would change and nothing was written."""
    old = FILE.read_text("utf-8")
    new = updated(old, newest())
    before, after = set(old.splitlines()), set(new.splitlines())
    for line in sorted(before ^ after, key=str.lower):
        print("-" if line in before else "+", line)
    if "--write" in sys.argv[1:]:
        FILE.write_text(new, "utf-8")
        return 0
    return 1 if before != after else 0


if __name__ == "__main__":
    sys.exit(main())
