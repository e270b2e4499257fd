# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kind of stroke it was, by the chances around a peak."""

from __future__ import annotations

import numpy as np
import pytest

from lars_plugin.networks.transcriber.config import GROUPS, STROKES
from lars_plugin.networks.transcriber.kinds import around, kinds_at

PEAK = 10
CYMBALS, SNARE = GROUPS.index("cymbals"), GROUPS.index("snare")


def kinds(group: int, *chances: tuple[int, str, str, float], after: int = 2) -> list[str]:
    """What is struck where a kind has a chance at a frame."""
    strokes = np.zeros((20, len(STROKES)), np.float32)
    for frame, stem, articulation, chance in chances:
        strokes[frame, STROKES.index((stem, articulation))] = chance
    return [articulation for _, articulation in kinds_at(strokes, group, PEAK, after)]


@pytest.mark.parametrize(
    ("frame", "heard"), [(-3, False), (-2, True), (0, True), (2, True), (3, False)]
)
def test_two_frames_before_a_peak_and_some_behind_it_count(frame: int, heard: bool) -> None:
    found = kinds(SNARE, (PEAK, "snare", "center", 0.4), (PEAK + frame, "snare", "sidestick", 0.9))
    assert found == ["sidestick" if heard else "center"]
    assert around(1, 1) == slice(0, 3)


def test_a_live_transcriber_knows_fewer_frames_behind_the_peak() -> None:
    late = (PEAK + 2, "snare", "sidestick", 0.9)
    assert kinds(SNARE, (PEAK, "snare", "center", 0.4), late, after=1) == ["center"]


def test_of_two_cymbals_at_once_each_has_its_likeliest_kind() -> None:
    crash = (PEAK, "crash", "crash", 0.9)
    both = kinds(CYMBALS, crash, (PEAK, "ride", "bow", 0.6), (PEAK, "ride", "bell", 0.8))
    assert both == ["crash", "bell"]
    assert kinds(CYMBALS, crash, (PEAK, "ride", "bow", 0.49)) == ["crash"]
    # The hi-hat is a group of its own.
    assert kinds(CYMBALS, crash, (PEAK, "hihat", "open", 1.0)) == ["crash"]
