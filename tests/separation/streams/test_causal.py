# SPDX-License-Identifier: GPL-3.0-or-later
"""Causal models as streams: any block split, exact length, constant latency."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.errors import EngineError, InputError, NonFiniteError
from lars_plugin.model import CausalBackend, Chunking, Model
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.causal import CausalStream
from lars_plugin.testing import IdentityModel
from tests.models import causal

Wave = NDArray[np.float32]

HOP, DELAY = 64, 64
STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")


@functools.cache
def model() -> Model:
    return causal()


def noise(samples: int, seed: int = 0, channels: int = 2) -> Wave:
    return np.random.default_rng(seed).standard_normal((channels, samples)).astype(np.float32)


def streamed(stream: Any, audio: Wave, blocks: list[int]) -> Wave:
    parts, at = [], 0
    for size in [*blocks, audio.shape[1]]:
        parts.append(stream.push(audio[:, at : at + size]))
        at = min(at + size, audio.shape[1])
    return np.concatenate([*parts, stream.flush()], axis=2)


@given(
    st.integers(0, 700),
    st.lists(st.integers(0, 200), max_size=6),
    st.integers(1, 4),
    st.sampled_from([44100, 48000]),
)
@settings(deadline=None, max_examples=30)
def test_any_block_split_gives_the_same_bits_and_length(
    samples: int, blocks: list[int], batch: int, rate: int
) -> None:
    separator = Separator(model(), batch_size=batch)
    audio = noise(samples, samples)
    whole = streamed(separator.stream(rate, 2), audio, [])
    split = streamed(separator.stream(rate, 2), audio, blocks)
    assert whole.shape == (6, 2, samples)
    assert np.array_equal(whole, split)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_batch_size_changes_latency_but_not_the_result(batch: int) -> None:
    audio = noise(1234)
    reference = Separator(model(), batch_size=1).separate(audio, 44100)
    stems = Separator(model(), batch_size=batch).separate(audio, 44100)
    for stem in STEMS:
        np.testing.assert_allclose(stems[stem], reference[stem], atol=1e-5)
    stream = Separator(model(), batch_size=batch).stream(44100, 2)
    assert stream.latency_samples == batch * HOP - 1 + DELAY


@pytest.mark.parametrize("batch", [1, 3])
def test_output_never_trails_by_more_than_the_latency_and_reaches_it(batch: int) -> None:
    stream = CausalStream(model(), chunking=dataclasses.replace(
        model().config.chunking, batch_size=batch))  # fmt: skip
    made = worst = 0
    for taken in range(6 * HOP * batch):
        made += stream.push(noise(1, taken)).shape[2]
        worst = max(worst, taken + 1 - made)
    assert worst == stream.latency_samples


def test_an_impulse_keeps_its_place() -> None:
    audio = np.zeros((2, 1000), np.float32)
    audio[:, 333] = 1
    stems = Separator(model()).separate(audio, 44100)
    total = np.sum([stems[stem] for stem in STEMS], axis=0)
    np.testing.assert_allclose(total, audio, atol=1e-5)


def test_chosen_stems_mono_and_reset() -> None:
    stream = Separator(model(), stems=["toms", "kick"]).stream(44100, 1)
    audio = noise(500, channels=1)
    first = streamed(stream, audio, [100])
    stream.reset()
    assert np.array_equal(streamed(stream, audio, [7, 300]), first)
    full = Separator(model()).separate(audio, 44100)
    np.testing.assert_array_equal(first[0], full["toms"])
    np.testing.assert_array_equal(first[1], full["kick"])


def test_other_hops_and_models_without_a_state_are_refused() -> None:
    with pytest.raises(InputError, match="only the batch size"):
        CausalStream(model(), chunking=Chunking(128, 1, "causal", lookahead=DELAY))
    fake = IdentityModel(chunk_size=HOP)
    chunking = Chunking(HOP, 1, "causal", lookahead=DELAY)
    config = dataclasses.replace(fake.config, chunking=chunking)
    with pytest.raises(EngineError, match="cannot run the causal"):
        CausalStream(Model(config, fake.backend))
    with pytest.raises(InputError, match="must not overlap or fade"):
        Chunking(HOP, 2, "causal")


def test_nan_from_the_network_is_an_error_and_reset_helps() -> None:
    class Spoilt:
        name = "spoilt"
        bad = True

        def __init__(self, inner: CausalBackend) -> None:
            self.inner = inner

        def __call__(self, batch: Wave) -> Wave:
            return self.inner(batch)

        def initial_state(self) -> Any:
            return self.inner.initial_state()

        def step(self, hops: Wave, state: Any) -> tuple[Wave, Any]:
            stems, state = self.inner.step(hops, state)
            return (stems * np.float32("nan") if self.bad else stems), state

    backend = model().backend
    assert isinstance(backend, CausalBackend)
    spoilt = Spoilt(backend)
    stream = CausalStream(Model(model().config, spoilt))
    with pytest.raises(NonFiniteError, match="tiny-live"):
        stream.push(noise(HOP))
    spoilt.bad = False
    stream.reset()
    assert np.isfinite(streamed(stream, noise(300), [50])).all()


def test_the_backend_on_a_whole_recording_equals_the_stream() -> None:
    audio = noise(777)
    whole = model().backend(audio[None])[0]
    stems = Separator(model(), batch_size=1).separate(audio, 44100)
    for index, stem in enumerate(STEMS):
        np.testing.assert_allclose(stems[stem], whole[index], atol=1e-5)
