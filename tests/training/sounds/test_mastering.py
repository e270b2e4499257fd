# SPDX-License-Identifier: GPL-3.0-or-later
"""Limiters, tape and encoders, all for stems that go on adding up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from lars_plugin.errors import InputError
from lars_plugin.training.sounds import codecs
from lars_plugin.training.sounds.codecs import coded, split_difference
from lars_plugin.training.sounds.mastering import (
    clip,
    compress_beside,
    flutter,
    limit,
    noise_of_tape,
    resampled_once,
)

Wave = NDArray[np.float32]
RATE = 44100


def strokes(seed: int = 0, samples: int = 60000) -> Wave:
    """Three stems of decaying noise."""
    rng = np.random.default_rng(seed)
    stems = np.zeros((3, 2, samples), np.float32)
    for stem in stems:
        for begin in rng.integers(0, samples - 9000, 5):
            fall = np.exp(-np.arange(9000) / 1500)
            stem[:, begin : begin + 9000] += 0.2 * rng.standard_normal((2, 9000)) * fall
    return stems


def correlation(one: Wave, other: Wave) -> float:
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


@pytest.mark.parametrize("effect", [limit, clip, compress_beside])
def test_dynamics_are_one_gain_for_all_stems(
    effect: Callable[[np.random.Generator, Wave], Wave],
) -> None:
    stems = strokes()
    before = stems.copy()
    result = effect(np.random.default_rng(1), stems)
    np.testing.assert_array_equal(stems, before)
    mixture = stems.sum(0)
    heard = np.abs(mixture) > 1e-3
    gain = result.sum(0)[heard] / mixture[heard]
    for stem, out in zip(stems, result, strict=True):
        np.testing.assert_allclose(out[heard], stem[heard] * gain, atol=2e-5)
    assert not np.allclose(gain, gain[0], rtol=0.1)


@pytest.mark.parametrize("effect", [limit, clip, compress_beside, flutter, resampled_once])
def test_effects_are_silent_in_silence(
    effect: Callable[[np.random.Generator, Wave], Wave],
) -> None:
    silence = np.zeros((2, 2, 20000), np.float32)
    np.testing.assert_array_equal(effect(np.random.default_rng(1), silence), silence)


@pytest.mark.parametrize(("effect", "least", "most"), [(limit, 6, 12), (clip, 1, 8)])
def test_peaks_end_below_the_original_one(
    effect: Callable[[np.random.Generator, Wave], Wave], least: float, most: float
) -> None:
    for seed in range(5):
        stems = strokes(seed)
        result = effect(np.random.default_rng(seed), stems)
        fallen = -20 * np.log10(np.abs(result.sum(0)).max() / np.abs(stems.sum(0)).max())
        assert least - 0.01 <= fallen <= most + 0.01


def test_flutter_moves_all_stems_alike_by_less_than_two_milliseconds() -> None:
    stems = strokes()
    result = flutter(np.random.default_rng(3), stems)
    mixture = flutter(np.random.default_rng(3), stems.sum(0)[None])[0]
    np.testing.assert_allclose(result.sum(0), mixture, atol=1e-5)
    assert correlation(result, stems) < 0.999
    slow = np.sin(2 * np.pi * 100 * np.arange(60000) / RATE).astype(np.float32)
    moved = flutter(np.random.default_rng(3), np.stack([slow, slow])[None])
    assert np.abs(moved[0, 0] - slow)[100:-100].max() < 2 * np.pi * 100 * 0.002


def test_hiss_is_quiet_and_as_wide_as_the_record() -> None:
    mixture = strokes().sum(0)
    peak = np.abs(mixture).max()
    for seed in range(8):
        hiss = noise_of_tape(np.random.default_rng(seed), mixture)
        assert 0 < np.abs(hiss).max() < 0.06 * peak
    mono = np.stack([mixture[0], mixture[0]])
    one, other = noise_of_tape(np.random.default_rng(0), mono)
    np.testing.assert_array_equal(one, other)
    mono[1] = 0
    assert not noise_of_tape(np.random.default_rng(0), mono)[1].any()


def test_a_past_at_a_lower_rate_leaves_nothing_above_it() -> None:
    result = resampled_once(np.random.default_rng(0), strokes())
    spectrum = np.abs(np.fft.rfft(result.sum(0), axis=-1)).mean(0)
    frequencies = np.fft.rfftfreq(result.shape[2], 1 / RATE)
    kept = spectrum[(frequencies > 2000) & (frequencies < 8000)].mean()
    assert spectrum[frequencies > 16500].mean() < 1e-2 * kept
    assert correlation(result[:, :, :50000], strokes()[:, :, :50000]) > 0.5


@pytest.mark.parametrize("codec", ["mp3", "aac"])
@pytest.mark.parametrize("kbits", [96, 192])
def test_encoded_mixtures_are_near_the_original_and_in_time(codec: str, kbits: int) -> None:
    pytest.importorskip("av", reason="PyAV is an extra")
    # Mostly low, as music is: little is lost.
    low = signal.butter(1, 500, fs=RATE, output="sos")
    mixture = np.asarray(signal.sosfilt(low, strokes().sum(0), axis=-1), np.float32)
    before = mixture.copy()
    heard = coded(mixture, codec, kbits)
    np.testing.assert_array_equal(mixture, before)
    assert heard.shape == mixture.shape
    assert 0.9 < correlation(heard, mixture) < 0.9999


def test_a_difference_goes_to_the_stems_that_sounded_there() -> None:
    t = np.arange(30000) / RATE
    low, high = (np.sin(2 * np.pi * f * t).astype(np.float32) for f in (300, 9000))
    stems = np.stack([np.stack([low, low]), np.stack([high, high])])
    # The high tone is left out.
    result = split_difference(stems, -stems[1])
    np.testing.assert_allclose(result.sum(0), stems[0], atol=1e-4)
    np.testing.assert_allclose(result[0, :, 600:-600], stems[0, :, 600:-600], atol=1e-2)


def test_what_is_split_among_one_stem_is_all_its_own() -> None:
    # To rounding, at both ends too, whatever the length is.
    for samples in (4410, 5000, 30001):
        both = np.random.default_rng(0).standard_normal((2, 2, samples)).astype(np.float32)
        stems, changed = both[:1], both[1]
        before = stems.copy()
        result = split_difference(stems, changed)
        np.testing.assert_array_equal(stems, before)
        np.testing.assert_allclose(result[0], stems[0] + changed, atol=1e-4)


@pytest.mark.parametrize("codec", ["mp3", "aac"])
@pytest.mark.parametrize("kbits", [96, 192])
def test_mono_recordings_are_encoded_and_stay_mono(codec: str, kbits: int) -> None:
    pytest.importorskip("av", reason="PyAV is an extra")
    mixture = strokes().sum(0)
    mixture[1] = mixture[0]
    heard = coded(mixture, codec, kbits)
    np.testing.assert_array_equal(heard[0], heard[1])
    assert 0.8 < correlation(heard, mixture) < 0.9999
    heard[0] = 0  # new memory, of each channel
    assert heard[1].any()


def test_encoding_without_pyav_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(InputError, match="pip install"):
        codecs.coded(strokes().sum(0), "mp3", 128)
