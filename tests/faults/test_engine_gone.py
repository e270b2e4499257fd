# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine dies, freezes and comes back: the track goes on, and is in place afterwards."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import numpy as np
import pytest

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.errors import ConnectionLostError

SHARES = np.array([1, 0.5, 0.25, 0.125, 2, 4], np.float32)


class Track:
    """A mixture whose every sample says where it is, and what came back for it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.position = 0
        self.parts: list[np.ndarray] = []

    def play(self, samples: int, patience: float = 30.0) -> None:
        for _ in range(0, samples, 250):
            ramp = np.arange(self.position, self.position + 250, dtype=np.float32) + 1
            self.position += 250
            block = np.stack([ramp, -ramp]) / 2**20
            stems = self.client.process(block, patience=patience)
            self.parts.append(np.stack(list(stems.values())))

    def right(self) -> np.ndarray:
        """For each sample given, past the latency: whether it is the model's and in place."""
        made = np.concatenate(self.parts, axis=2)[..., self.client.latency_samples :]
        ramp = np.arange(1, made.shape[2] + 1, dtype=np.float32) / 2**20
        wanted = SHARES[:, None, None] * np.stack([ramp, -ramp])
        return np.asarray((np.abs(made - wanted) < 1e-6).all(axis=(0, 1)))

    def dry(self) -> np.ndarray:
        """For each sample given: whether it is the dry share of the mixture, in place."""
        made = np.concatenate(self.parts, axis=2)[..., self.client.latency_samples :]
        ramp = np.arange(1, made.shape[2] + 1, dtype=np.float32) / 2**20
        near = np.abs(made - np.stack([ramp, -ramp]) / 6) < 1e-7
        return np.asarray(near.all(axis=(0, 1)))


def test_a_live_track_survives_sigkill_and_is_in_place_when_the_engine_is_back(
    start: Callable[[], EngineProcess],
) -> None:
    with start() as engine:
        client = engine.client(timeout=3)
        client.open("live", max_block=250)
        track = Track(client)
        track.play(3000)
        engine.process.kill()
        engine.process.wait()
        track.play(3000, patience=0.01)
        assert not client.connected
        assert isinstance(client.error, ConnectionLostError)
        with pytest.raises(ConnectionLostError):
            client.reopen()
        track.play(1000, patience=0.01)
    with start() as engine:
        client._where = (engine.socket, None)
        opened = client.reopen()
        assert opened.position == 7000
        track.play(5000)
        right, dry = track.right(), track.dry()
        latency = client.latency_samples
        assert right[: 3000 - latency].all()
        assert (right | dry).all()
        assert dry[3000 : 7000 - latency].all()
        # A stream that starts anew knows nothing before its start; then it is exact.
        assert right[7000:].all()
        client.close()


def test_an_offline_stream_is_told_of_sigkill(start: Callable[[], EngineProcess]) -> None:
    with start() as engine, engine.client(timeout=3) as client:
        client.open("slow-chunked", mode="offline")
        client._send_audio(0, np.zeros((2, 20000), np.float32))
        engine.process.kill()
        with pytest.raises(ConnectionLostError):
            client.separate(np.zeros((2, 200000), np.float32))
        with pytest.raises(ConnectionLostError):
            client.stats()


def test_a_live_track_survives_sigstop_and_catches_up_in_place(
    start: Callable[[], EngineProcess],
) -> None:
    with start() as engine, engine.client(timeout=30) as client:
        client.open("live", max_block=250)
        track = Track(client)
        track.play(3000)
        engine.process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        track.play(150_000, patience=0)  # more than the socket and the queue hold
        assert time.monotonic() - begin < 20  # nobody waited for the engine
        engine.process.send_signal(signal.SIGCONT)
        until = time.monotonic() + 30
        while client.stats().queued and time.monotonic() < until:
            time.sleep(0.01)
        track.play(5000)
        right, dry = track.right(), track.dry()
        latency = client.latency_samples
        assert right[: 3000 - latency].all()
        assert dry[5000:100_000].all()
        assert right[-2000:].all()
        stats = client.stats()
        assert stats.missing > 100_000
        assert client.connected


def test_an_offline_client_gives_up_on_a_frozen_engine_in_time(
    start: Callable[[], EngineProcess],
) -> None:
    with start() as engine, engine.client(timeout=1.5) as client:
        client.open("chunked", mode="offline")
        engine.process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(ConnectionLostError, match="not answered"):
            client.separate(np.zeros((2, 5000), np.float32))
        assert time.monotonic() - begin < 10
        engine.process.send_signal(signal.SIGCONT)


def test_a_slow_model_is_no_dead_engine(process: EngineProcess) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 60000)).astype(np.float32)
    with process.client(timeout=1.2) as client:  # the model needs longer than that in all
        client.open("slow-chunked", mode="offline")
        made = client.separate(audio)
        np.testing.assert_allclose(made["kick"], audio, atol=1e-6)
