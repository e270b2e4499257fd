# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and code of the README and docs/ run, and their links work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.cli import main
from lars_plugin.synthesis import random_kit

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
BLOCKS = [
    pytest.param(kind, code, id=f"{name}-{number}")
    for name, text in DOCUMENTS.items()
    for number, (kind, code) in enumerate(
        re.findall(r"^```(python|sh)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    )
]
PYTHON = [
    pytest.param(block.values[1], id=block.id) for block in BLOCKS if block.values[0] == "python"
]
SHELL = dict.fromkeys(
    line.split("  #")[0].strip()
    for kind, code in (map(str, block.values) for block in BLOCKS)
    if kind == "sh"
    for line in code.splitlines()
    # Training has no short form; tests/training runs it on a set of its own.
    if line.startswith("lars ") and not line.startswith("lars train ")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the examples name."""
    kit = random_kit(np.random.default_rng(3)).sounds
    wave = np.zeros(88200, np.float32)
    for index, stem in enumerate(["kick", "hihat", "snare", "hihat"] * 2):
        hit = next(iter(kit[stem].values()))[: 88200 - index * 11025]
        wave[index * 11025 : index * 11025 + len(hit)] += 0.3 * hit
    stereo = np.stack([wave, wave], axis=1)
    soundfile.write(tmp_path / "drums.wav", stereo, 44100)
    soundfile.write(tmp_path / "song.mp3", stereo, 44100, format="MP3")
    (tmp_path / "session").mkdir()
    soundfile.write(tmp_path / "session" / "take1.flac", stereo, 48000)
    clip = tmp_path / "clips" / "one"
    clip.mkdir(parents=True)
    for stem in ("kick", "snare", "toms", "hihat", "ride", "crash"):
        hit = next(iter(kit[stem].values()))[:44100]
        soundfile.write(clip / f"{stem}.wav", np.pad(0.3 * hit, (0, 44100 - len(hit))), 44100)
    song = tmp_path / "songs" / "one"
    song.mkdir(parents=True)
    soundfile.write(song / "drums.wav", stereo, 44100)
    soundfile.write(song / "other.wav", 0 * stereo, 44100)
    (song / "onsets.csv").write_text("onset,class\n0.0,kick\n0.25,hihat\n0.5,snare\n")
    return tmp_path


def run(command: list[str], cwd: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_examples_to_run() -> None:
    assert len(PYTHON) >= 2
    assert len(SHELL) >= 3


@pytest.mark.parametrize("code", PYTHON)
def test_python_examples_run(code: str, folder: Path) -> None:
    run([sys.executable, "-W", "error", "-c", code], folder)


@pytest.mark.parametrize("line", SHELL)
def test_command_lines_run(line: str, folder: Path) -> None:
    run(["bash", "-c", line], folder)


def test_links_to_files_lead_somewhere() -> None:
    targets = [
        (ROOT / name).parent / target
        for name, text in DOCUMENTS.items()
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    ]
    missing = [str(target) for target in targets if not target.exists()]
    assert targets
    assert missing == []


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(DOCUMENTS["README.md"].encode()) < 10500


def test_the_latency_table_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--latency-table"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| lars-")]
    assert len(rows) >= 8
    lines = DOCUMENTS["docs/live.md"].splitlines()
    shown = [line for line in lines if re.match(r"\| lars-[\w-]+ \| \d+ \|", line)]
    assert shown == rows
