# SPDX-License-Identifier: GPL-3.0-or-later
"""What networks are shown of recordings in one channel, with one inverted, or with current."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.model import Chunking, Model, ModelConfig, Refinement
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.base import Stream
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.separation.streams.views import view_of

Wave = NDArray[np.float32]

STEMS = ("kick", "snare")
FIT = Refinement(window=8192, n_fft=510, components=2, iterations=3)
LIVE = Chunking(2048, overlap=4, convention="live", lookahead=64, fade=32)


class Middle:
    """What both channels share, and the rest: a network that expects a kit in the middle."""

    name = "middle"

    def __init__(self) -> None:
        self.seen: list[Wave] = []

    def __call__(self, batch: Wave) -> Wave:
        self.seen.extend(batch)
        middle = np.repeat(batch.mean(axis=1, keepdims=True), 2, axis=1)
        return np.stack([middle, batch - middle], axis=1)


def model(refined: bool = False, chunking: Chunking | None = None) -> Model:
    chunking = chunking or Chunking(4096, 1.25)
    return Model(
        ModelConfig(
            "middle",
            STEMS,
            chunking,
            architecture="toy",
            refinement=FIT if refined else None,
        ),
        Middle(),
    )


def drum(samples: int = 20000, seed: int = 0) -> Wave:
    """Struck noise, ``(samples,)``."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(samples, np.float32)
    for at in range(0, samples - 2000, 3000):
        wave[at : at + 2000] += rng.standard_normal(2000) * np.exp(-np.arange(2000) / 300) * 0.3
    return wave


def stereo(samples: int = 20000) -> Wave:
    """A kit as they are: most in the middle, a little aside."""
    wave = np.stack([drum(samples)] * 2)
    wave[0] += 0.3 * drum(samples, 1)
    wave[1] += 0.2 * drum(samples, 2)
    return wave


def streamed(stream: Stream, audio: Wave, blocks: list[int] | None = None) -> Wave:
    parts, at = [], 0
    for size in [*(blocks or []), audio.shape[1]]:
        parts.append(stream.push(audio[:, at : at + size]))
        at = min(at + size, audio.shape[1])
    parts.append(stream.flush())
    return np.concatenate(parts, axis=2)


PANNED = {
    "left": (1, 0), "right": (0, 1), "inverted": (1, -1), "the other inverted": (-1, 1),
    "unequal": (1, 0.3), "unequal and inverted": (-0.4, 0.9), "very unequal": (1, 0.001),
}  # fmt: skip


@pytest.mark.parametrize("place", PANNED)
@pytest.mark.parametrize("chunking", [Chunking(4096, 1.25), LIVE], ids=["offline", "live"])
def test_one_signal_is_separated_as_mono_and_comes_back_with_its_gains_and_signs(
    place: str, chunking: Chunking
) -> None:
    gains = np.array(PANNED[place], np.float32)[:, None]
    audio = gains * drum()
    made = streamed(open_stream(model(chunking=chunking)), audio)
    np.testing.assert_allclose(made[0], audio, atol=1e-6)
    np.testing.assert_allclose(made[1], 0, atol=1e-6)


def test_hiss_in_the_other_channel_changes_nothing_of_this_and_the_stems_still_add_up() -> None:
    rng = np.random.default_rng(1)
    hiss = rng.standard_normal(20000).astype(np.float32) * 1e-4 * np.std(drum())
    audio = np.stack([drum(), hiss])
    made = streamed(open_stream(model()), audio)
    np.testing.assert_allclose(made[0], audio, atol=1e-4)
    np.testing.assert_allclose(made.sum(0), audio, atol=1e-6)


