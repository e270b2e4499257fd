# SPDX-License-Identifier: GPL-3.0-or-later
"""The energy of lone strokes by stem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.cli import main
from lars_plugin.errors import DatasetError
from lars_plugin.evaluation.strokes import lone_strokes, shares_of_stroke

Wave = NDArray[np.float32]
RATE = 44100


def test_only_strokes_with_60_ms_to_themselves_are_alone(tmp_path: Path) -> None:
    path = tmp_path / "onsets.csv"
    path.write_text(
        "onset,class\n0.5,kick\n1.0,ride\n1.05,hihat\n2.0,snare\n2.0,kick\n3.0,crash\n"
        "4.0,other\n4.03,hihat\n5.0,hihat\n"
    )
    assert lone_strokes(path) == [(0.5, "kick"), (3.0, "cymbals"), (5.0, "hihat")]


def test_a_file_without_classes_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "onsets.csv"
    path.write_text("time\n0.5\n")
    with pytest.raises(DatasetError, match="needs the columns onset and class"):
        lone_strokes(path)


def test_a_stem_has_the_share_of_what_it_gains_not_of_what_rings_on() -> None:
    ringing = np.full((2, RATE), 0.3, np.float32)
    struck = np.zeros((2, RATE), np.float32)
    struck[:, 20000:] = 0.1
    leak = np.zeros((2, RATE), np.float32)
    leak[:, 20000:] = 0.05
    shares = shares_of_stroke({"kick": ringing, "hihat": struck, "snare": leak}, RATE, 20000 / RATE)
    assert shares["kick"] == pytest.approx(0, abs=1e-3)
    assert shares["hihat"] == pytest.approx(0.8, abs=1e-3)
    assert shares["snare"] == pytest.approx(0.2, abs=1e-3)


def test_nothing_has_no_shares() -> None:
    assert shares_of_stroke({"kick": np.zeros((2, 9000), np.float32)}, RATE, 0.1) == {}


def test_the_command_prints_a_row_for_each_drum_that_is_struck_alone(
    tmp_path: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    drums = np.zeros((1, RATE), np.float32)
    t = np.arange(8000) / RATE
    drums[0, 10000:18000] = 0.8 * np.sin(2 * np.pi * 60 * t) * np.exp(-t / 0.05)
    write(tmp_path / "songs" / "one" / "drums.wav", drums)
    write(tmp_path / "songs" / "one" / "other.wav", 0 * drums)
    onset = 10000 / RATE
    (tmp_path / "songs" / "one" / "onsets.csv").write_text(f"onset,class\n{onset:.4f},kick\n")
    songs = str(tmp_path / "songs")
    assert main(["evaluate", songs, "-m", "lars-mini", "--preset", "fast", "--strokes"]) == 0
    title, _, header, row = capsys.readouterr().out.strip().splitlines()
    assert title.startswith("lars-mini: where the energy of lone strokes goes")
    assert header.split() == ["struck", "kick", "snare", "toms", "hihat", "cymbals", "strokes"]
    assert row.split()[0] == "kick"
    assert row.split()[-1] == "1"
    assert sum(map(float, row.split()[1:-1])) == pytest.approx(100, abs=3)


def test_clips_without_onsets_are_refused(clip_tree: Path) -> None:
    assert main(["evaluate", str(clip_tree), "-m", "lars-mini", "--strokes"]) == 1
