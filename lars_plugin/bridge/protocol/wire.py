# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes to messages and back, without any I/O.

Header, 32 bytes, little-endian: magic ``LARS``, u8 version, u8 type, u16 flags, u32 payload
length, u32 epoch, u64 position, u32 request, u32 reserved (0).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.layout import LAYOUTS, check, max_payload, pack, unpack
from lars_plugin.bridge.protocol.messages import BY_TYPE, Message, Samples
from lars_plugin.errors import ProtocolError

__all__ = ["Decoder", "decode", "encode", "encode_samples", "max_payload"]

_HEADER = struct.Struct("<4sBBHIIQII")
_SHAPE = struct.Struct("<HHI")
# A frame of audio up to its samples: the header and its streams, channels and frames.
_SAMPLES = struct.Struct("<4sBBHIIQIIHHI")
# Looked up thousands of times a second.
_MAGIC, _MAX_POSITION = limits.MAGIC, limits.MAX_POSITION
_MOST = (limits.MAX_STREAMS, limits.MAX_CHANNELS, limits.MAX_BLOCK, limits.MAX_SAMPLES)

# The decoder's buffer: it starts with this and grows with what comes, never by what is claimed.
_SMALL = 1 << 16
# One that has grown beyond this for a long message is let go after it.
_LARGE = 1 << 20


def encode(message: Message, *, version: int = limits.VERSION_MIN) -> bytes:
    """A message as bytes.

    Args:
        message: what.
        version: that the connection has agreed on; a newer message is written in its own, and the
            greeting in version 1.

    Raises:
        ProtocolError: a field is out of its limits.
    """
    layout = LAYOUTS[type(message)]
    check(message, layout)
    numbers = [getattr(message, field.name) for field in layout.numbers]
    try:
        parts = [layout.fixed.pack(*numbers)]
        for field in layout.others:
            parts.append(pack(getattr(message, field.name)))
        head = _HEADER.pack(
            limits.MAGIC,
            limits.VERSION_MIN if message.GREETING else max(version, message.SINCE),
            message.TYPE,
            message.flags,
            sum(map(len, parts)),
            message.epoch,
            message.position,
            message.request,
            0,
        )
    except struct.error as error:
        raise ProtocolError(
            f"{type(message).__name__}: a number is out of range: {error}"
        ) from None
    return b"".join([head, *parts])


def encode_samples(
    kind: type[Samples],
    wave: NDArray[np.float32],
    *,
    position: int,
    epoch: int,
    flags: int = 0,
    version: int = limits.VERSION_MIN,
) -> bytes:
    """``encode`` for a wave ``(channels, frames)`` or ``(streams, channels, frames)``, without a
    message in between.

    Raises:
        ProtocolError: something is out of its limits.
    """
    streams, channels, frames = wave.shape if wave.ndim == 3 else (1, *wave.shape)
    if not (_fits(streams, channels, frames) and 0 <= position <= limits.MAX_POSITION):
        raise ProtocolError(f"{kind.__name__}: {wave.shape} at {position} is out of range")
    head = _SAMPLES.pack(
        limits.MAGIC, version, kind.TYPE, flags, 8 + 4 * streams * channels * frames, epoch,
        position, 0, 0, streams, channels, frames,
    )  # fmt: skip
    return b"".join((head, np.ascontiguousarray(wave, "<f4").data))


def _fits(streams: int, channels: int, frames: int) -> bool:
    most = _MOST
    return (
        streams <= most[0]
        and channels <= most[1]
        and frames <= most[2]
        and streams * channels * frames <= most[3]
    )


def decode(data: bytes) -> Message:
    """Exactly one message.

    Raises:
        ProtocolError: it is none, or bytes are missing or left over.
    """
    decoder = Decoder(version=data[4] if len(data) > 4 and data[4] <= limits.VERSION_MAX else 1)
    decoder.feed(data)
    found = list(decoder.messages())
    if len(found) != 1 or decoder.pending:
        raise ProtocolError(f"{len(data)} bytes are not exactly one message")
    return found[0]


