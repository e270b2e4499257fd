# SPDX-License-Identifier: GPL-3.0-or-later
"""The levels that a transcriber hears."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin.errors import InputError
from lars_plugin.midi.mel import (
    BANDS,
    HOP,
    SAMPLE_RATE,
    mel_filters,
    mel_levels,
    mel_powers,
)


def sine(hertz: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * hertz * time).astype(np.float32)


def noise(channels: int, samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((channels, samples))).astype(np.float32)


def test_no_band_is_empty_and_every_bin_between_the_edges_is_heard() -> None:
    filters = mel_filters()
    assert filters.shape[0] == BANDS
    assert (filters.sum(axis=1) > 0).all()
    hertz = np.arange(filters.shape[1]) * SAMPLE_RATE / (2 * (filters.shape[1] - 1))
    heard = filters.sum(axis=0)[(hertz > 60) & (hertz < 19000)]
    # Neighbouring triangles cross at half their height, so that they sum to one.
    assert np.allclose(heard, 1, atol=0.05)


@pytest.mark.parametrize("hertz", [100.0, 440.0, 3000.0, 12000.0])
def test_a_sine_is_loudest_in_the_band_that_holds_it(hertz: float) -> None:
    powers = mel_powers(sine(hertz)[None])[50]
    centre = (mel_filters() * np.arange(mel_filters().shape[1])).sum(1) / mel_filters().sum(1)
    nearest = int(np.abs(centre * SAMPLE_RATE / 2048 - hertz).argmin())
    assert abs(int(powers.argmax()) - nearest) <= 1
    # A Hann window spreads a sine over three bins, with 1.5 times its power in all.
    assert 0.7 < powers.sum() < 1.6


def test_a_channel_that_is_inverted_is_heard_as_mono_is() -> None:
    wave = noise(1, 20000)
    np.testing.assert_allclose(
        mel_powers(np.concatenate([wave, -wave])), mel_powers(wave), rtol=1e-4, atol=1e-12
    )


@given(samples=st.integers(0, 5000))
def test_there_is_a_frame_for_every_hop_begun(samples: int) -> None:
    powers = mel_powers(noise(1, samples))
    assert powers.shape == (-(-samples // HOP), BANDS)
    assert np.isfinite(powers).all()


def test_powers_do_not_depend_on_how_many_frames_are_transformed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wave = noise(2, 50 * HOP + 17)
    whole = mel_powers(wave)
    monkeypatch.setattr("lars_plugin.midi.mel._GROUP", 7)
    np.testing.assert_allclose(mel_powers(wave), whole, rtol=1e-5, atol=1e-12)


def test_what_comes_is_heard_no_more_than_half_a_window_early() -> None:
    wave = np.zeros((1, 40 * HOP), np.float32)
    wave[0, 20 * HOP] = 1
    loud = np.flatnonzero(mel_powers(wave).sum(axis=1) > 1e-9)
    assert loud.min() >= 20 - 3
    assert loud.max() <= 20 + 3
    assert mel_powers(wave).sum(axis=1).argmax() == 20


@pytest.mark.parametrize("gain", [1e-4, 1.0, 30.0])
def test_levels_do_not_depend_on_the_recordings_level(gain: float) -> None:
    wave = noise(2, 60000, seed=3)
    expected = mel_levels(mel_powers(wave))
    np.testing.assert_allclose(mel_levels(mel_powers(wave * np.float32(gain))), expected, atol=1e-3)


def test_silence_is_the_floor() -> None:
    assert (mel_levels(mel_powers(np.zeros((2, 9000), np.float32))) == -2).all()
    assert mel_levels(mel_powers(np.zeros((2, 0), np.float32))).shape == (0, BANDS)


def test_one_click_does_not_make_the_drums_quiet() -> None:
    wave = noise(1, 60 * SAMPLE_RATE)
    before = np.median(mel_levels(mel_powers(wave)))
    wave[0, 30 * SAMPLE_RATE] = 50
    assert abs(np.median(mel_levels(mel_powers(wave))) - before) < 0.1


@pytest.mark.parametrize("shape", [(100,), (0, 100), (1, 2, 3)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\(channels, samples\)"):
        mel_powers(np.zeros(shape, np.float32))
