# SPDX-License-Identifier: GPL-3.0-or-later
"""A drum gets only so much louder by the refinement than the network hears it."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from lars_plugin.errors import InputError
from lars_plugin.model import Refinement
from lars_plugin.refine.refiner import Refiner
from tests.refine.test_refiner import STEMS, kit
from tests.refine.test_unstruck import RATE, SETTINGS

STROKES = [np.arange(2000, 88200, 6000)] * 2


def powers(louder: dict[str, float], heard_db: float, fits: int = 1) -> tuple[float, float]:
    """Of the kick, of which the network hears this share of the amplitude in dB: the estimate's
    power and the refined one's, in dB against the mixture's."""
    stems = kit(88200, angles=(0.3, 1.2))
    mixture = stems.sum(0)
    guess = np.float32(10 ** (heard_db / 20)) * stems
    guess[1] = mixture - guess[0]
    chosen = dataclasses.replace(SETTINGS, fits=fits, louder=MappingProxyType(louder))
    result = Refiner(chosen, STEMS, RATE)(mixture, guess, STROKES)
    np.testing.assert_allclose(result.sum(0), mixture, atol=1e-5)
    whole = np.square(mixture, dtype=np.float64).sum()
    first, last = (np.square(wave[0], dtype=np.float64).sum() / whole for wave in (guess, result))
    return tuple(10 * np.log10([first + 1e-12, last + 1e-12]))


@pytest.mark.parametrize("fits", [1, 3])
def test_a_drum_that_the_network_hardly_hears_does_not_get_loud(fits: int) -> None:
    heard, free = powers({}, -50.0, fits=fits)
    assert free > heard + 12
    most = (free - heard) / 2
    _, limited = powers({"kick": most}, -50.0, fits=fits)
    assert limited < heard + most + 1
    assert limited > heard + most - 8


def test_within_the_limit_nothing_changes_and_other_stems_have_none() -> None:
    free = powers({}, -50.0)
    assert powers({"kick": 90.0}, -50.0) == free
    assert powers({"snare": 60.0}, -50.0) == free


def test_of_what_the_network_does_not_hear_at_all_next_to_nothing_comes() -> None:
    assert powers({"kick": 20.0}, -300.0)[1] < -68


@pytest.mark.parametrize("decibels", [-1.0, 101.0, float("nan")])
def test_limits_lie_between_0_and_100_db(decibels: float) -> None:
    with pytest.raises(InputError, match=r"refinement\.louder must lie between 0 and 100 dB"):
        Refinement(louder=MappingProxyType({"kick": decibels}))