def test_a_kit_with_one_channel_inverted_is_the_kit_with_the_stems_channel_inverted() -> None:
    turn = np.array([1, -1], np.float32)[:, None]
    right = streamed(open_stream(model()), stereo())
    wrong = streamed(open_stream(model()), stereo() * turn)
    assert np.array_equal(wrong, right * turn)


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("current", [(0.05, 0.05), (-0.08, -0.08), (0.08, 0), (0.3, -0.3)])
def test_current_is_not_shown_to_the_network_and_the_stems_add_up_with_it(
    current: tuple[float, float], refined: bool
) -> None:
    audio = stereo(64000) + np.array(current, np.float32)[:, None]
    chosen = model(refined, Chunking(16384, 1.25))
    made = streamed(open_stream(chosen), audio)
    assert isinstance(chosen.backend, Middle)
    for chunk in chosen.backend.seen:
        # Of a last chunk that is padded with silence the sounding part counts.
        sounding = max(1, np.count_nonzero(chunk.any(axis=0)))
        assert np.abs(chunk.sum(axis=1) / sounding).max() < 1e-5
    np.testing.assert_allclose(made.sum(0), audio, atol=2e-6)


def test_all_stems_get_the_same_constant_part_of_a_current() -> None:
    noise = np.random.default_rng(5).standard_normal((2, 64000)).astype(np.float32) * 0.1
    chunking = Chunking(16384, 1.25)
    without = streamed(open_stream(model(chunking=chunking)), noise)
    made = streamed(open_stream(model(chunking=chunking)), noise + np.float32(0.1))
    np.testing.assert_allclose(made - without, 0.05, atol=0.005)


@pytest.mark.parametrize("refined", [False, True])
def test_other_recordings_are_shown_as_they_are(refined: bool) -> None:
    for audio in (stereo(), np.stack([drum()] * 2), np.zeros((2, 9000), np.float32)):
        chosen = model(refined, Chunking(4096, 1))
        streamed(open_stream(chosen), audio)
        assert view_of(audio) is None
        click = view_of(audio[:, 501:502])  # which has a direction, but is no current
        assert click is None or not click.offset.any()
        assert isinstance(chosen.backend, Middle)
        assert np.array_equal(chosen.backend.seen[0], audio[:, :4096])


@settings(deadline=None, max_examples=12)
@given(
    st.sampled_from([*PANNED.values(), None]),
    st.sampled_from([0.0, 0.03]),
    st.booleans(),
    st.lists(st.integers(0, 7000), max_size=5),
    st.sampled_from([900, 9000, 26000]),
)
def test_any_block_split_gives_the_same_bits_and_stems_add_up(
    gains: tuple[float, float] | None,
    current: float,
    refined: bool,
    blocks: list[int],
    samples: int,
) -> None:
    audio = stereo(26000)[:, :samples]
    if gains is not None:  # first like this, then a kit as they are
        audio[:, : samples // 2] = (
            np.array(gains, np.float32)[:, None] * drum(26000)[: samples // 2]
        )
    audio += np.float32(current)
    stream = open_stream(model(refined))
    whole = streamed(stream, audio)
    stream.reset()
    assert np.array_equal(whole, streamed(stream, audio, blocks))
    np.testing.assert_allclose(whole.sum(0), audio, atol=3e-6)


def test_windows_of_the_fit_are_shown_like_chunks() -> None:
    def fitted(audio: Wave) -> Wave:
        return streamed(open_stream(model(refined=True)), audio)

    mono = np.stack([drum(), drum()]) * np.float32(0.5**0.5)
    expected = fitted(mono)
    for gains in ((1, 0), (0, 1), (1, -1)):
        unit = np.array(gains, np.float32) / np.hypot(*gains)
        made = fitted(np.asarray(unit[:, None] * drum(), np.float32))
        wanted = unit[:, None] * expected.mean(axis=1, keepdims=True) * 2**0.5
        np.testing.assert_allclose(made, wanted, atol=2e-5)


def test_views_of_what_is_hardly_there_are_finite() -> None:
    rng = np.random.default_rng(0)
    for level in (1e-44, 1e-38, 1e-30, 1e-22, 1e-12, 1.0, 1e18):
        for gains in PANNED.values():
            audio = np.asarray(np.array(gains)[:, None] * rng.standard_normal(800) * level)
            for current in (0, 3):
                made = Separator(model()).separate(audio + current * level, 44100)
                total = sum(made[stem].astype(np.float64) for stem in STEMS)
                np.testing.assert_allclose(
                    total, audio + current * level, atol=max(1e-5 * level, 3e-30)
                )
