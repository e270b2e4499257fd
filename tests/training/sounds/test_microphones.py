# SPDX-License-Identifier: GPL-3.0-or-later
"""A kit as close microphones, overheads and a room record it."""

from __future__ import annotations

import numpy as np
import pytest

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.sounds import microphones
from lars_plugin.training.sounds.microphones import add_microphones


def _clicks(channels: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    stems = np.zeros((6, 2, SAMPLE_RATE), np.float32)
    for index in range(5):
        stems[index, :, 1000] = channels
    return stems


def _spread(wave: np.ndarray) -> float:
    """Share of a click's energy that comes later than a millisecond."""
    energy = np.square(wave).sum(0)
    return float(energy[1044:].sum() / energy.sum())


@pytest.mark.parametrize("channels", [(1.0, 1.0), (1.0, 0.0), (1.0, -1.0)])
def test_drums_keep_their_energy_and_silent_ones_stay_silent(
    channels: tuple[float, float],
) -> None:
    for seed in range(8):
        stems = _clicks(channels)
        add_microphones(np.random.default_rng(seed), stems)
        assert not stems[5].any()
        assert np.isfinite(stems).all()
        wanted = np.square(channels).sum()
        np.testing.assert_allclose(np.square(stems[:5]).sum((1, 2)), wanted, rtol=1e-3)
        # Rounding of the Fourier transforms apart, nothing sounds before the stroke.
        assert np.abs(stems[:, :, :1000]).max() < 1e-5


def test_the_same_seed_hears_the_same_and_every_drum_has_its_own_response() -> None:
    first, second = _clicks(), _clicks()
    add_microphones(np.random.default_rng(3), first)
    add_microphones(np.random.default_rng(3), second)
    np.testing.assert_array_equal(first, second)
    for one in range(5):
        for other in range(one):
            assert not np.allclose(first[one], first[other], atol=1e-3)


def test_mixes_go_from_close_to_distant() -> None:
    spreads = []
    for seed in range(40):
        stems = _clicks()
        add_microphones(np.random.default_rng(seed), stems)
        spreads.append(_spread(stems[1]))
    assert min(spreads) < 0.3
    assert max(spreads) > 0.9


def test_direct_sound_and_diffuse_field_are_equal_at_the_critical_distance() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        room = microphones._draw_room(rng)
        tail = microphones._tail(rng, SAMPLE_RATE, room)
        # Direct sound has the energy 1 at one metre, and falls with the square of the distance.
        assert np.square(tail).sum() == pytest.approx(1 / room.critical**2, rel=1e-6)


def test_silence_stays_silence() -> None:
    stems = np.zeros((6, 2, 1000), np.float32)
    add_microphones(np.random.default_rng(0), stems)
    assert not stems.any()
