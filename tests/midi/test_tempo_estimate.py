# SPDX-License-Identifier: GPL-3.0-or-later
"""Beats followed by librosa; without it, an error that says what to install."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lars_plugin.errors import InputError
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.tempo import estimate_tempo


def rock(bpm: float, bars: int = 8) -> list[DrumHit]:
    beat = 60 / bpm
    hits = []
    for index in range(bars * 8):
        time = 0.2 + index * beat / 2
        hits.append(DrumHit(time, "hihat", velocity=70))
        if index % 4 == 0:
            hits.append(DrumHit(time, "kick", velocity=120))
        if index % 4 == 2:
            hits.append(DrumHit(time, "snare", velocity=110))
    return hits


@pytest.mark.filterwarnings("default")  # librosa's own business
@pytest.mark.parametrize("bpm", [127.3])
def test_the_map_follows_a_steady_beat(bpm: float) -> None:
    pytest.importorskip("librosa")
    hits = rock(bpm)
    tempo = estimate_tempo(hits)
    beats = np.array([tempo.beat_at(hit.time) for hit in hits if hit.stem == "kick"])
    steps = np.diff(beats[1:-1])
    # Kicks fall on every second beat, or on every beat at half the tempo.
    assert np.allclose(steps, round(float(steps.mean())), atol=0.06)
    assert np.abs(beats[1:-1] - np.round(beats[1:-1])).max() < 0.06


def test_too_few_hits_are_refused() -> None:
    pytest.importorskip("librosa")
    with pytest.raises(InputError, match="too few"):
        estimate_tempo([DrumHit(0.0, "kick")])


def test_without_librosa_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(InputError, match=r"lars-plugin\[midi\]"):
        estimate_tempo(rock(100))
