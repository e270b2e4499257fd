# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that misbehave: the one concerned gets a typed error, everyone else notices nothing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.codes import exception_of
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.bridge.protocol.wire import Decoder, encode
from lars_plugin.errors import (
    InputError,
    LimitError,
    NonFiniteError,
    ProtocolError,
)

Check = Callable[[], None]


class Raw:
    """A socket that speaks the protocol by hand."""

    def __init__(self, process: EngineProcess) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.fspath(process.socket))
        self.sock.settimeout(20)
        self.decoder = Decoder()
        self.waiting: list[Message] = []

    def send(self, *wanted: Message) -> None:
        self.sock.sendall(b"".join(encode(message) for message in wanted))

    def read(self) -> Message:
        while not self.waiting:
            data = self.sock.recv(65536)
            assert data, "the engine closed"
            self.decoder.feed(data)
            self.waiting += list(self.decoder.messages())
        return self.waiting.pop(0)

    def read_until(self, kind: type[Message]) -> Message:
        while not isinstance(message := self.read(), kind):
            pass
        return message

    def closed(self) -> bool:
        return self.sock.recv(1) == b""

    def open(self, model: str = "live", **settings: object) -> messages.Opened:
        self.send(messages.Hello(client="raw"))
        self.read_until(messages.Welcome)
        self.send(messages.Open(model=model, request=1, **settings))  # type: ignore[arg-type]
        opened = self.read()
        assert isinstance(opened, messages.Opened)
        return opened


@pytest.fixture
def raw(process: EngineProcess) -> Iterator[Raw]:
    raw = Raw(process)
    yield raw
    raw.sock.close()


def block(position: int, samples: int = 256, value: float = 0.25, **more: int) -> messages.Audio:
    wave = np.full((2, samples), value, np.float32)
    return messages.Audio(position=position, **messages.Audio.planar(wave), **more)  # type: ignore[arg-type]


def descriptors(process: EngineProcess) -> int:
    return len(os.listdir(f"/proc/{process.process.pid}/fd"))


@pytest.mark.parametrize("mode", [messages.Open.LIVE, messages.Open.OFFLINE])
def test_a_peer_that_vanishes_in_mid_frame_takes_nothing_with_it(
    process: EngineProcess, witness: Check, works: Check, mode: int
) -> None:
    before = descriptors(process)
    for _ in range(5):
        raw = Raw(process)
        raw.open(mode=mode)
        raw.sock.sendall(encode(block(0))[:700])
        raw.sock.close()
    witness()
    works()
    for _ in range(200):
        if descriptors(process) <= before:
            break
        time.sleep(0.01)
    assert descriptors(process) <= before


def test_a_peer_that_drips_single_bytes_is_served_and_delays_nobody(
    process: EngineProcess, raw: Raw, witness: Check
) -> None:
    stream = encode(messages.Hello(client="drip"))
    stream += encode(messages.Open(model="live", max_block=64, buffering=0, request=1))
    stream += encode(block(0, 64)) + encode(messages.Flush(position=64, request=2))
    for at, byte in enumerate(stream):
        raw.sock.sendall(bytes([byte]))
        if at % 200 == 0:
            witness()
    stems = raw.read_until(messages.Stems)
    assert isinstance(stems, messages.Stems)
    assert stems.position == 0
    raw.read_until(messages.Flushed)


def test_a_peer_that_says_nothing_is_sent_away_in_time(process: EngineProcess, raw: Raw) -> None:
    raw.sock.sendall(b"LARS")
    answer = raw.read()  # within the socket's timeout of 20 s
    assert isinstance(answer, messages.Error)
    assert answer.fatal
    assert raw.closed()


@pytest.mark.parametrize("kind", [messages.Hello, messages.Audio, messages.Job, messages.Ping])
def test_a_claim_of_four_gigabytes_is_refused_at_once(
    process: EngineProcess, raw: Raw, witness: Check, kind: type[Message]
) -> None:
    if kind is not messages.Hello:
        raw.open()
    head = bytearray(encode(kind()))[: limits.HEADER_BYTES]
    head[8:12] = b"\xff\xff\xff\xff"
    raw.sock.sendall(bytes(head))
    answer = raw.read()
    assert isinstance(answer, messages.Error)
    assert isinstance(exception_of(answer), ProtocolError)
    assert answer.fatal
    assert raw.closed()
    witness()


