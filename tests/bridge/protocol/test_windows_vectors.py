# SPDX-License-Identifier: GPL-3.0-or-later
"""The C++ side of the protocol, built for Windows by MinGW and run under Wine, reads and writes the
golden frames as it does here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "bridge" / "vectors"
# Debian: apt-get install --no-install-recommends g++-mingw-w64-x86-64-posix wine64 (1.1 GB).
COMPILER = shutil.which("x86_64-w64-mingw32-g++")
WINE = shutil.which("wine64") or shutil.which("wine64", path="/usr/lib/wine")


@pytest.mark.skipif(COMPILER is None, reason="no MinGW-w64")
@pytest.mark.skipif(WINE is None, reason="no Wine for programs of 64 bits")
def test_a_windows_program_agrees_with_every_golden_frame(tmp_path: Path) -> None:
    assert COMPILER is not None
    assert WINE is not None
    program = tmp_path / "vectors.exe"
    juce = ROOT / "bridge" / "juce"
    subprocess.run(
        [COMPILER, "-std=c++17", "-static", "-Wall", "-Wextra", "-Werror", "-I", juce / "source",
         juce / "tests/vectors.cpp", juce / "source/protocol/Wire.cpp", "-o", program],
        check=True,
    )  # fmt: skip
    index = json.loads((VECTORS / "vectors.json").read_text("utf-8"))
    entries = index["frames"] + index["refused"]
    done = subprocess.run(
        [WINE, program, *(VECTORS / entry["file"] for entry in entries)],
        # Its own Windows, without windows on a screen and without sound.
        env={**os.environ, "WINEPREFIX": str(tmp_path / "wine"), "WINEDEBUG": "-all",
             "WINEDLLOVERRIDES": "winemenubuilder.exe,mscoree,mshtml=", "DISPLAY": ""},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(entries)
    for entry, said in zip(entries, found, strict=True):
        if "why" in entry:
            assert "refused" in said, entry
        else:
            assert said == {"type": entry["type"], **entry["fields"]}, entry["file"]
