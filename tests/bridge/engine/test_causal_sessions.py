# SPDX-License-Identifier: GPL-3.0-or-later
"""Causal models in the engine: each stream has its own state, and gaps leave all in place."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.audio import read_audio, write_audio
from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.errors import EngineError, InputError, LarsError, NonFiniteError
from lars_plugin.model import Chunking, Model, ModelConfig
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.live_rate import LiveRateStream
from lars_plugin.separation.streams.rate import RateStream
from tests.models import causal

Wave = NDArray[np.float32]

HOP = 64
STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")
SHARES = np.array([1, 0.5, 0.25, 0.125, 2, 4], np.float32)[:, None, None]


@functools.cache
def tiny() -> Model:
    """A small random network of the live kind."""
    return causal()


class Delayed:
    """Stems that are shares of the input, later by ``delay``: the past is all it knows.

    ``fault`` is asked before each step, with its number; True makes the step's output NaN, and
    like a network's its state with it.
    """

    name = "delayed shares"

    def __init__(self, delay: int, fault: Callable[[int], bool] = lambda step: False) -> None:
        self._delay = delay
        self._fault = fault
        self._steps = 0

    def __call__(self, batch: Wave) -> Wave:
        return batch[:, None] * SHARES

    def initial_state(self) -> Any:
        return np.zeros((2, self._delay), np.float32)

    def step(self, hops: Wave, state: Any) -> tuple[Wave, Any]:
        self._steps += 1
        both = np.concatenate([state, hops], axis=1)
        if self._fault(self._steps):
            both = both * np.nan
        return both[:, : hops.shape[1]] * SHARES, both[:, hops.shape[1] :]


def delayed(delay: int, fault: Callable[[int], bool] = lambda step: False) -> Model:
    chunking = Chunking(HOP, 1, "causal", lookahead=delay)
    return Model(ModelConfig("delayed", STEMS, chunking), Delayed(delay, fault))


def raising(step: int) -> bool:
    if step == 20:
        raise MemoryError("out of memory")
    return False


def slow(step: int) -> bool:
    time.sleep(0.02)
    return False


MODELS: dict[str, Callable[[], Model]] = {
    "tiny": tiny,
    "delayed": lambda: delayed(150),
    "nan": lambda: delayed(150, lambda step: step == 20),
    "raises": lambda: delayed(100, raising),
    "slow": lambda: delayed(100, slow),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with EngineThread(MODELS) as engine:
        yield engine


def noise(samples: int, channels: int = 2, seed: int = 0) -> Wave:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def ramp(samples: int, full: int) -> Wave:
    """Each sample says where it is."""
    up = np.arange(1, samples + 1, dtype=np.float32) / np.float32(full)
    return np.stack([up, up])


def through(client: Client, audio: Wave, blocks: list[int], patience: float = 30) -> Wave:
    parts, at, turn = [], 0, 0
    while at < audio.shape[1]:
        block = audio[:, at : at + blocks[turn % len(blocks)]]
        parts.append(client.process(block, patience=patience))
        at, turn = at + block.shape[1], turn + 1
    parts.append(client.flush())
    made = np.concatenate([np.stack(list(part.values())) for part in parts], axis=2)
    return made[..., client.latency_samples :]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_live_causal_stems_are_those_of_the_stream_in_process_however_blocks_fall(
    engine: EngineThread, data: st.DataObject
) -> None:
    rate = data.draw(st.sampled_from([44100, 48000, 96000]))
    channels = data.draw(st.sampled_from([1, 2]))
    blocks = data.draw(st.lists(st.sampled_from([17, 64, 128, 500, 2048]), min_size=1))
    audio = noise(data.draw(st.integers(1, 3000)), channels)
    kind = RateStream if rate == 44100 else LiveRateStream
    stream = kind(tiny(), rate, channels)
    wanted = np.concatenate([stream.push(audio), stream.flush()], axis=2)
    with engine.client() as client:
        opened = client.open("tiny", rate, channels, max_block=max(blocks))
        assert opened.model_latency + opened.resampling_latency == stream.latency_samples
        made = through(client, audio, blocks)
        assert client.stats().missing == client.stats().replaced == 0
    np.testing.assert_array_equal(made, wanted)


def test_the_reported_latency_is_hop_and_delay_and_step_is_a_number_of_hops(
    engine: EngineThread,
) -> None:
    audio = noise(3000)
    with engine.client() as client:
        for step in (None, HOP, 2 * HOP, 5 * HOP):
            opened = client.open("delayed", step=step, max_block=32)
            assert opened.model_latency == (step or HOP) - 1 + 150
            assert opened.buffering_latency == max(32, step or HOP)
            np.testing.assert_array_equal(through(client, audio, [32]), SHARES * audio)
        for wrong in ({"step": HOP + 1}, {"step": 0}, {"lookahead": 3}):
            with pytest.raises(InputError, match="this model"):
                client.open("delayed", **wrong)  # type: ignore[arg-type]


def test_streams_of_one_causal_model_have_states_of_their_own(engine: EngineThread) -> None:
    tracks = [noise(2000, seed=seed) for seed in range(4)]
    wanted = [Separator(tiny()).separate(track, 44100) for track in tracks]
    clients = [engine.client() for _ in tracks]
    try:
        for client in clients:
            client.open("tiny", max_block=100)
        parts: list[list[Wave]] = [[] for _ in tracks]
        for at in range(0, 2000, 100):
            for client, track, mine in zip(clients, tracks, parts, strict=True):
                stems = client.process(track[:, at : at + 100], patience=30)
                mine.append(np.stack(list(stems.values())))
        for client, mine, stems in zip(clients, parts, wanted, strict=True):
            mine.append(np.stack(list(client.flush().values())))
            made = np.concatenate(mine, axis=2)[..., client.latency_samples :]
            np.testing.assert_array_equal(made, np.stack(list(stems.values())))
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(("model", "kind"), [("nan", NonFiniteError), ("raises", EngineError)])
@pytest.mark.parametrize("fallback", ["dry", "silence"])
def test_a_causal_step_that_fails_is_replaced_in_place_and_the_state_starts_anew(
    model: str, kind: type[LarsError], fallback: str
) -> None:
    audio = ramp(6000, 8192)
    with EngineThread(MODELS) as own, own.client() as client:
        client.open(model, max_block=100, fallback=fallback)  # type: ignore[arg-type]
        made = through(client, audio, [100])
        stats = client.stats()
        assert isinstance(client.error, kind)
    exact = SHARES * audio
    other: Wave = audio / np.float32(6 if fallback == "dry" else np.inf)
    wrong = np.flatnonzero(np.abs(made - exact).max(axis=(0, 1)) > 1e-5)
    assert 0 < len(wrong) <= stats.replaced
    # A step, what the network could not know after it, and a fade: then all is right again.
    assert wrong[-1] - wrong[0] < HOP + 150 + 64
    hole = slice(wrong[0], wrong[0] + HOP)
    np.testing.assert_allclose(made[..., hole] - other[..., hole], 0, atol=1e-5)
    # All of it lies between the network's stems and the stand-in, sample by sample.
    low, high = np.minimum(exact, other), np.maximum(exact, other)
    assert ((made >= low - 1e-5) & (made <= high + 1e-5)).all()


def test_a_causal_model_slower_than_real_time_is_replaced_counted_and_stays_in_place(
    engine: EngineThread,
) -> None:
    audio = ramp(30000, 65536)
    with engine.client() as client:
        client.open("slow", max_block=500, fallback="dry")
        made = through(client, audio, [500], patience=0.002)
        stats = client.stats()
        assert stats.missing > 0
        assert stats.replaced > 0
        low = np.minimum(SHARES * audio, audio / 6) - 1e-5
        high = np.maximum(SHARES * audio, audio / 6) + 1e-5
        assert ((made >= low) & (made <= high)).all()
        client.reset()
        short = ramp(1000, 65536)
        np.testing.assert_allclose(through(client, short, [500]), SHARES * short, atol=1e-6)


def test_causal_models_run_offline_and_in_file_jobs_as_in_process(
    engine: EngineThread, tmp_path: Path
) -> None:
    audio = noise(9000)
    wanted = Separator(tiny()).separate(audio, 44100)
    with engine.client() as client:
        client.open("tiny", mode="offline")
        made = client.separate(audio)
        for name in wanted:
            np.testing.assert_array_equal(made[name], wanted[name])
        write_audio(tmp_path / "drums.wav", audio, 44100, bits="32f")
        files = client.separate_file(tmp_path / "drums.wav", tmp_path / "s", "tiny", bits="32f")
    for path in files:
        np.testing.assert_array_equal(read_audio(path)[0], wanted[path.stem])