def test_an_offline_peer_that_stops_reading_waits_and_then_gets_everything(
    process: EngineProcess, raw: Raw, witness: Check
) -> None:
    raw.open("chunked", mode=messages.Open.OFFLINE)
    raw.sock.setblocking(False)
    data, position, stalled = b"", 0, 0
    while stalled < 50:  # until the engine takes no more
        if not data:
            data = encode(block(position, 65536))
            position += 65536
        try:
            data = data[raw.sock.send(data) :]
            stalled = 0
        except BlockingIOError:
            stalled += 1
            time.sleep(0.01)
        assert position < 65536 * 1000
    witness()
    raw.sock.setblocking(True)
    raw.sock.settimeout(20)
    got = 0
    while got < position - 2 * 65536 - 4096:
        stems = raw.read_until(messages.Stems)
        assert isinstance(stems, messages.Stems)
        assert stems.position == got
        assert (stems.wave()[4] == 0.5).all()
        got += stems.frames
    witness()


def test_a_live_peer_that_stops_reading_loses_stems_but_not_their_place(
    process: EngineProcess, raw: Raw, witness: Check
) -> None:
    raw.open(max_block=4096)
    for number in range(400):
        raw.send(block(4096 * number, 4096))
        if number % 100 == 0:
            witness()
    end = 400 * 4096
    seen, last = 0, 0
    raw.send(messages.Flush(position=end, request=9))
    while not isinstance(message := raw.read(), messages.Flushed):
        if isinstance(message, messages.Stems):
            assert message.position >= last
            last = message.position + message.frames
            seen += message.frames
    assert message.position == end
    assert seen < end
    raw.send(messages.Reset(position=end, epoch=1, request=10))
    raw.read_until(messages.ResetDone)
    raw.send(block(end, 4096, epoch=1))
    stems = raw.read_until(messages.Stems)
    assert (stems.position, stems.epoch) == (end, 1)


def test_the_65th_session_is_refused_and_64_work(process: EngineProcess, works: Check) -> None:
    clients = []
    try:
        for _ in range(limits.MAX_SESSIONS):
            clients.append(process.client())
            clients[-1].open("live")
        with process.client() as extra:
            with pytest.raises(LimitError, match="64 streams"):
                extra.open("live")
            for client in clients:
                assert client.process(np.zeros((2, 64), np.float32)).samples == 64
            clients.pop().close()
            while len(extra.status()["sessions"]) == limits.MAX_SESSIONS:
                time.sleep(0.01)
            extra.open("live")
    finally:
        for client in clients:
            client.close()
    with process.client() as client:
        while client.status()["sessions"]:
            time.sleep(0.01)
    works()


def test_too_many_connections_are_refused_with_a_reason(
    process: EngineProcess, works: Check
) -> None:
    raws = [Raw(process) for _ in range(limits.MAX_CONNECTIONS + 3)]
    try:
        raws[-1].sock.settimeout(4)
        answer = raws[-1].read()
        assert isinstance(answer, messages.Error)
        assert isinstance(exception_of(answer), LimitError)
    finally:
        for raw in raws:
            raw.sock.close()
    for _ in range(500):
        try:
            works()
            return
        except LimitError:  # the engine has not noticed yet that they are gone
            time.sleep(0.01)
    works()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_live_nan_is_told_and_heard_as_silence_in_its_place(
    process: EngineProcess, witness: Check, value: float
) -> None:
    audio = np.full((2, 4000), 0.25, np.float32)
    audio[1, 1234] = value
    with process.client() as client:
        client.open("live", max_block=500)
        parts = [client.process(audio[:, at : at + 500], patience=30) for at in range(0, 4000, 500)]
        parts.append(client.flush())
        made = np.concatenate([part["kick"] for part in parts], axis=1)
        made = made[:, client.latency_samples :]
        wanted = np.full((2, 4000), 0.25, np.float32)
        wanted[:, 1000:1500] = 0
        np.testing.assert_allclose(made, wanted, atol=1e-6)
        assert isinstance(client.error, NonFiniteError)
        assert "position 1000" in str(client.error)
        assert client.stats().errors == 1
    witness()


