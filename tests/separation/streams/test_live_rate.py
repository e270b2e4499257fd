# SPDX-License-Identifier: GPL-3.0-or-later
"""Live conversion of rates: in place, flat, free of images, and as late as it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.model import Chunking
from lars_plugin.separation.streams.live_rate import (
    LiveRateStream,
    LiveResampler,
    _filter,
    can_convert,
)
from lars_plugin.testing import DelayModel, IdentityModel

Wave = NDArray[np.float32]
LIVE = Chunking(128, 1, "live")
RATES = (22050.0, 32000.0, 44100.0, 48000.0, 88200.0, 96000.0)


def converted(source: float, target: float, wave: Wave, blocks: list[int] | None = None) -> Wave:
    resampler = LiveResampler(source, target, wave.shape[0])
    parts, at = [], 0
    for size in [*(blocks or []), wave.shape[1]]:
        parts.append(resampler.push(wave[:, at : at + size]))
        at += size
    return np.concatenate([*parts, resampler.flush()], axis=1)


@given(
    st.sampled_from(RATES),
    st.sampled_from(RATES),
    st.integers(0, 2000),
    st.lists(st.integers(0, 300), max_size=10),
)
@settings(deadline=None, max_examples=60)
def test_any_block_split_gives_the_same_bits_and_the_exact_length(
    source: float, target: float, samples: int, blocks: list[int]
) -> None:
    wave = np.random.default_rng(samples).uniform(-1, 1, (2, samples)).astype(np.float32)
    whole = converted(source, target, wave)
    assert np.array_equal(whole, converted(source, target, wave, blocks))
    assert whole.shape == (2, int(np.ceil(samples * target / source)))


@pytest.mark.parametrize(("up", "down"), [(147, 160), (160, 147), (1, 2), (2, 1), (441, 320)])
def test_the_filter_of_scipy_is_a_sinc_under_a_kaiser_window_to_the_bit(up: int, down: int) -> None:
    taps, half = _filter(up, down)
    at = np.arange(-half * up, half * up + 1)
    cutoff = (0.5 - 82 / (2.285 * 96) / (4 * np.pi)) / max(up, down)
    wanted = 2 * cutoff * up * np.sinc(2 * cutoff * at) * np.kaiser(len(at), 0.1102 * (90 - 8.7))
    assert np.array_equal(taps, wanted.astype(np.float32))


@pytest.mark.parametrize("source", [44100.0, 48000.0, 96000.0])
@pytest.mark.parametrize("target", [44100.0, 48000.0, 96000.0])
@pytest.mark.parametrize("hertz", [50.0, 1000.0, 19000.0])
def test_a_tone_below_19_khz_comes_out_as_itself_in_place(
    source: float, target: float, hertz: float
) -> None:
    if source == target:
        return
    tone = np.sin(2 * np.pi * hertz * np.arange(6000) / source).astype(np.float32)[None]
    made = converted(source, target, tone)[0]
    wanted = np.sin(2 * np.pi * hertz * np.arange(len(made)) / target)
    np.testing.assert_allclose(made[400:-400], wanted[400:-400], atol=2e-4)


def test_what_the_lower_rate_cannot_hold_is_gone_by_80_db() -> None:
    tone = np.sin(2 * np.pi * 30000 * np.arange(20000) / 96000).astype(np.float32)[None]
    assert np.abs(converted(96000, 44100, tone)[0, 200:-200]).max() < 1e-4


@pytest.mark.parametrize("rate", [22050.0, 48000.0, 96000.0])
@pytest.mark.parametrize("block", [1, 37, 128])
def test_the_output_of_a_stream_is_never_later_than_it_says_nor_much_sooner(
    rate: float, block: int
) -> None:
    model = IdentityModel(chunking=LIVE)
    stream = LiveRateStream(model, rate, 2)
    wave = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 3000)).astype(np.float32)
    given_samples = worst = 0
    for at in range(0, wave.shape[1], block):
        given_samples += stream.push(wave[:, at : at + block]).shape[2]
        worst = max(worst, min(at + block, 3000) - given_samples)
    assert worst <= stream.latency_samples
    if block == 1:
        assert worst >= stream.latency_samples - 5
    given_samples += stream.flush().shape[2]
    assert given_samples == 3000


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_live_stems_add_up_to_the_input_at_every_rate(rate: int, channels: int) -> None:
    model = IdentityModel(chunking=LIVE)
    audio = np.random.default_rng(rate).uniform(-0.5, 0.5, (channels, rate // 4 + 1))
    audio = audio.astype(np.float32)
    stream = LiveRateStream(model, rate, channels)
    made = np.concatenate([stream.push(audio), stream.flush()], axis=2)
    assert made.shape == (6, channels, audio.shape[1])
    left = audio - made.sum(axis=0, dtype=np.float64)
    assert np.abs(left).max() < 1e-6  # below -110 dB of what is in the audio


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([*RATES, 8000.0, 192000.0]),
    st.sampled_from([1, 2]),
    st.integers(0, 3000),
    st.lists(st.integers(0, 700), max_size=10),
)
def test_a_live_stream_is_the_same_to_the_bit_for_any_block_split_and_choice_of_stems(
    rate: float, channels: int, samples: int, blocks: list[int]
) -> None:
    shares = [0.5, 0.25, 0.125, 0.0625, 0.0625, 0]
    model = DelayModel(1, IdentityModel(chunking=LIVE, shares=shares))
    audio = np.random.default_rng(samples).uniform(-1, 1, (channels, samples)).astype(np.float32)
    whole = LiveRateStream(model, rate, channels)
    expected = np.concatenate([whole.push(audio), whole.flush()], axis=2)
    parted = LiveRateStream(model, rate, channels, stems=["hihat", "kick"])
    for _ in range(2):
        parts, at = [], 0
        for size in [*blocks, samples]:
            parts.append(parted.push(audio[:, at : at + size]))
            at += size
        made = np.concatenate([*parts, parted.flush()], axis=2)
        assert np.array_equal(made, expected[[3, 0]])
        parted.reset()


def test_two_conversions_cost_about_two_milliseconds_and_no_more() -> None:
    model = IdentityModel(chunking=LIVE)
    for rate in (48000.0, 88200.0, 96000.0):
        stream = LiveRateStream(model, rate, 2)
        added = (stream.latency_samples - stream.model_latency) / rate
        assert 0.002 < added < 0.0023


def test_rates_without_a_common_measure_are_left_to_the_general_conversion() -> None:
    assert can_convert(48000.0, 44100)
    assert not can_convert(44100.5, 44100)
    assert not can_convert(500.0, 44100)
    assert not can_convert(882000.0, 44100)
