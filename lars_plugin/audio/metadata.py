# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording carries beside its audio, taken over into its stems.

Stems have the rate and the length of their recording, so its positions are theirs: the time
stamp of a Broadcast Wave file (``bext``), cue points and their labels, loops (``smpl``), tempo
and key (``acid``, ID3, Vorbis comments), iXML and titles. Read are WAV, RF64, AIFF and FLAC files
and the ID3 tag of an MP3 file; written are WAV (chunks as they were) and FLAC (Vorbis comments;
chunks as they were, in ``APPLICATION`` blocks of the kind ``riff``).

What would not be true of a stem stays behind: the loudness and the UMID in ``bext``, and
replay gain. So do pictures in FLAC files, and chunks of more than 4 MiB.
"""

from __future__ import annotations

import logging
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lars_plugin.audio.riffchunks import MOST_BYTES, is_aiff, riff_chunks
from lars_plugin.files import printable

__all__ = ["Metadata", "flac_blocks", "read_metadata"]

log = logging.getLogger(__name__)

# Chunks that are taken over, with the fewest bytes that make sense.
_CHUNKS = {
    b"bext": 602,
    b"cue ": 4,
    b"LIST": 4,
    b"smpl": 36,
    b"inst": 7,
    b"acid": 24,
    b"iXML": 1,
    b"id3 ": 10,
    b"ID3 ": 10,
}
_LISTS = (b"INFO", b"adtl")

_COMMENTS, _APPLICATION = 4, 2  # kinds of FLAC blocks
_UNTRUE_TAGS = ("REPLAYGAIN_", "R128_")
_BEXT_LOUDNESS, _BEXT_UMID = slice(412, 422), slice(348, 412)
_NOT_SET = 0x7FFF


@dataclass(frozen=True)
class Metadata:
    """What a file carries.

    Attributes:
        chunks: of a WAV file, name and content.
        tags: Vorbis comments, name in capitals and value.
    """

    chunks: tuple[tuple[bytes, bytes], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.chunks or self.tags)


def read_metadata(path: str | os.PathLike[str]) -> Metadata:
    """What a file carries; nothing where it is damaged, not a plain file or not known."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Metadata()
        with Path(path).open("rb") as handle:
            return _read(handle)
    except (OSError, ValueError, struct.error, IndexError) as error:
        log.info("%s: what is beside the audio cannot be read: %s", printable(path), error)
        return Metadata()


def _read(handle: BinaryIO) -> Metadata:
    start = handle.read(12)
    begin = 0
    if start[:3] == b"ID3":
        begin = 10 + _seven_bits(start[6:10])
        handle.seek(begin)
        behind = handle.read(12)
        if behind[:4] not in (b"RIFF", b"RF64", b"BW64", b"FORM", b"fLaC"):
            handle.seek(0)
            return Metadata(((b"id3 ", handle.read(begin)),) if begin < MOST_BYTES else ())
        start = behind
    if start[:4] == b"fLaC":
        return _flac(handle, begin)
    if is_aiff(start):
        found = riff_chunks(handle, {b"ID3 "}, begin)
        return Metadata(tuple((b"id3 ", data) for _, data in found))
    return Metadata(_usable(riff_chunks(handle, _CHUNKS, begin)))


def _usable(chunks: Iterator[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    found = []
    for name, data in chunks:
        if len(data) < _CHUNKS[name] or (name == b"LIST" and data[:4] not in _LISTS):
            continue
        if name == b"cue " and len(data) < 4 + 24 * int.from_bytes(data[:4], "little"):
            continue
        if name == b"smpl" and len(data) < 36 + 24 * int.from_bytes(data[28:32], "little"):
            continue
        found.append((name, _of_a_stem(data) if name == b"bext" else data))
    return tuple(found)


def _of_a_stem(bext: bytes) -> bytes:
    """The chunk without what is said of the sum of all stems."""
    data = bytearray(bext)
    data[_BEXT_UMID] = bytes(64)
    if int.from_bytes(data[346:348], "little") >= 2:
        data[_BEXT_LOUDNESS] = struct.pack("<5h", *[_NOT_SET] * 5)
    return bytes(data)


def flac_blocks(handle: BinaryIO, begin: int = 0) -> Iterator[tuple[int, int, int]]:
    """Kind, position and length of the content of each metadata block of a FLAC file."""
    position = begin + 4
    last = False
    while not last:
        handle.seek(position)
        head = handle.read(4)
        if len(head) < 4:
            return
        last = bool(head[0] & 0x80)
        length = int.from_bytes(head[1:], "big")
        yield head[0] & 0x7F, position + 4, length
        position += 4 + length


def _flac(handle: BinaryIO, begin: int) -> Metadata:
    chunks: list[tuple[bytes, bytes]] = []
    tags: list[tuple[str, str]] = []
    for kind, position, length in flac_blocks(handle, begin):
        if length > MOST_BYTES or kind not in (_COMMENTS, _APPLICATION):
            continue
        handle.seek(position)
        data = handle.read(length)
        if kind == _COMMENTS:
            tags += _comments(data)
        elif data[:4] == b"riff" and data[4:8] in _CHUNKS:
            # The block holds a chunk, or its first part, as the program `flac` keeps it.
            size = int.from_bytes(data[8:12], "little")
            if len(data) >= 12 + size:
                chunks.append((data[4:8], data[12 : 12 + size]))
    return Metadata(_usable(iter(chunks)), tuple(tags))


def _comments(data: bytes) -> list[tuple[str, str]]:
    def text(at: int) -> tuple[str, int]:
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data):
            raise ValueError("a comment is cut off")
        return data[at + 4 : end].decode("utf-8", "replace"), end

    _, at = text(0)  # the encoder's name
    count = int.from_bytes(data[at : at + 4], "little")
    at += 4
    found = []
    for _ in range(count):
        comment, at = text(at)
        name, equals, value = comment.partition("=")
        if equals and not name.upper().startswith(_UNTRUE_TAGS):
            found.append((name.upper(), value))
    return found


def _seven_bits(data: bytes) -> int:
    size = 0
    for byte in data:
        size = size << 7 | byte & 0x7F
    return size
