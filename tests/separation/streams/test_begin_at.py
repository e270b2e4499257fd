# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that begin inside a recording give the samples that they give there in one go."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin.model import Chunking, Model, ModelConfig, Refinement, Wave
from lars_plugin.separation.streams.base import ModelStream
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.testing import DelayModel, GainModel
from tests.separation.streams.test_chunked import chunkings, make

KIT = ("kick", "snare", "ride")


def whole(stream: ModelStream, wave: Wave) -> Wave:
    stream.reset()
    return np.concatenate([stream.push(wave), stream.flush()], axis=2)


def from_sample(stream: ModelStream, wave: Wave, sample: int) -> Wave | None:
    begin = stream.begin_at(sample)
    if begin is None:
        return None
    assert 0 <= begin <= sample
    return np.concatenate([stream.push(wave[:, begin:]), stream.flush()], axis=2)


@settings(max_examples=150, deadline=None)
@given(chunkings(), st.integers(0, 600), st.integers(0, 200), st.sampled_from([1, 2]))
def test_chunks_begin_anywhere_with_the_same_samples_to_the_bit(
    chunking: Chunking, sample: int, more: int, channels: int
) -> None:
    stream = open_stream(make(chunking), channels=channels)
    rng = np.random.default_rng(sample)
    length = sample + 2 * stream.latency_samples + more + 1
    wave = rng.uniform(-1, 1, (channels, length)).astype(np.float32)
    expected = whole(stream, wave)
    for _ in range(2):  # a stream can begin again
        found = from_sample(stream, wave, sample)
        assert found is not None
        np.testing.assert_array_equal(found, expected[..., sample:])
    np.testing.assert_array_equal(whole(stream, wave), expected)


@pytest.mark.parametrize("sample", [0, 1, 700, 1650, 1651, 4000, 9000])
@pytest.mark.parametrize("channels", [1, 2])
def test_refinement_begins_anywhere_with_the_same_samples_to_the_bit(
    sample: int, channels: int
) -> None:
    model = DelayModel(3, GainModel([0.5, -0.25, 2], KIT, 512))
    fit = Refinement(window=1800, n_fft=120, components=1, iterations=1)
    config = dataclasses.replace(model.config, refinement=fit)
    stream = open_stream(Model(config, model.backend), channels=channels)
    length = sample + 2 * stream.latency_samples + 77
    rng = np.random.default_rng(3)
    wave = rng.standard_normal((channels, length)).astype(np.float32) * 0.1
    expected = whole(stream, wave)
    found = from_sample(stream, wave, sample)
    assert found is not None
    np.testing.assert_array_equal(found, expected[..., sample:])


def test_what_depends_on_all_that_came_before_cannot_begin_but_at_the_start() -> None:
    model = DelayModel(3, GainModel([0.5, -0.25, 2], KIT, 512))
    other_rate = open_stream(model, 48000)
    assert other_rate.begin_at(5000) is None
    assert other_rate.begin_at(0) == 0


def test_a_causal_network_keeps_what_it_heard() -> None:
    from tests.separation.streams.test_protocol import Late

    config = ModelConfig("late", KIT, Chunking(64, 1, "causal", lookahead=16))
    assert open_stream(Model(config, Late())).begin_at(640) is None
