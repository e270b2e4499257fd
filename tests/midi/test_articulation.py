# SPDX-License-Identifier: GPL-3.0-or-later
"""Drums distinguished by their sounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.midi.analysis import analyse
from lars_plugin.midi.articulation import articulations, group_pitches, tom_pitch
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.transcribe import transcribe
from lars_plugin.midi.velocity import velocity_of
from lars_plugin.stems import Stems
from lars_plugin.synthesis import SAMPLE_RATE

Play = Callable[..., dict[str, NDArray[np.float32]]]


def found(play: Play, stem: str, kinds: list[str], seed: int) -> list[str]:
    """By rules, for strokes at known times."""
    hits = [DrumHit(0.1 + 0.9 * k, stem, kind, 100) for k, kind in enumerate(kinds)]
    wave = play(hits, seed, 0.9 * len(kinds) + 0.5)[stem]
    result = analyse(wave[None], SAMPLE_RATE, (stem,))
    frames = np.array([round(hit.time * SAMPLE_RATE / result.hop) for hit in hits])
    return articulations(result, 0, frames, wave)


@pytest.mark.parametrize("seed", range(3))
def test_open_hats_are_told_from_closed_ones(seed: int, play: Play) -> None:
    kinds = ["closed", "open", "closed", "closed", "open"]
    assert found(play, "hihat", kinds, seed) == kinds


@pytest.mark.parametrize("seed", range(3))
def test_three_toms_are_high_mid_and_low(seed: int, play: Play) -> None:
    kinds = ["high", "low", "mid", "high", "mid", "low"]
    assert found(play, "toms", kinds, seed) == kinds


@given(st.floats(60, 300), st.floats(0.0, 0.05))
def test_a_pitch_is_found_within_half_a_semitone(hertz: float, start: float) -> None:
    t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    wave = np.sin(2 * np.pi * hertz * t) * np.exp(-t * 8)
    pitch = tom_pitch(wave[None].astype(np.float32), SAMPLE_RATE, round(start * SAMPLE_RATE))
    assert abs(12 * np.log2(pitch / hertz)) < 0.6


def test_groups_follow_the_pitches_in_any_order() -> None:
    assert group_pitches([150, 80, 110, 152, 79]) == ["high", "low", "mid", "high", "low"]
    assert group_pitches([90, 180]) == ["low", "high"]
    assert group_pitches([80, 82]) == ["low", "low"]
    assert group_pitches([120]) == ["mid"]
    assert group_pitches([200, 210]) == ["high", "high"]


def test_two_crashes_that_sound_and_sit_apart_are_two() -> None:
    rng = np.random.default_rng(0)
    wave = np.zeros((2, 7 * SAMPLE_RATE), np.float32)
    times, wanted = [0.2, 1.2, 2.2, 3.2, 4.2], ["crash", "crash2", "crash", "crash", "crash2"]
    for time, kind in zip(times, wanted, strict=True):
        t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
        noise = rng.standard_normal(len(t)) * np.exp(-t * 12) * 0.2
        sides = (1.0, 0.1) if kind == "crash" else (0.1, 1.0)
        begin = round(time * SAMPLE_RATE)
        for side, gain in enumerate(sides):
            wave[side, begin : begin + len(t)] += (gain * noise).astype(np.float32)
    hits = transcribe(Stems({"crash": wave}, SAMPLE_RATE))
    assert [hit.articulation for hit in hits] == wanted


def test_a_tom_that_is_digital_silence_has_a_pitch_too() -> None:
    assert 60 < tom_pitch(np.zeros((2, 44100)), 44100.0, 0) < 300


@given(st.floats(-90, 6), st.floats(-90, 6), st.sampled_from(["log", "linear"]))
def test_velocities_never_fall_when_levels_rise(a: float, b: float, scale: str) -> None:
    low, high = sorted([a, b])
    one = velocity_of(low, 0.0, scale=scale)  # type: ignore[arg-type]
    two = velocity_of(high, 0.0, scale=scale)  # type: ignore[arg-type]
    assert 1 <= one <= two <= 127


def test_the_scales_are_those_of_the_documentation() -> None:
    assert velocity_of(-6.0, -6.0) == 127
    assert velocity_of(-46.0, -6.0) == 1
    assert velocity_of(-26.0, -6.0) == 64
    assert velocity_of(-6.0, 0.0, scale="linear") == 64  # half the amplitude


@pytest.mark.parametrize(
    "values",
    [
        (0.0, "cowbell", "", 100),
        (0.0, "snare", "bell", 100),
        (0.0, "snare", "", 0),
        (0.0, "snare", "", 128),
        (-1.0, "snare", "", 100),
        (float("nan"), "snare", "", 100),
    ],
)
def test_an_invalid_hit_is_refused(values: tuple[float, str, str, int]) -> None:
    with pytest.raises(InputError):
        DrumHit(*values)
