# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.evaluation import metrics
from lars_plugin.evaluation.metrics import (
    LIMIT_DB,
    SILENCE_DB,
    is_sounding,
    leakage_db,
    level_db,
    limited,
    real_time_ratio,
    sdr,
)

Wave = NDArray[np.float32]

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 2), st.integers(1, 400))


def noise(seed: int, shape: tuple[int, ...]) -> Wave:
    return np.random.default_rng(seed).uniform(0.01, 1, shape).astype(np.float32)


@given(seeds, shapes, st.floats(-60, 60))
def test_noise_at_a_known_level_gives_that_sdr(
    seed: int, shape: tuple[int, int], wanted: float
) -> None:
    reference = noise(seed, shape).astype(np.float64)
    error = noise(seed ^ 1, shape).astype(np.float64)
    error *= np.linalg.norm(reference) / np.linalg.norm(error) * 10 ** (-wanted / 20)
    assert sdr(reference, reference + error) == pytest.approx(wanted, abs=1e-6)


@given(seeds, shapes, st.floats(0.001, 1000))
def test_sdr_does_not_change_when_both_sides_are_scaled(
    seed: int, shape: tuple[int, int], factor: float
) -> None:
    reference, estimate = noise(seed, shape).astype(float), noise(seed ^ 1, shape).astype(float)
    assert sdr(reference * factor, estimate * factor) == pytest.approx(sdr(reference, estimate))


@given(seeds, shapes, st.floats(0.01, 0.99))
def test_sdr_punishes_a_wrong_gain(seed: int, shape: tuple[int, int], gain: float) -> None:
    reference = noise(seed, shape).astype(np.float64)
    assert sdr(reference, reference * gain) == pytest.approx(-20 * math.log10(1 - gain))


@given(seeds, shapes)
def test_silence_scores_zero_and_so_does_twice_the_reference(
    seed: int, shape: tuple[int, int]
) -> None:
    reference = noise(seed, shape)
    assert sdr(reference, np.zeros_like(reference)) == pytest.approx(0)
    assert sdr(reference, 2 * reference) == pytest.approx(0)


def test_a_perfect_estimate_is_infinitely_good() -> None:
    reference = noise(0, (2, 10))
    assert sdr(reference, reference.copy()) == math.inf
    assert limited(sdr(reference, reference.copy())) == LIMIT_DB


@given(seeds, st.integers(1, 50), st.integers(1, 20))
def test_sums_do_not_depend_on_the_size_of_blocks(seed: int, samples: int, block: int) -> None:
    reference, estimate = noise(seed, (2, samples)), noise(seed ^ 1, (2, samples))
    whole = sdr(reference, estimate)
    old = metrics._BLOCK
    metrics._BLOCK = block
    try:
        assert sdr(reference, estimate) == pytest.approx(whole)
    finally:
        metrics._BLOCK = old


def test_inputs_stay_as_they_are() -> None:
    reference, estimate = noise(0, (2, 10)).astype(np.float64), noise(1, (2, 10)).astype(np.float64)
    before = reference.copy(), estimate.copy()
    sdr(reference, estimate)
    level_db(reference, estimate)
    np.testing.assert_array_equal(reference, before[0])
    np.testing.assert_array_equal(estimate, before[1])


def test_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(2, 3\).*\(2, 4\)"):
        sdr(np.zeros((2, 3)), np.zeros((2, 4)))


@given(seeds, shapes, st.floats(-100, 20))
def test_level_is_the_ratio_of_energies(seed: int, shape: tuple[int, int], decibels: float) -> None:
    mixture = noise(seed, shape).astype(np.float64)
    wave = mixture * 10 ** (decibels / 20)
    assert level_db(wave, mixture) == pytest.approx(decibels, abs=1e-6)
    assert leakage_db(wave, mixture) == level_db(wave, mixture)


@pytest.mark.parametrize(("offset", "sounds"), [(0.1, True), (-0.1, False)])
def test_a_reference_sounds_above_the_threshold_only(offset: float, sounds: bool) -> None:
    mixture = noise(0, (2, 100)).astype(np.float64)
    quiet = mixture * 10 ** ((SILENCE_DB + offset) / 20)
    assert is_sounding(quiet, mixture) is sounds
    assert is_sounding(quiet, mixture, SILENCE_DB - 1) is True
    assert is_sounding(quiet, mixture, SILENCE_DB + 1) is False


def test_nothing_is_never_sounding_and_never_leaks() -> None:
    silence = np.zeros((2, 10), np.float32)
    assert not is_sounding(silence, silence)
    assert not is_sounding(silence, noise(0, (2, 10)))
    assert leakage_db(silence, silence) == -math.inf
    assert leakage_db(silence, noise(0, (2, 10))) == -math.inf
    assert leakage_db(noise(0, (2, 10)), silence) == math.inf


def test_no_score_is_nan() -> None:
    assert limited(-math.inf) == -LIMIT_DB
    assert limited(3.5) == 3.5
    with pytest.raises(InputError, match="NaN"):
        limited(math.nan)


def test_real_time_ratio_is_work_per_audio() -> None:
    assert real_time_ratio(3, 12) == 0.25
    with pytest.raises(InputError, match="0 s"):
        real_time_ratio(1, 0)
