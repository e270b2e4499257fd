# SPDX-License-Identifier: GPL-3.0-or-later
"""What the header of an audio file promises, to be held against what the file holds.

libsndfile trusts headers or mends them silently; both lose audio without a word. Here the
few fields that matter are read again: the length said by WAV, RF64, AIFF and MP3 files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["HeaderFacts", "header_facts"]

# Sizes written by programs that cannot go back to correct them (ffmpeg and SoX into a pipe).
_UNKNOWN_SIZES = {0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000}

# Behind the audio, more bytes than this that are no chunk are taken for lost audio.
_STRAY_LIMIT = 4096

_MPEG_RATES = (44100, 48000, 32000)
_MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


@dataclass(frozen=True)
class HeaderFacts:
    """Frames the header promises, and frames (about) that the file holds; None where unknown."""

    promised: int | None = None
    held: int | None = None


def header_facts(handle: BinaryIO, size: int, frames: int) -> HeaderFacts:
    """Read the promises of a file of ``size`` bytes in which libsndfile sees ``frames`` frames.

    The position of the handle is kept. Unknown and damaged headers give ``HeaderFacts()``.
    """
    position = handle.tell()
    try:
        handle.seek(0)
        start = handle.read(12)
        if start[:4] in (b"RIFF", b"RF64") and start[8:] == b"WAVE":
            return _wav(handle, size)
        if start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC"):
            return _aiff(handle)
        if start[:3] == b"ID3" or start[:1] == b"\xff":
            return _mp3(handle, size, frames)
    except (struct.error, ValueError, IndexError, OSError):  # the header ends early
        return HeaderFacts()
    finally:
        handle.seek(position)
    return HeaderFacts()


def _wav(handle: BinaryIO, size: int) -> HeaderFacts:
    align, long_size = 0, 0
    position = 12
    while True:
        handle.seek(position)
        name, length = struct.unpack("<4sI", handle.read(8))
        position += 8
        if name == b"ds64":
            long_size = struct.unpack("<QQ", handle.read(16))[1]
        elif name == b"fmt ":
            align = struct.unpack("<12xH", handle.read(14))[0]
        elif name == b"data":
            break
        position += length + length % 2
    if not align:
        return HeaderFacts()
    if length == 0xFFFFFFFF and long_size:
        length = long_size
    there = size - position
    if length in _UNKNOWN_SIZES:
        # Not closed by its writer. libsndfile takes all there is, except for a size of 0.
        return HeaderFacts(held=there // align) if length == 0 else HeaderFacts()
    if length > there:
        return HeaderFacts(promised=length // align)
    stray = _stray_bytes(handle, position + length + length % 2, size)
    return HeaderFacts(length // align, (length + stray) // align)


def _stray_bytes(handle: BinaryIO, position: int, size: int) -> int:
    """Bytes from the position on that are no chunks, 0 if they are few."""
    while size - position >= 8:
        handle.seek(position)
        name, length = struct.unpack("<4sI", handle.read(8))
        if not (name.isascii() and name.decode("ascii", "replace").isprintable()):
            break
        if position + 8 + length > size:
            break
        position += 8 + length + length % 2
    stray = max(size - position, 0)
    return stray if stray > _STRAY_LIMIT else 0


def _aiff(handle: BinaryIO) -> HeaderFacts:
    position = 12
    while True:
        handle.seek(position)
        name, length = struct.unpack(">4sI", handle.read(8))
        if name == b"COMM":
            return HeaderFacts(promised=struct.unpack(">2xI", handle.read(6))[0])
        position += 8 + length + length % 2


def _mp3(handle: BinaryIO, size: int, frames: int) -> HeaderFacts:
    """Walk over all MPEG frames: the length in the Xing header, or its absence, may mislead."""
    position = 0
    handle.seek(0)
    tag = handle.read(10)
    if tag[:3] == b"ID3":
        # A length of four times seven bits.
        position = 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])
    held = 0
    while position + 4 <= size:
        handle.seek(position)
        length, samples = _mpeg_frame(handle.read(4))
        if not length:
            handle.seek(position + 1)
            found = handle.read(4096).find(b"\xff")
            if found < 0:
                break
            position += 1 + found
            continue
        held += samples
        position += length
    # Encoder delay and padding, and the header frame itself, are cut by the decoder.
    return HeaderFacts(frames, held if held > frames + 8 * 1152 else frames)


def _mpeg_frame(head: bytes) -> tuple[int, int]:
    """Bytes and samples of the layer III frame with this header; (0, 0) if it is none."""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    kbps, rate = head[2] >> 4, head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] < 0xE0 or version == 1 or layer != 1:
        return 0, 0
    if kbps in (0, 15) or rate == 3:
        return 0, 0
    samples = 1152 if version == 3 else 576
    bits = (_MPEG1_KBPS if version == 3 else _MPEG2_KBPS)[kbps] * 1000
    hertz = _MPEG_RATES[rate] >> (0 if version == 3 else 1 if version == 2 else 2)
    return samples // 8 * bits // hertz + (head[2] >> 1 & 1), samples
