# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine process for faults, and a witness that must not notice them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.bridge.client import Client
from lars_plugin.bridge.embedded import EngineProcess

SHARES = np.array([1, 0.5, 0.25, 0.125, 2, 4], np.float32)
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[1] / "bridge")}


def start_engine() -> EngineProcess:
    return EngineProcess(["--models-from", "engine_models"], environment=ENVIRONMENT)


@pytest.fixture(scope="module")
def process() -> Iterator[EngineProcess]:
    with start_engine() as process:
        yield process


@pytest.fixture
def start() -> Callable[[], EngineProcess]:
    return start_engine


@pytest.fixture
def witness(process: EngineProcess) -> Iterator[Callable[[], None]]:
    """Streams on beside whatever happens; a call checks that it is exact and in place."""
    rng = np.random.default_rng(7)
    with process.client(name="witness") as client:
        latency = client.open("live", max_block=300).latency
        taken = np.zeros((2, latency), np.float32)

        def check() -> None:
            nonlocal taken
            for _ in range(10):
                block = rng.uniform(-0.5, 0.5, (2, 300)).astype(np.float32)
                taken = np.concatenate([taken, block], axis=1)
                made = np.stack(list(client.process(block, patience=30).values()))
                wanted = SHARES[:, None, None] * taken[:, :300]
                np.testing.assert_allclose(made, wanted, atol=1e-6)
                taken = taken[:, 300:]

        check()
        yield check
        check()
        stats = client.stats()
        assert (stats.missing, stats.replaced, stats.errors) == (0, 0, 0)


def exact_live_stream(client: Client) -> None:
    """What every client must still get afterwards."""
    rng = np.random.default_rng(3)
    audio = rng.uniform(-0.5, 0.5, (2, 3000)).astype(np.float32)
    client.open("live", max_block=300)
    parts = [client.process(audio[:, at : at + 300], patience=30) for at in range(0, 3000, 300)]
    parts.append(client.flush())
    made = np.concatenate([np.stack(list(part.values())) for part in parts], axis=2)
    made = made[..., client.latency_samples :]
    np.testing.assert_allclose(made, SHARES[:, None, None] * audio, atol=1e-6)


@pytest.fixture
def works(process: EngineProcess) -> Callable[[], None]:
    """Checks that a new client gets an exact stream."""

    def check() -> None:
        with process.client() as client:
            exact_live_stream(client)

    return check
