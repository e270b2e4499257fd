# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release says and lists.

python scripts/release_files.py check v0.2.0   # tag, version and changelog agree
python scripts/release_files.py notes v0.2.0   # the changelog's section, for people
python scripts/release_files.py sums release   # release/SHA256SUMS
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from plugin_archive import version

ROOT = Path(__file__).parents[1]
_SUMS = "SHA256SUMS"


def section(name: str, changelog: str) -> str:
    """The text below a version's heading; empty if there is none."""
    pattern = rf"^## \[?{re.escape(name)}(?![\w.])\]?[^\n]*\n(.*?)(?=^## |^\[|\Z)"
    found = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def problems(tag: str) -> list[str]:
    """Why there can be no release of this tag."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    cmake = (ROOT / "bridge" / "juce" / "CMakeLists.txt").read_text("utf-8")
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    found = []
    if tag != f"v{version()}":
        found.append(f"the tag is {tag}, the version in lars_plugin/__init__.py {version()}")
    heading = re.search(rf"^## \[?{re.escape(version())}\]?(.*)$", changelog, re.MULTILINE)
    if not section(version(), changelog):
        found.append(f"CHANGELOG.md has no section {version()}")
    elif heading is not None and not re.search(r"\d{4}-\d\d-\d\d", heading[1]):
        found.append(f"CHANGELOG.md gives no date for {version()}")
    if f"VERSION {version()} " not in cmake:
        found.append(f"bridge/juce/CMakeLists.txt has not the version {version()}")
    if not re.search(rf"^version: {re.escape(version())}$", citation, re.MULTILINE):
        found.append(f"CITATION.cff has not the version {version()}")
    return found


def write_sums(folder: Path) -> Path:
    """SHA-256 of every file, as ``sha256sum -c`` reads it."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name != _SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths]
    (folder / _SUMS).write_bytes("".join(lines).encode())
    return folder / _SUMS


def main() -> int:
    """Run one of the three."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("check", "notes", "sums"):
        print(__doc__, file=sys.stderr)
        return 2
    what, value = sys.argv[1:]
    if what == "sums":
        print(write_sums(Path(value)))
        return 0
    if what == "notes":
        text = section(value.removeprefix("v"), (ROOT / "CHANGELOG.md").read_text("utf-8"))
        print(text)
        return 0 if text else 1
    found = problems(value)
    for one in found:
        print(one, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
