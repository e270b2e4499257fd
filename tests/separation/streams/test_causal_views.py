# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of causal networks: from the past alone, without a jump, the same for any block split."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.model import Chunking, Model, ModelConfig
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.causal import CausalStream
from tests.models import causal

Wave = NDArray[np.float32]

HOP, DELAY = 256, 256
STEMS = ("kick", "snare")
CHUNKING = Chunking(HOP, 1, "causal", lookahead=DELAY)


class LateMiddle:
    """What both channels share, and the rest, ``DELAY`` samples late."""

    name = "late middle"

    def __call__(self, batch: Wave) -> Wave:
        raise AssertionError("streams step")

    def initial_state(self) -> Wave:
        return np.zeros((2, DELAY), np.float32)

    def step(self, hops: Wave, state: Wave) -> tuple[Wave, Wave]:
        wave = np.concatenate([state, hops], axis=1)
        here, rest = wave[:, : hops.shape[1]], wave[:, hops.shape[1] :]
        middle = np.repeat(here.mean(axis=0, keepdims=True), 2, axis=0)
        return np.stack([middle, here - middle]), rest


def middle() -> Model:
    return Model(ModelConfig("late-middle", STEMS, CHUNKING, architecture="toy"), LateMiddle())


@functools.cache
def network() -> Model:
    return causal(
        STEMS, n_fft=1024, hop_length=HOP, synthesis=512, band_widths=(*(4,) * 8, *(60,) * 8)
    )


def drum(samples: int, seed: int = 0) -> Wave:
    rng = np.random.default_rng(seed)
    wave = np.zeros(samples + 6000, np.float32)
    for at in range(500, samples, 5000):
        wave[at : at + 4000] += rng.standard_normal(4000) * np.exp(-np.arange(4000) / 900) * 0.3
    return wave[:samples]


def panned(gains: tuple[float, float], samples: int = 30000) -> Wave:
    return np.asarray(np.array(gains)[:, None] * drum(samples), np.float32)


def stereo(samples: int = 30000) -> Wave:
    return panned((1, 1), samples) + np.stack([0.3 * drum(samples, 1), 0.2 * drum(samples, 2)])


def streamed(stream: CausalStream, audio: Wave, blocks: list[int] | None = None) -> Wave:
    parts, at = [], 0
    for size in [*(blocks or []), audio.shape[1]]:
        parts.append(stream.push(audio[:, at : at + size]))
        at = min(at + size, audio.shape[1])
    return np.concatenate([*parts, stream.flush()], axis=2)


PANNED = [(1, 0), (0, 1), (1, -1), (-1, 1), (1, 0.3), (-0.4, 0.9)]


@pytest.mark.parametrize("gains", PANNED)
def test_one_signal_is_separated_as_mono_from_its_first_sound_on(
    gains: tuple[float, float],
) -> None:
    audio = panned(gains)
    made = streamed(CausalStream(middle()), audio)
    # The hop in which the first sound falls is where the view fades in.
    start = 500 // HOP * HOP + HOP
    np.testing.assert_allclose(made[0, :, start:], audio[:, start:], atol=1e-6)
    np.testing.assert_allclose(made.sum(0), audio, atol=1e-6)


def test_hiss_in_the_other_channel_changes_nothing_of_this() -> None:
    rng = np.random.default_rng(3)
    audio = panned((1, 0)) + rng.standard_normal((2, 30000)).astype(np.float32) * 1e-5
    made = streamed(CausalStream(middle()), audio)
    np.testing.assert_allclose(made[0, :, 4000:], audio[:, 4000:], atol=1e-4)
    np.testing.assert_allclose(made.sum(0), audio, atol=1e-6)


def test_a_kit_with_one_channel_inverted_is_separated_like_the_kit() -> None:
    turn = np.array([1, -1], np.float32)[:, None]
    right = streamed(CausalStream(middle()), stereo())
    wrong = streamed(CausalStream(middle()), stereo() * turn)
    np.testing.assert_allclose(wrong[..., 1024:], (right * turn)[..., 1024:], atol=1e-6)


