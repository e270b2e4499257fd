# SPDX-License-Identifier: GPL-3.0-or-later
"""From chances to hits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.midi.heard import hits_in_mixture, hits_in_stems, strokes_heard
from lars_plugin.midi.picking import moments, peaks
from lars_plugin.midi.transcriber import Activations
from lars_plugin.networks.transcriber.config import GROUP_OF, GROUPS, STROKES

RATE = 44100
THRESHOLDS = dict.fromkeys(GROUPS, 0.4)
SIX = ("kick", "snare", "toms", "hihat", "ride", "crash")


def heard(*strokes: tuple[int, str, str, float], frames: int = 200) -> Activations:
    """A stroke's chance at a frame, half of it beside; velocity as the chance."""
    kinds = np.zeros((frames, len(STROKES)), np.float32)
    groups = np.zeros((frames, len(GROUPS)), np.float32)
    velocities = np.zeros((frames, len(GROUPS)), np.float32)
    for frame, stem, articulation, chance in strokes:
        group = GROUP_OF[stem]
        for place, share in ((frame - 1, 0.5), (frame, 1.0), (frame + 1, 0.5)):
            kind = STROKES.index((stem, articulation))
            kinds[place, kind] = max(kinds[place, kind], chance * share)
            groups[place, group] = max(groups[place, group], chance * share)
            velocities[place, group] = chance
    return Activations(kinds, groups, velocities, np.zeros((frames, 7, 12), np.float32))


def clicks(*times: float, seconds: float = 2.0) -> NDArray[np.float32]:
    wave = np.zeros((2, round(seconds * RATE)), np.float32)
    for time in times:
        begin = round(time * RATE)
        wave[:, begin : begin + 2000] = np.exp(-np.arange(2000) / 400) * 0.5
    return wave


def test_each_stroke_is_a_hit_with_its_name() -> None:
    activations = heard(*((10 + 12 * n, *stroke, 0.9) for n, stroke in enumerate(STROKES)))
    found = sorted(strokes_heard(activations, THRESHOLDS))
    assert [(stem, kind) for _, stem, kind, _, _ in found] == list(STROKES)
    np.testing.assert_allclose([time for time, *_ in found], 0.1 + 0.12 * np.arange(12), atol=1e-6)


def test_what_stays_below_the_threshold_is_none() -> None:
    activations = heard((20, "kick", "kick", 0.39), (60, "kick", "kick", 0.41))
    assert [round(time, 2) for time, *_ in strokes_heard(activations, THRESHOLDS)] == [0.6]


def test_confidence_is_a_half_at_the_threshold_and_one_at_most() -> None:
    activations = heard((20, "kick", "kick", 0.4), (60, "kick", "kick", 1.0))
    sure = [one[3] for one in strokes_heard(activations, THRESHOLDS)]
    assert sure == pytest.approx([0.5, 1.0])


def test_a_ride_and_a_crash_at_once_are_two_hits() -> None:
    activations = heard((50, "ride", "bow", 0.8), (50, "crash", "crash", 0.9))
    found = {(stem, kind) for _, stem, kind, _, _ in strokes_heard(activations, THRESHOLDS)}
    assert found == {("ride", "bow"), ("crash", "crash")}


def test_a_bell_is_no_second_ride() -> None:
    activations = heard((50, "ride", "bow", 0.8), (50, "ride", "bell", 0.9))
    found = [(stem, kind) for _, stem, kind, _, _ in strokes_heard(activations, THRESHOLDS)]
    assert found == [("ride", "bell")]


def test_the_stem_says_when_to_the_sample_and_how_loud() -> None:
    waves = np.zeros((6, 2, 2 * RATE), np.float32)
    waves[1] = clicks(0.507)
    (hit,) = hits_in_stems(waves, RATE, SIX, heard((50, "snare", "center", 0.9)), THRESHOLDS)
    assert hit.time == pytest.approx(0.507, abs=0.001)
    assert -20 < hit.level < -5


def test_an_attack_that_is_too_far_is_another() -> None:
    waves = np.zeros((6, 2, 2 * RATE), np.float32)
    waves[1] = clicks(0.47)
    (hit,) = hits_in_stems(waves, RATE, SIX, heard((50, "snare", "center", 0.9)), THRESHOLDS)
    assert hit.time == pytest.approx(0.5, abs=1e-6)


def test_five_stems_have_their_rides_and_crashes_among_the_cymbals() -> None:
    five = ("kick", "snare", "toms", "hihat", "cymbals")
    activations = heard((30, "ride", "bell", 0.9), (90, "crash", "crash", 0.9))
    hits = hits_in_stems(
        np.zeros((5, 2, 2 * RATE), np.float32), RATE, five, activations, THRESHOLDS
    )
    assert [(hit.stem, hit.articulation) for hit in hits] == [
        ("cymbals", "bell"),
        ("cymbals", "crash"),
    ]


def test_strokes_whose_stem_is_not_there_are_left_out() -> None:
    activations = heard((30, "toms", "low", 0.9), (90, "kick", "kick", 0.9))
    hits = hits_in_stems(np.zeros((1, 2, 2 * RATE), np.float32), RATE, ("kick",), activations,
                         THRESHOLDS)  # fmt: skip
    assert [hit.stem for hit in hits] == ["kick"]


def test_without_stems_velocities_are_those_that_were_heard() -> None:
    activations = heard((30, "snare", "center", 0.5), (90, "snare", "center", 1.0))
    hits = hits_in_mixture(clicks(0.3, 0.9), RATE, activations, THRESHOLDS)
    assert [hit.velocity for hit in hits] == [64, 127]


@given(
    chances=st.lists(st.floats(0, 1, width=32), max_size=60),
    threshold=st.floats(0.05, 0.95),
)
def test_peaks_are_apart_above_the_threshold_and_their_moments_near(
    chances: list[float], threshold: float
) -> None:
    curve = np.array(chances, np.float32)
    frames = peaks(curve, threshold)
    assert (np.diff(frames) > 3).all()
    assert (curve[frames] >= threshold).all()
    assert (np.abs(moments(curve, frames) - frames) <= 2).all()
    if len(curve) and curve.max() >= threshold:
        assert len(frames)


@given(chances=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40))
def test_hits_lie_inside_the_recording_in_order(chances: list[float]) -> None:
    groups = np.tile(np.array(chances, np.float32)[:, None], (1, 5))
    kinds = np.tile(groups[:, :1], (1, 12))
    activations = Activations(kinds, groups, groups, np.zeros((len(groups), 7, 12), np.float32))
    waves = np.zeros((6, 1, len(groups) * 441), np.float32)
    hits = hits_in_stems(waves, RATE, SIX, activations, THRESHOLDS)
    assert hits == sorted(hits)
    assert all(0 <= hit.time <= len(groups) / 100 for hit in hits)
