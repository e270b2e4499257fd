# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example runs as it stands, without arguments, and says something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(script: Path, folder: Path, *arguments: str) -> str:
    """Run in a folder of its own, from this checkout whatever is installed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples() -> None:
    assert {"pedalboard_node.py", "pedalboard_remix.py", "pedalboard_stream.py"} <= {
        path.name for path in EXAMPLES
    }


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(script: Path, tmp_path: Path) -> None:
    said = run(script, tmp_path)
    assert said.strip()
    for line in said.splitlines():
        if line.endswith(".wav"):
            audio, _ = soundfile.read(tmp_path / line)
            assert np.isfinite(audio).all()
            assert np.abs(audio).max() > 0.01


def test_an_example_takes_a_file(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).uniform(-0.3, 0.3, (24001, 1))
    soundfile.write(tmp_path / "mine.flac", audio, 48000)
    for script in ("pedalboard_remix.py", "pedalboard_stream.py"):
        written = run(ROOT / "examples" / script, tmp_path, "mine.flac").splitlines()[-1]
        info = soundfile.info(tmp_path / written)
        assert (info.frames, info.samplerate, info.channels) == (24001, 48000, 1)