def test_other_recordings_are_the_same_to_the_bit_as_without_views() -> None:
    for audio in (stereo(), panned((1, 1)), panned((1, 1)) * np.float32(1e-6)):
        made = streamed(CausalStream(middle()), audio)
        mid = np.repeat(audio.mean(axis=0, keepdims=True), 2, axis=0)
        assert np.array_equal(made, np.stack([mid, audio - mid]))


def test_a_view_that_changes_leaves_no_jump_in_any_stem() -> None:
    # A slow wave in one channel, then in both against each other, then alike, with current.
    at = np.arange(60000)
    slow = np.sin(at * (2 * np.pi * 30 / 44100)) * 0.4
    right = np.interp(at, [0, 20000, 21000, 40000, 41000], [0, 0, -0.8, -0.8, 0.8]) * slow
    audio = np.stack([slow, right]).astype(np.float32) + np.float32(0.1)
    start = np.minimum(1, at / 3000).astype(np.float32)
    made = streamed(CausalStream(middle()), audio * start)
    np.testing.assert_allclose(made.sum(0), audio * start, atol=1e-6)
    assert np.abs(np.diff(made, axis=2)).max() < 0.02


@pytest.mark.parametrize("current", [(0.05, 0.05), (0.05, 0.0), (0.3, -0.3)])
def test_all_stems_get_the_same_part_of_a_current_and_add_up(
    current: tuple[float, float],
) -> None:
    audio = panned((1, 1), 90000) + np.array(current, np.float32)[:, None]
    made = streamed(CausalStream(middle()), audio)
    np.testing.assert_allclose(made.sum(0), audio, atol=2e-6)
    # After a second that is known to be current; the second stem is silent otherwise.
    part = np.array(current)[:, None] / 2
    assert np.abs(made[1, :, 44100:] - part).max() < 0.1 * np.abs(current).max()


def test_digital_silence_after_current_is_silence_in_every_stem() -> None:
    audio = panned((1, 1), 80000) + np.float32(0.05)
    audio[:, 60000:] = 0
    made = streamed(CausalStream(middle()), audio)
    np.testing.assert_allclose(made[..., 61000:], 0, atol=1e-7)


@settings(deadline=None, max_examples=10)
@given(
    st.sampled_from([*PANNED, (1, 1)]),
    st.sampled_from([0.0, 0.03]),
    st.lists(st.integers(0, 9000), max_size=5),
    st.integers(0, 29000),
)
def test_any_block_split_gives_the_same_bits_and_stems_add_up(
    gains: tuple[float, float], current: float, blocks: list[int], samples: int
) -> None:
    audio = panned(gains, 29000)[:, :samples] + np.float32(current)
    audio[:, samples // 2 :] = stereo(29000)[:, samples // 2 : samples]
    for model in (middle(), network()):
        stream = CausalStream(model)
        whole = streamed(stream, audio)
        stream.reset()
        assert np.array_equal(whole, streamed(stream, audio, blocks))
        np.testing.assert_allclose(whole.sum(0), audio, atol=2e-5)


@pytest.mark.parametrize("batch", [2, 7])
def test_the_number_of_hops_in_a_batch_changes_nothing(batch: int) -> None:
    audio = panned((1, 0)) + np.float32(0.05)
    chunking = Chunking(HOP, 1, "causal", batch, lookahead=DELAY)
    one = streamed(CausalStream(middle()), audio)
    assert np.array_equal(one, streamed(CausalStream(middle(), chunking=chunking), audio))


def test_some_of_the_stems_are_the_same_as_among_all() -> None:
    audio = panned((1, 0)) + np.float32(0.05)
    every = streamed(CausalStream(middle()), audio)
    assert np.array_equal(streamed(CausalStream(middle(), stems=["snare"]), audio)[0], every[1])


def test_faint_and_vast_recordings_are_finite_and_add_up() -> None:
    rng = np.random.default_rng(0)
    for level in (1e-44, 1e-40, 1e-38, 1e-30, 1e-22, 1e-12, 1.0, 1e15):
        audio = np.asarray(rng.standard_normal((2, 6000)) * [[1], [0]] * level, np.float32)
        for model in (middle(), network()):
            made = Separator(model).separate(audio, 44100)
            total = sum(made[stem].astype(np.float64) for stem in STEMS)
            np.testing.assert_allclose(total, audio, atol=max(1e-4 * level, 3e-30))
