# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine process for faults, and a witness that must not notice them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.bridge.protocol.wire import Decoder, encode
from tests.models import SHARES as PARTS
from tests.models import python_path

SHARES = np.array(PARTS, np.float32)
ENVIRONMENT = {"PYTHONPATH": python_path(Path(__file__).parents[1] / "bridge")}


def start_engine(*arguments: str) -> EngineProcess:
    return EngineProcess(["--models-from", "engine_models", *arguments], environment=ENVIRONMENT)


class Peer:
    """A greeted client that speaks the protocol by hand, over the Unix socket."""

    def __init__(self, process: EngineProcess) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(os.fspath(process.socket))
        self.decoder = Decoder()
        self.waiting: list[Message] = []
        self.ask(messages.Hello(client="by hand", request=1))

    def send(self, *wanted: Message) -> None:
        self.sock.sendall(b"".join(encode(message) for message in wanted))

    def read(self) -> Message:
        while not self.waiting:
            data = self.sock.recv(1 << 16)
            assert data, "the engine closed"
            self.decoder.feed(data)
            self.waiting += list(self.decoder.messages())
        return self.waiting.pop(0)

    def ask(self, message: Message) -> Message:
        """The answer to a request; what else comes before it is dropped."""
        self.send(message)
        return self.answer(message.request)

    def answer(self, request: int) -> Message:
        while True:
            answer = self.read()
            if answer.request == request and not isinstance(answer, messages.JobProgress):
                return answer

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


@pytest.fixture
def dial(process: EngineProcess) -> Callable[[], Peer]:
    """Makes clients that may do what is forbidden."""
    return lambda: Peer(process)


@pytest.fixture(scope="module")
def process() -> Iterator[EngineProcess]:
    with start_engine() as process:
        yield process


@pytest.fixture(scope="session")
def start() -> Callable[..., EngineProcess]:
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