class Decoder:
    """Bytes in, in any pieces; messages out, in order.

    It never holds more than twice the longest message it accepts, or the piece it was just fed,
    and judges a header before it waits for the payload. After a ProtocolError the connection
    cannot be used any more.

    Args:
        accept: types that may come; any for None.
        version: the header's version that must be there.
    """

    def __init__(
        self, accept: Iterable[type[Message]] | None = None, *, version: int = limits.VERSION_MIN
    ) -> None:
        self.accept = frozenset(BY_TYPE.values() if accept is None else accept)
        self.version = version
        self._buffer = memoryview(bytearray(_SMALL))
        self._start = self._end = 0  # what of it holds bytes that wait
        self._broken = ""

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their message."""
        return self._end - self._start

    def space(self) -> memoryview:
        """Where the next bytes may be written, at least one; then call ``wrote``."""
        buffer = self._buffer
        if self._end == len(buffer):
            # All complete messages are out, so this is one that is longer than what is left.
            size = len(buffer) if self._start >= len(buffer) // 2 else 2 * len(buffer)
            self._move(size)
        return self._buffer[self._end :]

    def wrote(self, count: int) -> None:
        """So many bytes are there now; ``messages()`` gives what is complete."""
        self._end += count

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes; ``messages()`` gives what is complete."""
        if self._end + len(data) > len(self._buffer):
            self._move(max(_SMALL, self.pending + len(data)))
        self._buffer[self._end : self._end + len(data)] = data
        self._end += len(data)

    def _move(self, size: int) -> None:
        """What waits to the front, in a buffer of another size where it is another."""
        waiting = self._buffer[self._start : self._end]
        if size != len(self._buffer) or self._start < len(waiting):
            self._buffer = memoryview(bytearray(size))
        self._buffer[: len(waiting)] = waiting
        self._start, self._end = 0, len(waiting)

    def messages(self) -> Iterator[Message]:
        """The complete messages so far.

        Raises:
            ProtocolError: at the first invalid byte; and on each call after that.
        """
        while True:
            if self._broken:
                raise ProtocolError(self._broken)
            try:
                message = self._next()
            except ProtocolError as error:
                self._broken = str(error)
                self._buffer, self._start, self._end = memoryview(bytearray(_SMALL)), 0, 0
                raise
            if message is None:
                return
            yield message

    def _next(self) -> Message | None:
        buffer, start = self._buffer, self._start
        have = self._end - start
        if have < _HEADER.size:
            if have == 0:
                self._start = self._end = 0
                if len(buffer) > _LARGE:
                    self._buffer = memoryview(bytearray(_SMALL))
            elif bytes(buffer[start : start + 4])[:have] != limits.MAGIC[:have]:
                raise ProtocolError("these bytes are not the LARS protocol: wrong magic")
            return None
        magic, version, number, flags, length, epoch, position, request, reserved = (
            _HEADER.unpack_from(buffer, start)
        )
        if magic != _MAGIC:
            raise ProtocolError("these bytes are not the LARS protocol: wrong magic")
        if version != self.version:
            raise ProtocolError(f"protocol version {version}, expected {self.version}")
        kind = BY_TYPE.get(number)
        if kind is None or kind not in self.accept or version < kind.SINCE:
            raise ProtocolError(f"message type {number} is unknown, or not allowed here")
        if flags & ~kind.FLAGS or reserved:
            raise ProtocolError(f"{kind.__name__}: undefined flags or reserved bits are set")
        if position > _MAX_POSITION:
            raise ProtocolError(f"{kind.__name__}: position {position} is out of range")
        layout = LAYOUTS[kind]
        if length > layout.longest:
            raise ProtocolError(
                f"{kind.__name__}: {length} bytes of payload, at most {layout.longest} are allowed"
            )
        payload = start + _HEADER.size
        end = payload + length
        if self._end < end:
            return None
        self._start = end
        if length >= 8 and issubclass(kind, Samples):
            streams, channels, frames = _SHAPE.unpack_from(buffer, payload)
            if length == 8 + 4 * streams * channels * frames and _fits(streams, channels, frames):
                # The one message that is sent a thousand times a second. What is wrong with any
                # other is found out below.
                data = bytes(buffer[payload + 8 : end])
                return kind.quick(position, epoch, request, flags, streams, channels, frames, data)
        values = unpack(kind, layout, buffer[payload:end])
        message = kind(epoch=epoch, position=position, request=request, flags=flags, **values)
        check(message, layout)
        return message
