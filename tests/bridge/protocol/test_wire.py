# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes and messages: golden frames, any cutting, every limit."""

from __future__ import annotations

import contextlib
import itertools
import json
import struct
import tracemalloc
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin import errors
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.codes import CODES, error_message, exception_of
from lars_plugin.bridge.protocol.messages import BY_TYPE, FROM_CLIENT, FROM_ENGINE, Message
from lars_plugin.bridge.protocol.wire import Decoder, decode, encode, encode_samples, max_payload
from lars_plugin.errors import LarsError, ProtocolError

VECTORS = Path(__file__).parents[3] / "bridge" / "vectors"
INDEX = json.loads((VECTORS / "vectors.json").read_text("utf-8"))


def message_of(entry: dict[str, Any]) -> Message:
    kind: type[Message] = getattr(messages, entry["message"])
    values: dict[str, Any] = {}
    for field in fields(kind):
        value = entry["fields"][field.name]
        if field.metadata.get("kind") in ("rest", "audio"):
            value = bytes.fromhex(value)
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


@pytest.mark.parametrize("entry", INDEX["frames"], ids=lambda entry: entry["file"])
def test_golden_frames_are_read_and_written_to_the_byte(entry: dict[str, Any]) -> None:
    data = (VECTORS / entry["file"]).read_bytes()
    assert decode(data) == message_of(entry)
    assert encode(message_of(entry)) == data


@pytest.mark.parametrize("entry", INDEX["refused"], ids=lambda entry: entry["file"])
def test_refused_frames_are_refused(entry: dict[str, Any]) -> None:
    decoder = Decoder()
    decoder.feed((VECTORS / entry["file"]).read_bytes())
    with pytest.raises(ProtocolError):
        list(decoder.messages())
    with pytest.raises(ProtocolError):
        list(decoder.messages())


def test_every_message_has_a_golden_frame() -> None:
    assert {entry["type"] for entry in INDEX["frames"]} == set(BY_TYPE)
    assert set(BY_TYPE.values()) == FROM_CLIENT | FROM_ENGINE
    assert not FROM_CLIENT & FROM_ENGINE


@settings(deadline=None)
@given(st.data())
def test_any_cutting_gives_the_same_messages(data: st.DataObject) -> None:
    version = data.draw(st.integers(limits.VERSION_MIN, limits.VERSION_MAX))
    every = [message_of(entry) for entry in INDEX["frames"]]
    # After the greeting, which is in version 1 for ever.
    wanted = [one for one in every if version >= one.SINCE and not one.GREETING]
    stream = b"".join(encode(message, version=version) for message in wanted)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    edges = [0, *sorted(cuts), len(stream)]
    decoder, found = Decoder(version=version), []
    for start, end in itertools.pairwise(edges):
        decoder.feed(stream[start:end])
        found += list(decoder.messages())
    assert found == wanted
    assert decoder.pending == 0


def test_one_byte_at_a_time_gives_the_same_messages() -> None:
    decoder, found = Decoder(), []
    stream = (VECTORS / "open_live.bin").read_bytes() + (VECTORS / "audio.bin").read_bytes()
    for byte in stream:
        decoder.feed(bytes([byte]))
        found += list(decoder.messages())
    assert [type(message) for message in found] == [messages.Open, messages.Audio]


@given(
    st.integers(1, 6), st.integers(1, 2), st.integers(0, 300), st.integers(0, limits.MAX_POSITION)
)
@settings(max_examples=50, deadline=None)
def test_audio_survives_the_wire_to_the_bit(
    streams: int, channels: int, frames: int, position: int
) -> None:
    rng = np.random.default_rng(frames)
    bits = rng.integers(0, 2**32, (streams, channels, frames), np.uint32)
    wave = bits.view(np.float32)  # NaN payloads, Inf and denormals among them
    sent = messages.Stems(position=position, epoch=2**32 - 1, **messages.Stems.planar(wave))
    got = decode(encode(sent))
    assert isinstance(got, messages.Stems)
    assert got == sent
    assert got.wave().tobytes() == wave.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        got.wave()[...] = 0


@settings(deadline=None)
@given(
    st.sampled_from([(2, 5), (1, 0), (6, 2, 130), (1, 1, 1), (3, 8, 40)]),
    st.integers(0, limits.MAX_POSITION),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_an_array_is_encoded_as_its_message_is(
    shape: tuple[int, ...], position: int, epoch: int, turned: bool
) -> None:
    wave = np.random.default_rng(0).random(shape, np.float32)
    if turned:  # not contiguous
        wave = np.asfortranarray(wave)[..., ::-1]
    kind = messages.Stems if wave.ndim == 3 else messages.Audio
    message = kind(position=position, epoch=epoch, **kind.planar(wave))
    assert encode_samples(kind, wave, position=position, epoch=epoch) == encode(message)


@pytest.mark.parametrize(
    ("shape", "position"),
    [
        ((limits.MAX_STREAMS + 1, 1, 1), 0),
        ((limits.MAX_CHANNELS + 1, 1), 0),
        ((1, limits.MAX_BLOCK + 1), 0),
        ((16, 2, limits.MAX_BLOCK), 0),
        ((1, 1), limits.MAX_POSITION + 1),
        ((1, 1), -1),
    ],
)
def test_an_array_beyond_the_limits_is_refused_by_its_sender(
    shape: tuple[int, ...], position: int
) -> None:
    with pytest.raises(ProtocolError, match="out of range"):
        encode_samples(messages.Stems, np.zeros(shape, np.float32), position=position, epoch=0)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30), st.integers(1, 40000))
