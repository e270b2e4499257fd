# SPDX-License-Identifier: GPL-3.0-or-later
"""Imaginary cymbals, timbres and placements: what training relies on."""

from __future__ import annotations

import numpy as np
import pytest

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.sounds.cymbals import bronze_sounds
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
                # Heard within 5 ms: excerpts are aligned by onsets.
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
        made = draw_timbre(rng, stem, 5).apply(wave)
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
        assert not np.shares_memory(made, wave)
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
        made = Timbre(colour=timbre.colour).apply(impulse)
        assert np.abs(made[0, :1000]).max() < 1e-4
        assert int(np.abs(made[0]).argmax()) < 1012
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
