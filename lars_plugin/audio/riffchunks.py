# SPDX-License-Identifier: GPL-3.0-or-later
"""The chunks of WAV, RF64, BW64 and AIFF files."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import BinaryIO

__all__ = ["MOST_BYTES", "is_aiff", "is_wave", "riff_chunks"]

# Longer chunks than this (pictures, mostly) are passed over.
MOST_BYTES = 1 << 22

_UNKNOWN = 0xFFFFFFFF


def is_wave(start: bytes) -> bool:
    """Whether a file that begins with these 12 bytes is WAV, RF64 or BW64."""
    return start[:4] in (b"RIFF", b"RF64", b"BW64") and start[8:12] == b"WAVE"


def is_aiff(start: bytes) -> bool:
    """Whether a file that begins with these 12 bytes is AIFF or AIFF-C."""
    return start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC")


def riff_chunks(
    handle: BinaryIO, wanted: Collection[bytes], begin: int = 0
) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the wanted chunks of a file, in its order; nothing for other files.

    A file that is cut off, or whose audio has no length, gives the chunks that are before that.

    Args:
        handle: seekable.
        wanted: names of chunks.
        begin: where the file begins: not at 0 behind a tag.
    """
    handle.seek(begin)
    start = handle.read(12)
    if not (is_wave(start) or is_aiff(start)):
        return
    order = ">" if is_aiff(start) else "<"
    position, audio = begin + 12, 0
    while True:
        handle.seek(position)
        head = handle.read(8)
        if len(head) < 8:
            return
        name, length = struct.unpack(order + "4sI", head)
        if name == b"ds64" and length >= 16:
            audio = struct.unpack("<8xQ", handle.read(16))[0]
        elif name == b"data" and length == _UNKNOWN:
            if not audio:
                return
            length = audio
        elif name in wanted and length <= MOST_BYTES:
            data = handle.read(length)
            if len(data) < length:
                return
            yield name, data
        position += 8 + length + length % 2
