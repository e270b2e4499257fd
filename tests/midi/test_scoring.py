# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs, counts, correlations and thresholds."""

from __future__ import annotations

import math

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.midi.scoring import (
    ClassScore,
    Stroke,
    add_scores,
    match,
    named_pairs,
    score_hits,
)

TIMES = st.lists(st.floats(0, 2), max_size=7).map(sorted)


def most_pairs(truth: list[float], found: list[float], tolerance: float) -> int:
    """By augmenting paths: slow, but correct for any graph."""
    taken: dict[int, int] = {}

    def augment(i: int, seen: set[int]) -> bool:
        for j, time in enumerate(found):
            if abs(time - truth[i]) <= tolerance and j not in seen:
                seen.add(j)
                if j not in taken or augment(taken[j], seen):
                    taken[j] = i
                    return True
        return False

    return sum(augment(i, set()) for i in range(len(truth)))


@given(TIMES, TIMES, st.sampled_from([0.03, 0.05, 0.4]))
def test_a_match_has_as_many_pairs_as_possible(
    truth: list[float], found: list[float], tolerance: float
) -> None:
    pairs = match(truth, found, tolerance)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(abs(truth[i] - found[j]) <= tolerance for i, j in pairs)
    assert len(pairs) == most_pairs(truth, found, tolerance)


# Whole milliseconds, and a tolerance between two: whether rounding leaves a pair at its very edge
# is not the question here. mir_eval rounds to 0.1 ms.
EVENTS = st.lists(st.integers(0, 2000), max_size=40).map(
    lambda ms: [one / 1000 for one in sorted(ms)]
)
EDGES = st.sampled_from([0.0305, 0.0505, 0.4005])


@pytest.mark.filterwarnings("ignore:.*are empty:UserWarning")
@given(EVENTS, EVENTS, EDGES)
def test_precision_recall_and_f_are_those_of_mir_eval(
    truth: list[float], found: list[float], tolerance: float
) -> None:
    pairs = len(match(truth, found, tolerance))
    one = ClassScore(pairs, len(truth) - pairs, len(found) - pairs)
    # What is not defined is NaN here and 0 there.
    ours = np.nan_to_num([one.precision, one.recall, one.f_measure])
    f, precision, recall = mir_eval.onset.f_measure(
        np.asarray(truth), np.asarray(found), window=tolerance
    )
    assert ours == pytest.approx([precision, recall, f], abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*are empty:UserWarning")
@given(EVENTS, EVENTS, EDGES)
def test_scores_of_a_clip_are_those_of_mir_eval_for_notes_without_offsets(
    truth: list[float], found: list[float], tolerance: float
) -> None:
    def apart(times: list[float]) -> list[float]:
        """Without flams, which count once here."""
        kept: list[float] = []
        for time in times:
            if not kept or time - kept[-1] > 0.0305:
                kept.append(time)
        return kept

    def intervals(times: list[float]) -> NDArray[np.float64]:
        return np.array([[time, time + 0.1] for time in times]).reshape(-1, 2)

    truth, found = apart(truth), apart(found)
    played, heard = ([Stroke(time, "snare", 100) for time in times] for times in (truth, found))
    one = score_hits(played, heard, tolerance)["snare"]
    ours = np.nan_to_num([one.precision, one.recall, one.f_measure])
    wanted = mir_eval.transcription.onset_precision_recall_f1(
        intervals(truth), intervals(found), onset_tolerance=tolerance
    )
    assert ours == pytest.approx(wanted, abs=1e-12)


def test_counts_timing_and_velocities_are_those_of_the_pairs() -> None:
    truth = [Stroke(1.0, "kick", 100), Stroke(2.0, "kick", 50), Stroke(3.0, "kick", 60)]
    found = [Stroke(1.01, "kick", 90), Stroke(2.03, "kick", 40), Stroke(5.0, "kick", 70)]
    one = score_hits(truth, found)["kick"]
    assert (one.found, one.missed, one.invented) == (2, 1, 1)
    assert one.precision == one.recall == one.f_measure == pytest.approx(2 / 3)
    assert one.timing == pytest.approx((0.02, 0.01))
    assert one.velocity_correlation == pytest.approx(1.0)
    assert score_hits(truth, found, 0.02)["kick"].found == 1


def test_ride_and_crash_are_one_class_and_flams_count_once() -> None:
    truth = [Stroke(1.0, "ride", 80), Stroke(1.01, "crash", 100), Stroke(2.0, "snare", 90)]
    truth += [Stroke(2.02, "snare", 100)]
    found = [Stroke(1.0, "crash", 80), Stroke(2.0, "snare", 90)]
    scores = score_hits(truth, found)
    assert scores["cymbals"].f_measure == scores["snare"].f_measure == 1.0


def test_velocities_are_compared_within_each_clip() -> None:
    loud = [(100.0, 60.0), (110.0, 70.0)]
    quiet = [(20.0, 110.0), (30.0, 120.0)]
    scores = []
    for clip, pairs in enumerate([loud, quiet]):
        truth = [Stroke(k + 0.0, "kick", played) for k, (played, _) in enumerate(pairs)]
        found = [Stroke(k + 0.0, "kick", heard) for k, (_, heard) in enumerate(pairs)]
        scores.append(score_hits(truth, found, clip=clip)["kick"])
    assert add_scores(scores).velocity_correlation == pytest.approx(1.0)


def test_nothing_at_all_has_no_f_measure_and_silence_has_no_precision() -> None:
    nothing = score_hits([], [])["kick"]
    assert math.isnan(nothing.f_measure)
    missed = score_hits([Stroke(1.0, "kick", 9)], [])["kick"]
    assert missed.f_measure == 0.0
    assert math.isnan(missed.precision)


def test_articulations_are_compared_within_a_stem_and_where_both_are_known() -> None:
    truth = [
        Stroke(1.0, "hihat", 90, "open"),
        Stroke(2.0, "hihat", 90, "pedal"),
        Stroke(3.0, "ride", 90, "bell"),
        Stroke(4.0, "snare", 90),
    ]
    found = [
        Stroke(1.01, "hihat", 90, "open"),
        Stroke(2.01, "hihat", 90, "closed"),
        Stroke(3.0, "crash", 90, "crash"),
        Stroke(4.0, "snare", 90, "center"),
    ]
    assert named_pairs(truth, found) == [
        ("hihat", "open", "open"),
        ("hihat", "pedal", "closed"),
    ]
