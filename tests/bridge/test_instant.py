# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs the network: its own thread, but for small pieces and backends that never wait."""

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

    def __init__(self, instant: bool) -> None:
        self.instant = instant
        self.threads: list[str] = []

    def __call__(self, batch: Wave) -> Wave:
        self.threads.append(threading.current_thread().name)
        return batch[:, None] * SHARES


BACKENDS = {"instant": Witness(True), "ordinary": Witness(False)}
MODELS = {
    name: (lambda backend=backend: Model(IdentityModel(chunking=CHUNKING).config, backend))
    for name, backend in BACKENDS.items()
}


@pytest.fixture
def engine() -> Iterator[EngineThread]:
    for backend in BACKENDS.values():
        backend.threads.clear()
    with EngineThread(MODELS) as engine:
        yield engine


def exact(client: Client, audio: Wave, block: int) -> None:
    parts = [
        client.process(audio[:, at : at + block], patience=30)
        for at in range(0, audio.shape[1], block)
    ]
    parts.append(client.flush())
    made = np.concatenate([np.stack(list(part.values())) for part in parts], axis=2)
    np.testing.assert_array_equal(made[..., client.latency_samples :], SHARES * audio)


def noise(samples: int) -> Wave:
    return np.random.default_rng(samples).uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


def test_an_ordinary_network_never_runs_on_the_network_thread(engine: EngineThread) -> None:
    with engine.client() as client:
        client.open("ordinary", max_block=100)
        exact(client, noise(3000), 100)
    assert set(BACKENDS["ordinary"].threads) == {"model ordinary"}


def test_an_instant_one_does_for_small_blocks_and_is_exact(engine: EngineThread) -> None:
    with engine.client() as client:
        client.open("instant", max_block=100)
        exact(client, noise(3000), 100)
    assert "engine" in BACKENDS["instant"].threads


def test_large_pieces_offline_streams_and_boards_are_left_to_the_models_thread(
    engine: EngineThread, tmp_path: object
) -> None:
    board = f"{tmp_path}/board.json"
    with open(board, "w", encoding="utf-8") as file:
        file.write('{"stems": {"kick": [{"plugin": "Gain", "gain_db": 0}]}}')
    with engine.client() as client:
        client.open("instant", max_block=20000)
        exact(client, noise(60000), 20000)
        client.open("instant", mode="offline")
        client.separate(noise(5000))
        client.open("instant", max_block=500, board=board)
        for _ in range(10):
            client.process(noise(500), patience=30)
    # The last, partial chunk of a stream is a small piece again.
    names = BACKENDS["instant"].threads
    assert names.count("engine") <= 16
    assert names.count("model instant") > 900


def test_many_clients_of_an_instant_model_are_all_exact(engine: EngineThread) -> None:
    clients = [engine.client() for _ in range(6)]
    failures: list[BaseException] = []

    def play(client: Client, block: int) -> None:
        try:
            client.open("instant", max_block=block)
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
