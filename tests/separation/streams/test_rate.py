# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams and Separator: any rate, mono and stereo, any length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.errors import CancelledError, InputError, NonFiniteError
from lars_plugin.model import Chunking, Model, ModelConfig
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.open import open_stream

Wave = NDArray[np.float32]


class Halves:
    name = "halves"

    def __call__(self, batch: Wave) -> Wave:
        return np.stack([batch * np.float32(0.25), batch * np.float32(0.75)], axis=1)


MODEL = Model(
    ModelConfig("test", ("kick", "snare"), Chunking(4096, 2, "lars"), presets={"best": 4.0}),
    Halves(),
)


def tone(rate: float, channels: int, samples: int) -> Wave:
    t = np.arange(samples) / rate
    wave = np.sin(2 * np.pi * 440 * t) * np.hanning(samples) * 0.5
    return np.stack([wave * (1 - 0.5 * c) for c in range(channels)]).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 88200, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_keep_rate_length_channels_and_alignment(rate: int, channels: int) -> None:
    wave = tone(rate, channels, int(0.37 * rate) + 1)
    stems = Separator(MODEL).separate(wave, rate)
    assert stems.sample_rate == rate
    assert stems["kick"].shape == wave.shape
    # Aligned to the sample: a shift by one would leave about 0.5 * 2 pi 440 / rate.
    np.testing.assert_allclose(stems.sum(), wave, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([8000, 44100, 48000, 96000]),
    st.sampled_from([1, 2]),
    st.integers(0, 12000),
    st.lists(st.integers(1, 5000), max_size=8),
)
def test_any_rate_is_bit_identical_for_any_block_split(
    rate: int, channels: int, samples: int, blocks: list[int]
) -> None:
    wave = np.random.default_rng(samples).standard_normal((channels, samples)).astype(np.float32)
    whole = open_stream(MODEL, rate, channels)
    expected = np.concatenate([whole.push(wave), whole.flush()], axis=2)
    parted = open_stream(MODEL, rate, channels)
    parts, start = [], 0
    for length in [*blocks, samples]:
        parts.append(parted.push(wave[:, start : start + length]))
        start += length
    parts.append(parted.flush())
    assert expected.shape == (2, channels, samples)
    assert np.array_equal(np.concatenate(parts, axis=2), expected)


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000])
@pytest.mark.parametrize("block", [1024, 333, 64])
def test_output_never_trails_by_more_than_the_reported_latency(rate: int, block: int) -> None:
    stream = open_stream(MODEL, rate, 2)
    wave = np.zeros((2, block), np.float32)
    given_, returned, worst = 0, 0, 0
    while given_ < rate:
        returned += stream.push(wave).shape[2]
        given_ += block
        worst = max(worst, given_ - returned)
    assert 0 < worst <= stream.latency_samples
    # And the bound is no idle one: within a few milliseconds and one block of what happens.
    assert stream.latency_samples - worst < 0.02 * rate + block + 1024


@pytest.mark.parametrize("samples", [0, 1, 2, 100])
def test_very_short_input_keeps_its_length(samples: int) -> None:
    for rate in (8000, 44100, 96000):
        stems = Separator(MODEL).separate(np.zeros((2, samples), np.float32), rate)
        assert stems["snare"].shape == (2, samples)


def test_progress_rises_to_the_end_and_false_cancels() -> None:
    wave = tone(44100, 2, 200_000)
    seen: list[tuple[int, int]] = []
    Separator(MODEL).separate(wave, 44100, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (200_000, 200_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    with pytest.raises(CancelledError):
        Separator(MODEL).separate(wave, 44100, progress=lambda done, total: False)


def test_presets_and_overlap_set_the_chunking() -> None:
    assert Separator(MODEL).chunking.overlap == 2
    assert Separator(MODEL, preset="best").chunking.overlap == 4
    assert Separator(MODEL, preset="fast").chunking.overlap == 2  # this model names no fast one
    assert Separator(MODEL, preset="best", overlap=1.5).chunking.overlap == 1.5
    assert Separator(MODEL, batch_size=3).chunking.batch_size == 3
    with pytest.raises(InputError, match="unknown preset"):
        Separator(MODEL, preset="better")


def test_bad_audio_is_refused_with_what_to_do() -> None:
    separator = Separator(MODEL)
    with pytest.raises(InputError, match="8"):
        separator.separate(np.zeros((8, 100), np.float32), 44100)
    with pytest.raises(InputError, match=r"\(channels, samples\)"):
        separator.separate(np.zeros(100, np.float32), 44100)
    with pytest.raises(InputError, match="scale it first"):
        separator.separate(np.zeros((2, 100), np.int16), 44100)
    with pytest.raises(InputError, match="sample rate"):
        separator.separate(np.zeros((2, 100), np.float32), 0)
    wave = np.zeros((2, 44100), np.float32)
    wave[0, 22050] = np.nan
    with pytest.raises(NonFiniteError, match=r"0\.500 s"):
        separator.separate(wave, 44100)


def test_float64_input_is_taken_and_not_changed() -> None:
    wave = tone(44100, 2, 10_000).astype(np.float64)
    before = wave.copy()
    stems = Separator(MODEL).separate(wave, 44100)
    assert stems["kick"].dtype == np.float32
    assert np.array_equal(wave, before)
