# SPDX-License-Identifier: GPL-3.0-or-later
"""Ogg files, taken apart: chained recordings, and FLAC in Ogg.

An Ogg file can hold several recordings one behind the other (a radio's stream, ``cat a.ogg
b.ogg``), and sound beside pictures. libsndfile reads the first recording and stops, and it does
not read FLAC in Ogg. So every recording's sound becomes a file of its own, made of pieces.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from lars_plugin.audio.pieces import Readable

__all__ = ["Link", "read_links"]

_FIRST = 2

# How far a page is looked for behind damage.
_RESYNC = 1 << 18

_CODECS = {
    b"\x01vorbis": "Vorbis",
    b"OpusHead": "Opus",
    b"\x7fFLAC": "FLAC",
    b"Speex   ": "Speex",
}


@dataclass
class Link:
    """The sound of one recording.

    Attributes:
        codec: Vorbis, Opus, FLAC or Speex.
        pieces: of the file, to be read one behind the other: an Ogg file with this sound alone,
            or a FLAC file.
        cut: the file ends in the middle of it.
    """

    codec: str
    pieces: list[bytes | tuple[int, int]]
    cut: bool = False


@dataclass
class _Stream:
    """Pages of one number in one recording, those that touch as one."""

    codec: str = ""
    pieces: list[bytes | tuple[int, int]] = field(default_factory=list)

    def add(self, start: int, length: int) -> None:
        if self.pieces and length:
            begin, size = self.pieces[-1]
            if isinstance(begin, int) and isinstance(size, int) and begin + size == start:
                self.pieces[-1] = (begin, size + length)
                return
        self.pieces.append((start, length))


def read_links(handle: Readable, base: int, size: int) -> list[Link]:
    """The recordings in an Ogg file that begins at ``base`` and ends at ``size``, in order.

    Recordings without sound are left out.
    """
    links: list[dict[int, _Stream]] = []
    cut = False
    firsts = False  # whether the page before began a stream
    position = base
    while position + 27 <= size:
        handle.seek(position)
        head = handle.read(27)
        if head[:4] != b"OggS":
            found = head.find(b"OggS", 1)
            if found < 0:
                found = (head + handle.read(_RESYNC)).find(b"OggS", 1)
            if found < 0:
                break
            position += found
            continue
        flags, serial, count = head[5], struct.unpack_from("<I", head, 14)[0], head[26]
        body = sum(handle.read(count))
        start = position + 27 + count
        if flags & _FIRST:
            if not firsts or serial in links[-1]:
                links.append({})
            links[-1][serial] = _Stream(_codec(handle.read(9)))
        firsts = bool(flags & _FIRST)
        stream = links[-1].get(serial) if links else None
        if stream is not None and stream.codec == "FLAC":
            # Pages' contents, one behind the other, are a FLAC file, behind a header of Ogg's.
            skip = 9 if firsts else 0
            stream.add(start + skip, max(0, min(body, size - start) - skip))
        elif stream is not None and stream.codec:
            stream.add(position, min(27 + count + body, size - position))
        position = start + body
        cut = position > size
    sounds = [next((s for s in link.values() if s.codec), None) for link in links]
    result = [Link(sound.codec, sound.pieces) for sound in sounds if sound is not None]
    if result:
        result[-1].cut = cut
    return result


def _codec(head: bytes) -> str:
    for magic, codec in _CODECS.items():
        if head.startswith(magic):
            return codec
    return ""
