# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a built plugin for its system, with the licences: ``LARS-VERSION-SYSTEM.zip``.

    python scripts/plugin_archive.py build/juce dist

The same files give the same bytes: names are sorted, and times are those of SOURCE_DATE_EPOCH or
the last commit.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

from build_packages import epoch

ROOT = Path(__file__).parents[1]
BUNDLES = ("VST3/LARS.vst3", "AU/LARS.component", "LV2/LARS.lv2", "Standalone")
TEXTS = {
    "LICENSE": "LICENSE",
    "THIRD_PARTY.md": "THIRD_PARTY.md",
    # Of what JUCE takes into an AU.
    "Apache-2.0.txt": "bridge/licences/Apache-2.0.txt",
}


def version() -> str:
    """The package's, without importing it."""
    text = (ROOT / "lars_plugin" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    assert found is not None
    return found[1]


def system() -> str:
    """``linux-x86_64``, ``macos-universal``, ``windows-amd64`` …"""
    if sys.platform == "darwin":
        return "macos-universal"  # build_plugin.py builds for both kinds of Macs
    name = "windows" if sys.platform == "win32" else sys.platform
    return f"{name}-{platform.machine().lower()}"


def pack(archive: Path, sources: Mapping[str, Path]) -> Path:
    """Write a zip file of files and folders.

    Args:
        archive: to write.
        sources: names in the archive, and what is packed under them.
    """
    stamp = time.gmtime(max(int(epoch()), 315532800))[:6]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name, source in sorted(sources.items()):
            files = [source] if source.is_file() else sorted(p for p in source.rglob("*"))
            for path in files:
                if not path.is_file():
                    continue
                inside = Path(name, path.relative_to(source)).as_posix() if path != source else name
                info = zipfile.ZipInfo(inside, stamp)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
                target.writestr(info, path.read_bytes())
    return archive


def main() -> int:
    """Pack what was built."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("build", type=Path, help="CMake's build folder")
    parser.add_argument("out", type=Path, help="the folder for the archive")
    args = parser.parse_args()
    artefacts = args.build / "LARS_artefacts" / "Release"
    found = {bundle: artefacts / bundle for bundle in BUNDLES if (artefacts / bundle).exists()}
    if BUNDLES[0] not in found:
        print(f"no {artefacts / BUNDLES[0]}: build the plugin first", file=sys.stderr)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    found |= {name: ROOT / place for name, place in TEXTS.items()}
    print(pack(args.out / f"LARS-{version()}-{system()}.zip", found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