@settings(max_examples=30, deadline=None)
def test_bytes_written_in_place_give_the_same_messages_as_bytes_fed(
    sizes: list[int], frames: int
) -> None:
    wave = np.random.default_rng(frames).random((2, 2, frames), np.float32)
    frame = encode_samples(messages.Stems, wave, position=5, epoch=1)
    stream = encode(messages.Stats(request=1)) + frame + encode(messages.Ping(payload=b"x"))
    decoder, found, at = Decoder(), [], 0
    for size in itertools.cycle(sizes):
        if at == len(stream):
            break
        space = decoder.space()
        assert len(space) > 0
        count = min(size * 20, len(space), len(stream) - at)
        space[:count] = stream[at : at + count]
        decoder.wrote(count)
        at += count
        found += list(decoder.messages())
    whole = Decoder()
    whole.feed(stream)
    assert found == list(whole.messages())
    assert len(found) == 3


def header(number: int, length: int, **changed: int) -> bytes:
    values = {"version": 1, "flags": 0, "epoch": 0, "position": 0, "request": 0, "reserved": 0}
    values |= changed
    return struct.pack(
        "<4sBBHIIQII",
        b"LARS",
        values["version"],
        number,
        values["flags"],
        length,
        values["epoch"],
        values["position"],
        values["request"],
        values["reserved"],
    )


@pytest.mark.parametrize("kind", BY_TYPE.values(), ids=lambda kind: kind.__name__)
def test_a_claimed_length_is_refused_from_the_header_alone(kind: type[Message]) -> None:
    def head(length: int) -> bytes:
        plain = header(kind.TYPE, length)
        return plain[:4] + bytes([kind.SINCE]) + plain[5:]

    for length in (max_payload(kind) + 1, 2**31, 2**32 - 1):
        decoder = Decoder(version=kind.SINCE)
        decoder.feed(head(length))
        with pytest.raises(ProtocolError, match="payload"):
            list(decoder.messages())
    decoder = Decoder(version=kind.SINCE)
    decoder.feed(head(max_payload(kind)))
    if max_payload(kind):
        assert list(decoder.messages()) == []


def test_a_claimed_length_allocates_nothing() -> None:
    decoder = Decoder()
    tracemalloc.start()
    decoder.feed(header(messages.Audio.TYPE, max_payload(messages.Audio)))
    assert list(decoder.messages()) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_only_accepted_types_pass() -> None:
    decoder = Decoder([messages.Hello])
    decoder.feed(encode(messages.Stats()))
    with pytest.raises(ProtocolError, match="not allowed"):
        list(decoder.messages())


@pytest.mark.parametrize(
    "message",
    [
        messages.Hello(client="x" * (limits.MAX_NAME + 1)),
        messages.Hello(client="a\0b"),
        messages.Open(stems=("kick",) * (limits.MAX_NAMES + 1)),
        messages.Open(stems=("k" * (limits.MAX_NAME + 1),)),
        messages.Open(mode=2),
        messages.Open(channels=limits.MAX_CHANNELS + 1),
        messages.Open(sample_rate=float("nan")),
        messages.Open(max_block=2**32),
        messages.Job(source="x" * (limits.MAX_PATH + 1)),
        messages.Ping(payload=b"x" * (limits.MAX_PING + 1)),
        messages.Audio(streams=1, channels=2, frames=2, data=b"\0" * 15),
        messages.Audio(streams=1, channels=1, frames=limits.MAX_BLOCK + 1, data=b""),
        messages.Stems(streams=limits.MAX_STREAMS + 1, channels=1, frames=0, data=b""),
        messages.Stats(flags=1),
        messages.Stats(position=limits.MAX_POSITION + 1),
        messages.Stats(epoch=-1),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_sender_keeps_the_limits_too(message: Message) -> None:
    with pytest.raises(ProtocolError):
        encode(message)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_protocol_errors(data: bytes) -> None:
    for prefix in (b"", b"LARS", b"LARS\x01"):
        decoder = Decoder()
        decoder.feed(prefix + data)
        with contextlib.suppress(ProtocolError):
            list(decoder.messages())
        assert decoder.pending <= len(prefix + data)


def test_each_exception_has_its_own_code_and_comes_back_as_itself() -> None:
    tree = {getattr(errors, name) for name in errors.__all__}
    assert set(CODES) == tree
    assert len(set(CODES.values())) == len(tree)
    for kind in tree:
        message = decode(encode(error_message(kind("what happened"))))
        assert isinstance(message, messages.Error)
        error = exception_of(message)
        assert type(error) is kind
        assert str(error) == "what happened"


def test_an_exception_of_another_kind_travels_as_its_nearest_ancestor() -> None:
    class Special(errors.NonFiniteError):
        pass

    assert type(exception_of(error_message(Special("x")))) is errors.NonFiniteError
    assert type(exception_of(error_message(KeyError("x")))) is LarsError
    assert type(exception_of(messages.Error(code=999, message="new"))) is errors.BridgeError


@settings(deadline=None)
@given(st.text(max_size=3000))
def test_any_error_text_fits_into_a_message(text: str) -> None:
    message = error_message(errors.InputError(text.encode("utf-8", "ignore").decode()))
    assert decode(encode(message)) == message


def test_the_token_is_in_no_repr() -> None:
    assert "secret" not in repr(messages.Hello(token="secret"))
