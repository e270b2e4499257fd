# SPDX-License-Identifier: GPL-3.0-or-later
"""The C++ side reads and writes the golden frames as the Python side does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

VECTORS = Path(__file__).parents[2] / "bridge" / "vectors"


def test_cpp_agrees_with_every_golden_frame(build: Path) -> None:
    index = json.loads((VECTORS / "vectors.json").read_text("utf-8"))
    entries = index["frames"] + index["refused"]
    assert {entry["file"] for entry in entries} == {path.name for path in VECTORS.glob("*.bin")}
    done = subprocess.run(
        [build / "tests" / "lars_vectors", *(VECTORS / entry["file"] for entry in entries)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(entries)
    for entry, said in zip(entries, found, strict=True):
        if "why" in entry:
            assert "refused" in said, entry
        else:
            assert said == {"type": entry["type"], **entry["fields"]}, entry["file"]
