# SPDX-License-Identifier: GPL-3.0-or-later
"""A drum that was not struck for long is quieter in what the refinement gives."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from lars_plugin.errors import InputError
from lars_plugin.model import Refinement
from lars_plugin.refine.refiner import Refiner
from tests.refine.test_refiner import STEMS, kit, rough

RATE = 44100
SETTINGS = Refinement(
    window=88200,
    n_fft=1020,
    template_fft=2040,
    components=3,
    iterations=6,
    templates=MappingProxyType({"kick": 0.1, "snare": 0.1}),
)
HIT = 4000  # the kick's only stroke; it rings for twice its template, 0.2 s


def refined(unstruck: dict[str, float], kicks: list[int] | None = None) -> tuple[float, float]:
    """Power of the kick while it may ring, and long after that, when it is silent: what it has then
    are pieces of the snare that the estimates gave it."""
    stems = kit(88200, angles=(np.pi / 4, np.pi / 4))  # of one place: only powers tell
    if kicks is None:
        stems[0, :, 12000:] = 0
    strokes = [np.array([HIT] if kicks is None else kicks), np.arange(2000, 88200, 6000)]
    chosen = dataclasses.replace(SETTINGS, unstruck=MappingProxyType(unstruck))
    result = Refiner(chosen, STEMS, RATE)(stems.sum(0), rough(stems), strokes)
    np.testing.assert_allclose(result.sum(0), stems.sum(0), atol=1e-5)
    power = np.square(result[0]).sum(0)
    return float(power[:12000].sum()), float(power[40000:].sum())


@pytest.mark.parametrize("decibels", [6.0, 20.0])
def test_a_drum_that_was_not_struck_for_long_falls_and_one_that_rings_does_not(
    decibels: float,
) -> None:
    before, after = refined({}), refined({"kick": decibels})
    assert after[0] == pytest.approx(before[0], rel=0.02)
    # Where the snare is much louder, the gain falls by so much, and the power by twice as many
    # decibels; where it is not, by less.
    assert 10 ** (-2.2 * decibels / 10) < after[1] / before[1] < 10 ** (-0.5 * decibels / 10)


def test_of_a_drum_that_is_struck_all_the_time_nothing_is_taken() -> None:
    often = list(range(0, 88200, 4000))
    assert refined({"kick": 20.0}, often) == refined({}, often)


def test_without_strokes_nothing_is_taken() -> None:
    stems = kit(88200, angles=(np.pi / 4, np.pi / 4))  # of one place: only powers tell
    chosen = dataclasses.replace(SETTINGS, unstruck=MappingProxyType({"kick": 20.0}))
    before, after = (
        Refiner(s, STEMS, RATE)(stems.sum(0), rough(stems)) for s in (SETTINGS, chosen)
    )
    assert np.array_equal(before, after)


def test_what_came_before_a_window_may_ring_at_its_start() -> None:
    stems = kit(88200, angles=(np.pi / 4, np.pi / 4))  # of one place: only powers tell
    stems[0, :, 8000:] = 0
    strokes = [np.array([80000]), np.arange(2000, 88200, 6000)]
    found = []
    for unstruck in ({}, {"kick": 20.0}):
        chosen = dataclasses.replace(SETTINGS, unstruck=MappingProxyType(unstruck))
        result = Refiner(chosen, STEMS, RATE)(stems.sum(0), rough(stems), strokes)
        power = np.square(result[0]).sum(0)
        found.append((float(power[:6000].sum()), float(power[40000:75000].sum())))
    assert found[1][0] == pytest.approx(found[0][0], rel=0.02)
    assert found[1][1] < 0.1 * found[0][1]


@pytest.mark.parametrize("unstruck", [{"kick": -1.0}, {"kick": 61.0}, {"kick": float("nan")}])
def test_other_decibels_are_refused(unstruck: dict[str, float]) -> None:
    with pytest.raises(InputError, match="between 0 and 60"):
        dataclasses.replace(SETTINGS, unstruck=MappingProxyType(unstruck))


def test_a_stem_without_a_template_is_refused() -> None:
    with pytest.raises(InputError, match="toms has no template"):
        dataclasses.replace(SETTINGS, unstruck=MappingProxyType({"toms": 10.0}))
