# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that the engine books for a stream is what its buffers take, or a little more."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from lars_plugin.bridge.engine.memory import Memory, stream_bytes
from lars_plugin.bridge.engine.plan import plan_stream
from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.messages import Open
from lars_plugin.composites.composite import Cascade
from lars_plugin.errors import InputError
from lars_plugin.model import AnyModel, Model, Refinement
from lars_plugin.testing import GainModel
from lars_plugin.zoo.composite_specs import load_composite
from lars_plugin.zoo.load import load_model
from lars_plugin.zoo.registry import get_config, list_models

KIT = ("kick", "snare", "ride")
MUSIC = ("vocals", "drums", "other")


def chunked() -> Model:
    return GainModel([0.5, -0.25, 2], KIT, 1 << 16)


def refined() -> Model:
    fit = Refinement(window=1 << 17, n_fft=1020, components=1, iterations=1)
    return Model(dataclasses.replace(chunked().config, refinement=fit), chunked().backend)


def cascade() -> Cascade:
    return Cascade(GainModel([0.1, 0.6, 0.3], MUSIC, 1 << 17), refined())


def peak(model: AnyModel, requested: Open) -> int:
    """Bytes that were there at a time, the engine's own copies of what is finished aside."""
    stream, _ = plan_stream(model, requested)
    stream.push(np.zeros((2, 999), np.float32))  # the converters' filters are there then
    stream.reset()
    block = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4096)).astype(np.float32)
    tracemalloc.start()
    try:
        for _ in range(round(5 * requested.sample_rate / 4096)):
            stream.push(block)
        stream.flush()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rate", [8000.0, 44100.0, 768000.0])
@pytest.mark.parametrize("make", [chunked, refined, cascade])
def test_a_stream_takes_no_more_memory_than_is_booked_at_any_rate(
    make: Callable[[], AnyModel], rate: float
) -> None:
    for mode in (Open.OFFLINE, Open.LIVE):
        requested = Open(model="a", mode=mode, sample_rate=rate)
        # What a fit works with, and a stranger's buffers.
        rest = 8 << 20 if make is chunked else 64 << 20
        assert peak(make(), requested) < stream_bytes(make(), requested) + rest


@pytest.mark.parametrize("rate", [8000.0, 44100.0, 192000.0, 768000.0])
@pytest.mark.parametrize(
    ("step", "lookahead"),
    [(limits.ENGINE_CHOICE, limits.ENGINE_CHOICE), (1 << 12, limits.ENGINE_CHOICE), (1 << 12, 0)],
)
def test_what_is_booked_for_a_live_stream_is_at_most_twice_what_it_takes(
    rate: float, step: int, lookahead: int
) -> None:
    requested = Open(model="a", mode=Open.LIVE, sample_rate=rate, step=step, lookahead=lookahead)
    assert stream_bytes(chunked(), requested) < 2 * peak(chunked(), requested) + (4 << 20)


def zoo_like(name: str) -> AnyModel:
    """A model of the zoo, but for its network."""
    config = get_config(name)
    stand_in = GainModel([0.0] * len(config.stems), config.stems)
    return load_composite(name, zoo_like) or Model(config, stand_in.backend)


# What cascade-best is depends on what is here.
ZOO = [config.name for config in list_models() if config.name != "cascade-best"]


@pytest.mark.parametrize("name", ZOO)
def test_every_model_of_the_zoo_opens_live_at_192_khz(name: str) -> None:
    wish = Open(model=name, mode=Open.LIVE, sample_rate=192000.0)
    Memory().take(1, stream_bytes(zoo_like(name), wish))


def test_refined_streams_are_opened_at_192_khz_and_refused_where_they_would_take_gigabytes() -> (
    None
):
    model, memory = load_model("lars-mini", device="cpu", backend="torch"), Memory()
    wish = Open(model="lars-mini", mode=Open.OFFLINE, sample_rate=192000.0)
    memory.take(1, stream_bytes(model, wish))
    with pytest.raises(InputError, match="take a lower rate"):
        memory.take(2, stream_bytes(model, dataclasses.replace(wish, sample_rate=768000.0)))
