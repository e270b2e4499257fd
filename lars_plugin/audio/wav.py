# SPDX-License-Identifier: GPL-3.0-or-later
"""WAV files, written here rather than by libsndfile for two reasons: a failed write is an
``OSError`` with its cause, and a file that grows beyond 4 GiB becomes RF64 by itself
(EBU Tech 3306: room for the 64-bit sizes is kept in a ``JUNK`` chunk in front).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["WavEncoder"]

_PCM, _FLOAT = 1, 3

# The largest number a size field of RIFF can say; it also marks "see ds64".
_RIFF_LIMIT = 0xFFFFFFFF


class WavEncoder:
    """Writes one WAV file to a handle.

    Args:
        handle: binary, at its start. Where it is not seekable, such as a pipe, the sizes in the
            header are those that mean "not known".
        rate: Hz.
        channels: any.
        bits: 16 or 24 for integers, 32 for float.
        chunks: name and content of more chunks, written before the audio.

    Raises:
        OSError: here and in all methods, when writing fails.
    """

    def __init__(
        self,
        handle: BinaryIO,
        rate: int,
        channels: int,
        bits: int,
        chunks: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._handle = handle
        self._more = b"".join(_chunk(*chunk) for chunk in chunks)
        self._rate, self._channels, self._bits = rate, channels, bits
        self._frames = 0
        self._seekable = handle.seekable()
        self._handle.write(self._header() if self._seekable else self._endless_header())

    @property
    def _align(self) -> int:
        """Bytes per frame."""
        return self._channels * self._bits // 8

    def write(self, frames: NDArray[np.int32] | NDArray[np.float32]) -> None:
        """Append ``(n, channels)``: float32 for 32 bits, else int32 in the range of the bits."""
        if self._bits == 32:
            data = frames.astype("<f4", copy=False).tobytes()
        elif self._bits == 16:
            data = frames.astype("<i2").tobytes()
        else:
            wide = frames.astype("<i4", copy=False).reshape(-1).view(np.uint8).reshape(-1, 4)
            narrow = np.empty((len(wide), 3), np.uint8)
            for byte in range(3):  # one by one: five times as fast as all three at once
                narrow[:, byte] = wide[:, byte]
            data = narrow.tobytes()
        self._handle.write(data)
        self._frames += len(frames)

    def finish(self) -> None:
        """Write the final sizes; the handle stays open."""
        if self._frames * self._align % 2:
            self._handle.write(b"\0")
        if self._seekable:
            self._handle.seek(0)
            self._handle.write(self._header())

    def _endless_header(self) -> bytes:
        """Of a file that may grow to any length: 32-bit sizes at their limits."""
        head = struct.pack("<4sI4s", b"RIFF", _RIFF_LIMIT, b"WAVE")
        return head + self._format(_RIFF_LIMIT) + struct.pack("<4sI", b"data", _RIFF_LIMIT)

    def _format(self, frames: int) -> bytes:
        """The chunks that describe the audio."""
        form = struct.pack(
            "<HHIIHH",
            _FLOAT if self._bits == 32 else _PCM,
            self._channels,
            self._rate,
            self._rate * self._align,
            self._align,
            self._bits,
        )
        if self._bits == 32:
            form += struct.pack("<H", 0)  # no extension; float requires the field and "fact"
        chunks = _chunk(b"fmt ", form)
        if self._bits == 32:
            chunks += _chunk(b"fact", struct.pack("<I", min(frames, _RIFF_LIMIT)))
        return chunks + self._more

    def _header(self) -> bytes:
        data = self._frames * self._align
        chunks = self._format(self._frames)
        riff = 4 + 36 + len(chunks) + 8 + data + data % 2
        if riff <= _RIFF_LIMIT:
            reserve = _chunk(b"JUNK", bytes(28))
            head = struct.pack("<4sI4s", b"RIFF", riff, b"WAVE")
            tail = struct.pack("<4sI", b"data", data)
        else:
            reserve = _chunk(b"ds64", struct.pack("<QQQI", riff, data, self._frames, 0))
            head = struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE")
            tail = struct.pack("<4sI", b"data", 0xFFFFFFFF)
        return head + reserve + chunks + tail


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", name, len(data)) + data + b"\0" * (len(data) % 2)