def test_offline_nan_fails_the_stream_until_it_is_reset(
    process: EngineProcess, witness: Check
) -> None:
    audio = np.full((2, 40000), 0.25, np.float32)
    audio[0, 20001] = np.nan
    with process.client() as client:
        client.open("chunked", mode="offline")
        with pytest.raises(NonFiniteError, match="repair"):
            client.separate(audio)
        client.reset()
        audio[0, 20001] = 0.25
        np.testing.assert_allclose(client.separate(audio)["kick"], audio, atol=1e-6)
    witness()


def test_denormals_are_silence_and_what_is_louder_passes(process: EngineProcess) -> None:
    audio = np.full((2, 5000), np.float32(1e-41))
    audio[:, 3000:] = 1e-20
    wanted = np.where(audio < 1e-30, np.float32(0), audio)
    with process.client() as client:
        client.open("live", mode="offline", stems=["kick"])
        np.testing.assert_allclose(client.separate(audio)["kick"], wanted, rtol=1e-6)


def test_lost_blocks_leave_a_gap_and_what_follows_is_in_place(
    process: EngineProcess, raw: Raw, witness: Check
) -> None:
    raw.open(max_block=256)
    raw.send(block(0), block(256), block(10000, value=0.5), block(10256, value=0.5))
    raw.send(messages.Flush(position=10512, request=5))
    last = 0
    while not isinstance(message := raw.read(), messages.Flushed):
        assert isinstance(message, messages.Stems)
        if message.position >= 10000:
            np.testing.assert_allclose(message.wave()[0], 0.5, atol=1e-6)
        else:
            assert message.position + message.frames <= 512
        assert message.position >= last
        last = message.position + message.frames
    assert last == 10512
    raw.send(messages.Stats(request=6))
    stats = raw.read_until(messages.Statistics)
    assert isinstance(stats, messages.Statistics)
    assert stats.dropped == 10000 - 512


def test_audio_out_of_order_or_shape_is_a_typed_error(
    process: EngineProcess, raw: Raw, witness: Check
) -> None:
    raw.open("chunked", mode=messages.Open.OFFLINE)
    raw.send(block(100, epoch=0))
    assert isinstance(exception_of(raw.read()), ProtocolError)  # type: ignore[arg-type]
    raw.send(messages.Flush(position=0, request=4))
    answer = raw.read()
    assert isinstance(answer, messages.Error)
    assert answer.request == 4
    raw.send(messages.Reset(epoch=1, request=5), block(0, epoch=0), block(0, epoch=1))
    assert raw.read().request == 5
    mono = messages.Audio.planar(np.zeros((1, 8), np.float32))
    raw.send(messages.Audio(position=256, epoch=1, **mono))
    assert isinstance(exception_of(raw.read_until(messages.Error)), InputError)  # type: ignore[arg-type]
    witness()


def test_messages_without_a_stream_are_answered(process: EngineProcess, raw: Raw) -> None:
    raw.send(messages.Hello())
    raw.read()
    raw.send(
        messages.Flush(request=1),
        messages.Reset(request=2),
        messages.Stats(request=3),
        messages.Close(request=4),
        messages.JobCancel(request=5),
        messages.Ping(request=6, payload=b"x"),
    )
    answers = [raw.read() for _ in range(5)]
    assert [answer.request for answer in answers] == [1, 2, 3, 4, 6]
    assert [type(answer) for answer in answers[:3]] == [messages.Error] * 3
    assert isinstance(answers[4], messages.Pong)
    raw.send(messages.Hello())
    assert isinstance(raw.read(), messages.Error)
    assert raw.closed()


def test_block_sizes_beyond_the_declared_one_are_fine(process: EngineProcess) -> None:
    with process.client() as client:
        client.open("live", max_block=16)
        audio = np.full((2, 20000), 0.5, np.float32)
        made = client.process(audio, patience=30)["kick"]
        np.testing.assert_allclose(made[:, client.latency_samples :], 0.5, atol=1e-6)
