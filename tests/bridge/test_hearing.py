# SPDX-License-Identifier: GPL-3.0-or-later
"""HEAR: the engine tells of the hits in a stream's input, each in its place and in good time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from lars_plugin.bridge.client.link import Link
from lars_plugin.bridge.engine import hearing as engine_hearing
from lars_plugin.bridge.engine.hearing import TRANSCRIBER, Hearing
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.messages import Message, Open
from lars_plugin.midi.live_heard import LiveHearing
from lars_plugin.midi.transcriber import load_transcriber
from lars_plugin.model import Model
from lars_plugin.testing import IdentityModel
from tests.drums import kicks_and_snares
from tests.models import live

SECONDS = 2


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with EngineThread({"live": live, "identity": IdentityModel}) as engine:
        yield engine


class Peer:
    """Speaks with an engine message by message."""

    def __init__(self, engine: EngineThread) -> None:
        assert engine.socket is not None
        self.got: list[Message] = []
        self.link = Link(engine.socket, "", name="peer", timeout=60.0, receive=self.got.append)
        self.number = 0

    def ask(self, message: Message, kind: type[Message]) -> Message:
        self.number += 1
        self.link.send(type(message)(**{**message.__dict__, "request": self.number}))
        self.link.wait(lambda: any(m.request == self.number for m in self.got))
        (answer,) = [m for m in self.got if m.request == self.number]
        assert isinstance(answer, kind), answer
        return answer

    def play(self, wave: np.ndarray, block: int, start: int = 0, epoch: int = 0) -> None:
        for at in range(0, wave.shape[1], block):
            part = wave[:, at : at + block]
            self.link.send(
                messages.Audio(position=start + at, epoch=epoch, **messages.Audio.planar(part))
            )

    def hits(self, epoch: int = 0) -> list[messages.Hit]:
        return [m for m in self.got if isinstance(m, messages.Hit) and m.epoch == epoch]


@pytest.mark.parametrize("mode", [Open.LIVE, Open.OFFLINE])
@pytest.mark.parametrize(("rate", "block"), [(44100, 512), (48000, 333)])
def test_the_hits_are_those_of_lars_midi_live_and_none_comes_late(
    engine: EngineThread, mode: int, rate: int, block: int
) -> None:
    wave = kicks_and_snares(rate, SECONDS)
    hearing = LiveHearing(load_transcriber(TRANSCRIBER), rate)
    wanted = hearing.push(wave) + hearing.flush()
    assert len(wanted) >= 2 * SECONDS - 2
    start = 12345
    peer = Peer(engine)
    opened = peer.ask(
        Open(mode=mode, model="live", sample_rate=float(rate), position=start, max_block=block),
        messages.Opened,
    )
    assert isinstance(opened, messages.Opened)
    told = peer.ask(messages.Hear(on=1), messages.Hearing)
    assert isinstance(told, messages.Hearing)
    assert told.latency == hearing.latency_samples
    peer.play(wave, block, start)
    peer.ask(messages.Flush(position=start + wave.shape[1]), messages.Flushed)
    found = [
        (hit.position - start, hit.stem, hit.articulation, hit.velocity, hit.confidence)
        for hit in peer.hits()
    ]
    assert found == [
        (round(hit.time * rate), hit.stem, hit.articulation, hit.velocity, hit.confidence)
        for hit in wanted
    ]
    # No hit comes after HEARD has passed its place, and HEARD keeps up with the audio.
    known = start
    marks = []
    for message in peer.got:
        if isinstance(message, messages.Hit):
            assert message.position >= known
        elif isinstance(message, messages.Heard):
            assert message.position >= known
            known = message.position
            marks.append(known)
    assert marks[-1] == start + wave.shape[1]
    assert all(m.request == 0 for m in peer.got if isinstance(m, messages.Hit | messages.Heard))
    ends = [min(at + block, wave.shape[1]) for at in range(0, wave.shape[1], block)]
    assert marks[:-1] == [start + max(0, end - told.latency) for end in ends]
    peer.link.close()


@pytest.mark.parametrize("mode", [Open.LIVE, Open.OFFLINE])
def test_heard_comes_before_the_stems_that_its_audio_finishes(
    engine: EngineThread, mode: int
) -> None:
    wave = kicks_and_snares(44100, SECONDS)
    block = 8192  # longer than the stream is late, so that each finishes stems of its own
    peer = Peer(engine)
    opened = peer.ask(Open(mode=mode, model="live", max_block=block), messages.Opened)
    assert isinstance(opened, messages.Opened)
    assert opened.latency - opened.buffering_latency < block
    peer.ask(messages.Hear(on=1), messages.Hearing)
    peer.play(wave, block)
    peer.ask(messages.Flush(position=wave.shape[1]), messages.Flushed)
    heard = finished = 0
    for message in peer.got:
        if isinstance(message, messages.Heard):
            heard += block
        elif isinstance(message, messages.Stems):
            finished = message.position + message.frames
            assert finished <= heard
    assert finished == wave.shape[1]
    peer.link.close()


def test_after_a_jump_hearing_begins_anew(engine: EngineThread) -> None:
    wave = kicks_and_snares(44100, SECONDS)
    peer = Peer(engine)
    peer.ask(Open(mode=Open.LIVE, model="live", max_block=1000), messages.Opened)
    peer.ask(messages.Hear(on=1), messages.Hearing)
    peer.play(wave[:, :50_000], 1000)
    peer.play(wave, 1000, start=100_000)
    peer.ask(messages.Flush(position=100_000 + wave.shape[1]), messages.Flushed)
    hearing = LiveHearing(load_transcriber(TRANSCRIBER), 44100)
    wanted = [round(hit.time * 44100) for hit in hearing.push(wave) + hearing.flush()]
    assert [hit.position - 100_000 for hit in peer.hits() if hit.position >= 100_000] == wanted
    peer.link.close()


def test_a_reset_begins_anew_and_hear_can_be_ended(engine: EngineThread) -> None:
    wave = kicks_and_snares(44100, SECONDS)
    peer = Peer(engine)
    peer.ask(Open(mode=Open.OFFLINE, model="identity"), messages.Opened)
    peer.ask(messages.Hear(on=1), messages.Hearing)
    peer.play(wave[:, :50_000], 1000)
    peer.ask(messages.Reset(epoch=7, position=1000), messages.ResetDone)
    peer.play(wave, 1000, start=1000, epoch=7)
    peer.ask(messages.Flush(position=1000 + wave.shape[1], epoch=7), messages.Flushed)
    hearing = LiveHearing(load_transcriber(TRANSCRIBER), 44100)
    wanted = [round(hit.time * 44100) + 1000 for hit in hearing.push(wave) + hearing.flush()]
    assert [hit.position for hit in peer.hits(7)] == wanted
    answer = peer.ask(messages.Hear(on=0), messages.Hearing)
    assert isinstance(answer, messages.Hearing)
    assert answer.latency == 0
    peer.ask(messages.Reset(epoch=8), messages.ResetDone)
    peer.play(wave, 1000, epoch=8)
    peer.ask(messages.Flush(position=wave.shape[1], epoch=8), messages.Flushed)
    assert not peer.hits(8)
    peer.link.close()


def test_a_rate_that_cannot_be_heard_is_told_of_and_the_stream_goes_on(
    engine: EngineThread,
) -> None:
    peer = Peer(engine)
    peer.ask(Open(mode=Open.OFFLINE, model="identity", sample_rate=44101.5), messages.Opened)
    refused = peer.ask(messages.Hear(on=1), messages.Error)
    assert isinstance(refused, messages.Error)
    assert "cannot be heard live" in refused.message
    assert refused.code == 2
    peer.ask(messages.Stats(), messages.Statistics)
    peer.link.close()


class _Leaves:
    """A backend that raises what is no Exception, which ends the stream."""

    name = "leaves"

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        raise SystemExit("a library wants to leave")


def test_a_hear_whose_stream_ends_while_its_transcriber_is_loaded_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, ended = threading.Event(), threading.Event()

    class Slow(Hearing):
        def __init__(self, sample_rate: float, channels: int) -> None:
            begun.set()
            assert ended.wait(60)
            super().__init__(sample_rate, channels)

    def leaves() -> Model:
        return Model(IdentityModel(chunk_size=1024).config, _Leaves())

    monkeypatch.setattr(engine_hearing, "Hearing", Slow)
    with EngineThread({"leaves": leaves}) as engine:
        peer = Peer(engine)
        peer.ask(Open(mode=Open.OFFLINE, model="leaves"), messages.Opened)
        peer.link.send(messages.Hear(on=1, request=77))
        assert begun.wait(60)
        peer.play(np.zeros((2, 4096), np.float32), 512)
        # Of the stream, which no request asked for.
        peer.link.wait(lambda: any(isinstance(m, messages.Error) for m in peer.got))
        ended.set()
        peer.link.wait(lambda: any(m.request == 77 for m in peer.got))
        (answer,) = [m for m in peer.got if m.request == 77]
        assert isinstance(answer, messages.Error)
        assert "leave" in answer.message
        peer.link.close()
