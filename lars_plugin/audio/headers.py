# SPDX-License-Identifier: GPL-3.0-or-later
"""What the header of an audio file promises, to be held against what the file holds.

libsndfile trusts headers or mends them silently; both lose audio without a word. Here the
few fields that matter are read again: the length said by AIFF and MP3 files; of WAV files
:mod:`~lars_plugin.audio.riff` does it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lars_plugin.audio.pieces import Readable

__all__ = ["HeaderLengths", "header_lengths"]

_SOX_AIFF = 0x7F000000

# Behind the audio, fewer bytes than this are not taken for lost audio.
_STRAY_LIMIT = 4096

_MPEG_RATES = (44100, 48000, 32000)
_MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


@dataclass(frozen=True)
class HeaderLengths:
    """Frames the header promises, and frames (about) that the file holds; None where unknown."""

    promised: int | None = None
    held: int | None = None


def header_lengths(handle: Readable, size: int, frames: int) -> HeaderLengths:
    """Read the promises of a file of ``size`` bytes in which libsndfile sees ``frames`` frames.

    The position of the handle is kept. Unknown and damaged headers give ``HeaderLengths()``.
    """
    position = handle.tell()
    try:
        handle.seek(0)
        start = handle.read(12)
        if start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC"):
            return _aiff(handle, size, frames)
        if start[:3] == b"ID3" or start[:1] == b"\xff":
            return _mp3(handle, size, frames)
    except (struct.error, ValueError, IndexError, OSError):  # the header ends early
        return HeaderLengths()
    finally:
        handle.seek(position)
    return HeaderLengths()


def _aiff(handle: Readable, size: int, frames: int) -> HeaderLengths:
    position, promised, align = 12, None, 0
    while True:
        handle.seek(position)
        name, length = struct.unpack(">4sI", handle.read(8))
        if name == b"COMM":
            channels, promised, bits = struct.unpack(">HIH", handle.read(8))
            # Of a coding with blocks, or packed ones, this says nothing.
            align = channels * (bits + 7) // 8
        elif name == b"SSND":
            break
        position += 8 + length + length % 2
    if promised is None or not align:
        return HeaderLengths()
    there = size - position - 16
    # SoX writes this into a pipe, ffmpeg 0: not known.
    if promised == 0 or abs(length - 8 - _SOX_AIFF) < _STRAY_LIMIT:
        return HeaderLengths(
            held=there // align if there // align > frames + _STRAY_LIMIT else None
        )
    if length - 8 > there:
        return HeaderLengths(promised=promised)
    return HeaderLengths(promised=min(promised, (length - 8) // align))


def _mp3(handle: Readable, size: int, frames: int) -> HeaderLengths:
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
    return HeaderLengths(frames, held if held > frames + 8 * 1152 else frames)


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
