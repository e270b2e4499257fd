# SPDX-License-Identifier: GPL-3.0-or-later
"""What one OPEN, or one block, may ask for: no position, size or number kills the engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lars_plugin.bridge.engine.memory import Memory
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.codes import exception_of
from lars_plugin.errors import InputError, LimitError, ProtocolError

Check = Callable[[], None]
Dial = Callable[[], Any]
END = limits.MAX_STREAM_END


def audio(position: int, samples: int = 256, **more: Any) -> messages.Audio:
    wave = np.full((2, samples), 0.25, np.float32)
    return messages.Audio(position=position, **messages.Audio.planar(wave), **more)


def peak(process: EngineProcess) -> int:
    """The most MiB that the engine ever had."""
    lines = Path(f"/proc/{process.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024


@pytest.mark.parametrize("mode", [messages.Open.LIVE, messages.Open.OFFLINE])
@pytest.mark.parametrize("position", [END + 1, 2**62 - 4096, 2**62])
def test_a_stream_that_begins_where_none_can_end_is_refused(
    dial: Dial, works: Check, mode: int, position: int
) -> None:
    with dial() as peer:
        answer = peer.ask(messages.Open(model="live", mode=mode, position=position, request=2))
        assert isinstance(exception_of(answer), InputError)
        opened = peer.ask(messages.Open(model="live", mode=mode, request=3))
        assert isinstance(opened, messages.Opened)
        answer = peer.ask(messages.Reset(position=position, epoch=9, request=4))
        assert isinstance(exception_of(answer), InputError)
    works()


@pytest.mark.parametrize("mode", [messages.Open.LIVE, messages.Open.OFFLINE])
def test_a_stream_may_run_up_to_its_last_position_and_no_further(
    dial: Dial, works: Check, mode: int
) -> None:
    with dial() as peer:
        peer.ask(messages.Open(model="live", mode=mode, position=END - 256, request=2))
        peer.send(audio(END - 256), audio(END))
        seen = []
        flushed = peer.ask(messages.Flush(request=3)) if mode == messages.Open.LIVE else None
        if flushed is None:  # offline a block that cannot be taken ends the stream
            answer = peer.ask(messages.Flush(request=4))
            assert isinstance(exception_of(answer), InputError)
        else:
            assert flushed.position == END
        peer.send(messages.Reset(position=5, epoch=1, request=5))
        assert isinstance(peer.answer(5), messages.ResetDone)
        peer.send(audio(5, epoch=1), messages.Flush(epoch=1, request=6))
        while not isinstance(message := peer.read(), messages.Flushed):
            seen.append(message)
        assert message.position == 5 + 256
    works()


@pytest.mark.parametrize("target", [END, 2**62 - 300, 2**62])
def test_a_live_jump_beyond_the_end_leaves_the_block_out_and_the_stream_in_place(
    dial: Dial, works: Check, target: int
) -> None:
    with dial() as peer:
        peer.ask(messages.Open(model="live", max_block=256, request=2))
        peer.send(audio(0), audio(target), audio(256))
        peer.send(messages.Flush(request=3))
        stems: list[messages.Stems] = []
        errors: list[messages.Error] = []
        while not isinstance(message := peer.read(), messages.Flushed):
            if isinstance(message, messages.Error):
                errors.append(message)
            else:
                assert isinstance(message, messages.Stems)
                stems.append(message)
        assert message.position == 512
        assert [type(exception_of(error)) for error in errors] == [InputError]
        made = np.concatenate([one.wave()[0] for one in stems], axis=1)
        np.testing.assert_allclose(made, np.full((2, 512), 0.25), atol=1e-6)
        assert not any(one.flags for one in stems)  # nothing counted as overdue
    works()


def test_figures_that_grow_beyond_their_field_stop_there(dial: Dial, works: Check) -> None:
    with dial() as peer:
        peer.ask(messages.Open(model="live", request=2))
        for epoch in range(1, 2**64 // END + 3):
            peer.send(messages.Reset(position=0, epoch=epoch, request=3))
            peer.send(audio(END - 256, epoch=epoch))
            peer.ask(messages.Stats(request=4))
        stats = peer.ask(messages.Stats(request=4))
        assert isinstance(stats, messages.Statistics)
        assert stats.dropped == 2**64 - 1
    works()


TOO_MUCH: list[dict[str, Any]] = [
    {"step": limits.MAX_STEP + 1},
    {"step": 2**31},
    {"step": 0},
    {"step": 7},  # of 512: the network would hear each sample more than MAX_OVERLAP times
    {"lookahead": 2**31},
    {"buffering": limits.MAX_BUFFERING + 1},
    {"buffering": 2**32 - 2},
    {"mode": 1, "batch": limits.MAX_BATCH + 1},
    {"mode": 1, "batch": 2**31},
    {"mode": 1, "batch": 0},
    {"mode": 1, "overlap": limits.MAX_OVERLAP + 0.5},
    {"mode": 1, "overlap": 1e308},
    {"mode": 1, "overlap": -1.0},
    {"mode": 1, "overlap": 0.5},
    {"sample_rate": 999.9},
    {"sample_rate": 1e300},
    {"sample_rate": -44100.0},
    {"channels": 0},
    {"channels": 8},
    {"max_block": 0},
    {"max_block": 2**32 - 1},
]


@pytest.mark.parametrize("wish", TOO_MUCH, ids=str)
def test_an_open_that_asks_for_too_much_is_refused_before_anything_is_allocated(
    process: EngineProcess, dial: Dial, wish: dict[str, Any]
) -> None:
    with dial() as peer:
        before = peak(process)
        answer = peer.ask(messages.Open(model="live", request=2, **wish))
        assert isinstance(answer, messages.Error)
        assert isinstance(exception_of(answer), InputError)
        assert not answer.fatal
        assert peak(process) - before < 64
        opened = peer.ask(messages.Open(model="live", request=3))
        assert isinstance(opened, messages.Opened)


def test_a_causal_model_with_a_giant_step_takes_no_memory(
    process: EngineProcess, dial: Dial, works: Check
) -> None:
    with dial() as peer:
        before = peak(process)
        answer = peer.ask(messages.Open(model="hops", step=16 * 4_000_000, request=2))
        assert isinstance(exception_of(answer), InputError)
        assert isinstance(
            peer.ask(messages.Open(model="hops", step=limits.MAX_STEP, request=3)), messages.Opened
        )
        peer.send(audio(0), messages.Flush(request=4))
        assert isinstance(peer.answer(4), messages.Flushed)
        assert peak(process) - before < 64
    works()


def test_a_stream_whose_buffers_are_too_large_is_refused(
    process: EngineProcess, dial: Dial, works: Check
) -> None:
    with dial() as peer:
        before = peak(process)
        answer = peer.ask(messages.Open(model="long", mode=1, batch=8, request=2))
        assert isinstance(exception_of(answer), InputError)
        assert "MiB" in answer.message
        assert peak(process) - before < 64
    works()


def test_all_streams_together_have_a_bound_and_those_that_end_give_back() -> None:
    memory = Memory()
    most = limits.MAX_TOTAL_BYTES // limits.MAX_STREAM_BYTES
    for number in range(most):
        memory.take(number, limits.MAX_STREAM_BYTES)
    with pytest.raises(LimitError, match="close one"):
        memory.take(most, limits.MAX_STREAM_BYTES)
    memory.give(3)
    memory.give(3)
    memory.take(most, limits.MAX_STREAM_BYTES)


def test_a_peer_that_asks_and_never_reads_does_not_fill_the_memory(
    process: EngineProcess, dial: Dial, works: Check
) -> None:
    with dial() as peer:
        before = peak(process)
        peer.sock.settimeout(5)
        with pytest.raises(TimeoutError):
            peer.send(*(messages.Status(request=number) for number in range(2, 200_000)))
        assert peak(process) - before < 64
    works()


def test_an_offline_stream_of_long_windows_reaches_a_client_that_reads_late(
    dial: Dial, works: Check
) -> None:
    """A window is finished at once: 44 MB here, more than may wait for a client."""
    with dial() as peer:
        peer.ask(messages.Open(model="windowed", mode=1, request=2))
        for at in range(0, 14 * 65536, 65536):
            peer.send(audio(at, 65536))
        peer.send(messages.Flush(request=3))
        time.sleep(3)
        end = 0
        while not isinstance(message := peer.read(), messages.Flushed):
            assert isinstance(message, messages.Stems)
            assert message.position == end
            end += message.frames
        assert end == message.position == 14 * 65536
    works()


def test_what_the_protocol_forbids_is_refused(dial: Dial, works: Check) -> None:
    with dial() as peer:
        for message in (messages.Status(), messages.Open(model="live"), messages.Stats()):
            peer.send(message)
            answer = peer.read()
            assert isinstance(exception_of(answer), ProtocolError)
            assert "not 0" in answer.message
        peer.ask(messages.Open(model="live", epoch=4, request=2))
        answer = peer.ask(messages.Reset(epoch=4, request=3))
        assert isinstance(exception_of(answer), ProtocolError)
        peer.send(audio(0, epoch=4, request=5))
        assert isinstance(exception_of(peer.answer(5)), ProtocolError)
        answer = peer.ask(messages.Flush(epoch=3, request=6))
        assert isinstance(exception_of(answer), ProtocolError)
        # All of them left the stream as it was, and the numbers are free again.
        assert isinstance(peer.ask(messages.Reset(epoch=5, request=3)), messages.ResetDone)
        assert isinstance(peer.ask(messages.Ping(payload=b"x")), messages.Pong)
    works()


def test_a_number_in_use_is_refused_and_its_first_request_answered(dial: Dial) -> None:
    with dial() as peer:
        peer.send(messages.Open(model="slow-to-load", request=2), messages.Status(request=2))
        answer = peer.read()
        assert isinstance(exception_of(answer), ProtocolError)
        assert (answer.request, answer.fatal) == (0, 0)
        # OPEN in the place of an OPEN: the first is never answered, so its number is free.
        peer.send(messages.Open(model="live", request=3), messages.Status(request=2))
        kinds = {type(peer.read()) for _ in range(2)}
        assert kinds == {messages.Opened, messages.StatusReport}


def test_a_flush_that_a_reset_ends_is_answered(dial: Dial) -> None:
    with dial() as peer:
        peer.ask(messages.Open(model="slow-chunked", mode=1, request=2))
        peer.send(audio(0, 65536), messages.Flush(request=3), messages.Reset(epoch=1, request=4))
        answers = [peer.answer(3), peer.answer(4)]
        assert isinstance(answers[0], messages.Error | messages.Flushed)
        assert isinstance(answers[1], messages.ResetDone)


def test_the_status_tells_which_models_have_weights_and_stays_json(
    process: EngineProcess, dial: Dial
) -> None:
    with process.client() as client:
        offers = client.status()["offers"]
        assert {"name": "live", "weights": True} in offers
        assert [one["name"] for one in offers] == list(client.engine.models)
    with dial() as peer:
        others = []
        for number in range(60):
            other = dial()
            others.append(other)
            other.send(messages.Open(model="live", request=number + 2))
            other.read()
        report = peer.ask(messages.Status(request=9))
        assert isinstance(report, messages.StatusReport)
        for other in others:
            other.sock.close()
