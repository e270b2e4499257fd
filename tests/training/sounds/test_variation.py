# SPDX-License-Identifier: GPL-3.0-or-later
"""Imaginary cymbals, timbres and placements have the properties that training needs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.render.mixdown import mix_down
from lars_plugin.training.sounds.cymbals import bronze_sounds
from lars_plugin.training.sounds.effects import add_early_reflections, equalise_mixture, tape
from lars_plugin.training.sounds.stage import draw_stage
from lars_plugin.training.sounds.variation import Timbre, draw_timbre

STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")


def hit(samples: int = 8000, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    fall = np.exp(-np.arange(samples) / 2000)
    return (rng.standard_normal((channels, samples)) * fall).astype(np.float32)


def decay_seconds(wave: np.ndarray) -> float:
    """Time after which 99 % of the energy has passed."""
    energy = np.cumsum(wave.astype(np.float64) ** 2)
    return float(np.searchsorted(energy, 0.99 * energy[-1])) / SAMPLE_RATE


def test_imaginary_cymbals_start_at_their_attack_and_the_open_hat_rings_longest() -> None:
    for seed in range(4):
        sounds = bronze_sounds(np.random.default_rng(seed))
        assert set(sounds) == {"hihat", "ride", "crash"}
        for articulations in sounds.values():
            for wave in articulations.values():
                assert wave.dtype == np.float32
                assert np.isfinite(wave).all()
                assert np.abs(wave).max() == pytest.approx(1)
                # Audible within 5 ms: excerpts are aligned by onsets.
                assert np.abs(wave[:220]).max() > 0.05
                assert abs(float(wave[-1])) < 1e-3
        hats = {name: decay_seconds(wave) for name, wave in sounds["hihat"].items()}
        assert hats["closed"] < hats["half"] < hats["open"]


def test_the_same_state_gives_the_same_cymbals_and_another_state_others() -> None:
    first, again, other = (bronze_sounds(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first["ride"]["bow"], again["ride"]["bow"])
    assert not np.array_equal(first["ride"]["bow"], other["ride"]["bow"])


def test_a_neutral_timbre_changes_nothing_and_no_timbre_changes_its_input() -> None:
    wave = hit()
    before = wave.copy()
    assert np.array_equal(Timbre().apply(wave), wave)
    rng = np.random.default_rng(1)
    for stem in STEMS:
        result = draw_timbre(rng, stem, 5).apply(wave)
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        assert not np.shares_memory(result, wave)
    assert np.array_equal(wave, before)


def test_rate_shortens_damping_dampens_and_attack_lifts_the_attack() -> None:
    wave = hit()
    assert Timbre(rate=2.0).apply(wave).shape == (2, 4000)
    assert decay_seconds(Timbre(damping=(20.0, 40.0)).apply(wave)[0]) < 0.8 * decay_seconds(wave[0])
    loud = Timbre(attack_db=6.0).apply(wave)
    assert loud[0, 0] == pytest.approx(wave[0, 0] * 10 ** (6 / 20), rel=1e-3)
    assert loud[0, -1] == pytest.approx(wave[0, -1], rel=1e-2)


def test_a_colour_is_minimum_phase_so_onsets_stay_where_they_are() -> None:
    impulse = np.zeros((1, 4096), np.float32)
    impulse[:, 1000] = 1
    rng = np.random.default_rng(5)
    coloured = 0
    for _ in range(20):
        timbre = draw_timbre(rng, "ride", 0)
        if timbre.colour is None:
            continue
        coloured += 1
        result = Timbre(colour=timbre.colour).apply(impulse)
        assert np.abs(result[0, :1000]).max() < 1e-4
        assert int(np.abs(result[0]).argmax()) < 1012
    assert coloured > 5


def test_in_the_studio_kick_and_snare_are_central_and_hat_and_ride_opposite() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        stage = draw_stage(rng, True)
        assert set(stage) == set(STEMS)
        assert stage["kick"].pan == 0
        assert abs(stage["snare"].pan) < 0.3
        assert stage["hihat"].pan * stage["ride"].pan < 0
        anywhere = draw_stage(rng, False)
        assert all(-0.9 <= place.pan <= 0.9 and place.width >= 0 for place in anywhere.values())


@pytest.mark.parametrize("effect", [equalise_mixture, tape])
def test_what_is_done_to_the_mixture_leaves_the_sum_of_stems_true(
    effect: Callable[[np.random.Generator, np.ndarray], np.ndarray],
) -> None:
    stems = np.stack([np.roll(hit(), 100 * k, axis=1) * 0.1 * (k + 1) for k in range(6)])
    before = stems.copy()
    result = effect(np.random.default_rng(3), stems)
    alone = effect(np.random.default_rng(3), stems.sum(0, keepdims=True))
    np.testing.assert_allclose(result.sum(0), alone[0], atol=1e-5)
    np.testing.assert_array_equal(stems, before)
    assert np.abs(result - stems).max() > 1e-3


def test_early_reflections_stay_within_35_ms_and_silent_stems_silent() -> None:
    stems = np.zeros((6, 2, 8000), np.float32)
    stems[0, :, 1000] = 1
    add_early_reflections(np.random.default_rng(1), stems)
    heard = np.flatnonzero(np.abs(stems[0]).max(0) > 1e-4)
    assert 1000 <= heard[0] < 1000 + 0.003 * SAMPLE_RATE
    assert heard[-1] <= 1000 + 0.035 * SAMPLE_RATE
    assert len(heard) > 3
    assert not stems[1:].any()


def test_toms_may_be_as_low_as_kicks_and_kicks_as_high_as_toms() -> None:
    rng = np.random.default_rng(0)
    toms = [draw_timbre(rng, "toms", 5).rate for _ in range(300)]
    kicks = [draw_timbre(rng, "kick", 5).rate for _ in range(300)]
    assert min(toms) < 2 ** (-9 / 12)
    assert max(kicks) > 2 ** (6 / 12)
    snares = [draw_timbre(rng, "snare", 5).rate for _ in range(300)]
    assert 2 ** (-5 / 12) <= min(snares) <= max(snares) <= 2 ** (5 / 12)


@pytest.mark.parametrize("sign", [0.0, -1.0])
def test_mono_mixtures_may_be_one_sided_or_inverted(sign: float) -> None:
    stems = np.stack([hit() for _ in range(6)])
    for seed in range(20):
        result = mix_down(
            np.random.default_rng(seed), stems, bus=0, dull=0, mono=1, one_sided=1, level_db=0
        )
        if np.array_equal(result[:, 1], sign * result[:, 0]):
            return
    raise AssertionError(f"no mixture of twenty has {sign} times the left channel on the right")
