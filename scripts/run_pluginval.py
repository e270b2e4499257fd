# SPDX-License-Identifier: GPL-3.0-or-later
"""Run pluginval, at its strictest, on a built plugin.

    python scripts/run_pluginval.py build/juce                     # pluginval of the PATH
    python scripts/run_pluginval.py build/juce --fetch             # its published program

The plugin is asked without an engine, as on a machine where LARS was just installed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = "v1.0.4"
ADDRESS = "https://github.com/Tracktion/pluginval/releases/download/{}/pluginval_{}.zip"
STRICTNESS = "10"
PROGRAMS = {
    "linux": ("Linux", "pluginval"),
    "darwin": ("macOS", "pluginval.app/Contents/MacOS/pluginval"),
    "win32": ("Windows", "pluginval.exe"),
}
# SHA-256 of the archives, as Homebrew (macOS) and several projects on GitHub pin them too.
SUMS = {
    "Linux": "c01c49d8063965c4c2dea8324468336768f5c9139e0b1caebde14c2400b55352",
    "macOS": "3c4c533bda0c5059eea3ddaea752d757ee2025041f0f47e6bcb0e87f6082b29f",
    "Windows": "c08e61ce3b96db41636f8ec7e76f4c7e2c13ebdac7fa1b5a1f52b4f32ec715ab",
}


def fetch(folder: Path) -> Path:
    """The published program for this system."""
    name, program = PROGRAMS[sys.platform]
    with urllib.request.urlopen(ADDRESS.format(VERSION, name), timeout=120) as answer:
        data = answer.read()
    found = hashlib.sha256(data).hexdigest()
    if found != SUMS[name]:
        raise SystemExit(f"pluginval_{name}.zip {VERSION} is not what was pinned: {found}")
    archive = zipfile.ZipFile(io.BytesIO(data))
    folder.mkdir(parents=True, exist_ok=True)
    archive.extractall(folder)
    (folder / program).chmod(0o755)
    return folder / program


def main() -> int:
    """Returns what pluginval returned for the first plugin that failed, or 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("build", type=Path, help="CMake's build folder")
    parser.add_argument("--fetch", action="store_true", help="get pluginval")
    args = parser.parse_args()
    program = fetch(ROOT / "build" / "pluginval") if args.fetch else shutil.which("pluginval")
    if program is None:
        print("no pluginval on the PATH; use --fetch", file=sys.stderr)
        return 2
    artefacts = args.build / "LARS_artefacts" / "Release"
    plugins = [artefacts / "VST3" / "LARS.vst3", artefacts / "AU" / "LARS.component"]
    plugins = [path for path in plugins if path.exists()]
    if not plugins:
        print(f"no plugin in {artefacts}: build it first", file=sys.stderr)
        return 2
    command = [str(program), "--strictness-level", STRICTNESS, "--timeout-ms", "120000"]
    if sys.platform == "linux" and not os.environ.get("DISPLAY") and shutil.which("xvfb-run"):
        command = ["xvfb-run", "--auto-servernum", *command]
    for path in plugins:
        code = subprocess.run([*command, "--validate", str(path.resolve())]).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
