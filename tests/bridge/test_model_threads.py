# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks run on the thread of their model, whoever asks and however little there is to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.model import Chunking, Model
from lars_plugin.testing import IdentityModel

Wave = NDArray[np.float32]

CHUNKING = Chunking(64, 1, "live")
SHARES = np.array([1, 0.5, 0.25, 0.125, 2, 4], np.float32)[:, None, None]


class Witness:
    """Shares of the mixture, and the names of the threads that made them."""

    name = "witness"

    def __init__(self) -> None:
        self.threads: list[str] = []

    def __call__(self, batch: Wave) -> Wave:
        self.threads.append(threading.current_thread().name)
        return batch[:, None] * SHARES


WITNESS = Witness()
MODELS = {"witness": lambda: Model(IdentityModel(chunking=CHUNKING).config, WITNESS)}


@pytest.fixture
def engine() -> Iterator[EngineThread]:
    WITNESS.threads.clear()
    with EngineThread(MODELS) as engine:
        yield engine


def exact(client: Client, audio: Wave, block: int) -> None:
    parts = [
        client.process(audio[:, at : at + block], patience=30)
        for at in range(0, audio.shape[1], block)
    ]
    parts.append(client.flush())
    result = np.concatenate([np.stack(list(part.values())) for part in parts], axis=2)
    np.testing.assert_array_equal(result[..., client.latency_samples :], SHARES * audio)


def noise(samples: int) -> Wave:
    return np.random.default_rng(samples).uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


def test_a_network_runs_on_its_models_thread_only_live_or_offline(engine: EngineThread) -> None:
    with engine.client() as client:
        client.open("witness", max_block=100)
        exact(client, noise(3000), 100)
        client.open("witness", max_block=20000)
        exact(client, noise(60000), 20000)
        client.open("witness", mode="offline")
        client.separate(noise(5000))
    assert set(WITNESS.threads) == {"model witness"}


def test_many_clients_of_one_model_are_all_exact(engine: EngineThread) -> None:
    clients = [engine.client() for _ in range(6)]
    failures: list[BaseException] = []

    def play(client: Client, block: int) -> None:
        try:
            client.open("witness", max_block=block)
            for _ in range(3):
                exact(client, noise(40 * block), block)
                client.reset()
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=play, args=(client, 40 + 37 * number))
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    assert not failures
