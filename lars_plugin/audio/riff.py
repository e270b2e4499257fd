# SPDX-License-Identifier: GPL-3.0-or-later
"""WAV headers, read again: where the audio lies, and how much of it there really is.

libsndfile believes the header, or mends it silently. Writers into a pipe cannot go back to
correct it, a recorder that lost power did not, and 32 bits do not hold more than 4 GiB. Here the
header is held against the file; where it is wrong, libsndfile gets one that is right.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lars_plugin.audio.pieces import Readable

__all__ = ["Extent", "Layout", "follows_audio", "mended_header", "read_layout", "real_extent"]

# This many bytes behind the audio are not read as audio where they are not a chunk.
_STRAY_LIMIT = 4096

# Where chunks behind audio of unknown length are looked for, from the end of the file.
_TAIL = 1 << 20

# A chunk with a name that is not among those below is no longer than this; else much audio would
# pass for one.
_CHUNK_LIMIT = 1 << 24

# Chunks that are written behind the audio.
_TRAILING = (
    b"LIST", b"bext", b"iXML", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"acid", b"inst", b"PEAK",
    b"afsp", b"_PMX", b"axml", b"chna", b"JUNK", b"junk", b"PAD ", b"FLLR", b"LGWV", b"Fake",
    b"minf", b"elm1", b"regn", b"umid", b"cart", b"ltxt", b"plst", b"DISP", b"levl",
    b"strc", b"bwav", b"aXML", b"ResU", b"SMED", b"AFAn", b"SAUR", b"DGDA", b"fact",
)  # fmt: skip

_FORMS = (b"RIFF", b"RIFX", b"RF64", b"BW64")

# Tags of MP3 files; some programs put them behind WAV files too.
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


@dataclass(frozen=True)
class Layout:
    """What a WAV header says.

    Attributes:
        order: of bytes, for struct.
        form: the payload of the chunk "fmt ".
        start: where the audio begins.
        length: of the audio in bytes.
        riff_end: where the whole file ends.
        long: with 64-bit sizes.
    """

    order: str
    form: bytes
    start: int
    length: int
    riff_end: int
    long: bool

    @property
    def align(self) -> int:
        """Bytes per frame, or per block of a coding that has blocks."""
        return max(1, int(struct.unpack_from(self.order + "H", self.form, 12)[0]))

    @property
    def unknown(self) -> bool:
        """Whether the length is one of those that mean "not known" (ffmpeg, SoX, a crash).

        They are the largest numbers of 31, 32 and 63 bits, less a header or what does not fill
        a frame.
        """
        if self.long:
            return self.length == 0 or self.length >= 1 << 62 or self._near(0xFFFFFFFF)
        return self.length == 0 or self._near(0xFFFFFFFF) or self._near(0x80000000)

    def _near(self, limit: int) -> bool:
        return limit - 0x2000 <= self.length <= limit


@dataclass(frozen=True)
class Extent:
    """How much audio there is.

    Attributes:
        length: bytes to read.
        covered: bytes of them that the header covers, where that is fewer.
        promised: bytes that the header promises, where that is more.
        missing: bytes that may be audio but are not read.
    """

    length: int
    covered: int | None = None
    promised: int | None = None
    missing: int = 0


def read_layout(handle: Readable, base: int) -> Layout | None:
    """The header at ``base``; None where none can be made out. Reads forward only."""
    try:
        handle.seek(base)
        head = handle.read(12)
        if head[:4] not in _FORMS or head[8:] != b"WAVE":
            return None
        order = ">" if head[:4] == b"RIFX" else "<"
        long = head[:4] in (b"RF64", b"BW64")
        riff = int(struct.unpack(order + "I", head[4:8])[0])
        form, long_length = b"", 0
        position = base + 12
        while True:
            handle.seek(position)
            name, length = struct.unpack(order + "4sI", handle.read(8))
            position += 8
            if name == b"ds64":
                riff, long_length = struct.unpack("<QQ", handle.read(16))
            elif name == b"fmt ":
                form = handle.read(min(length, 1 << 12))
            elif name == b"data":
                break
            position += length + length % 2
    except struct.error:  # it ends early
        return None
    if len(form) < 16:
        return None
    if long and length == 0xFFFFFFFF:
        length = long_length
    return Layout(order, form, position, length, base + 8 + riff, long)


def real_extent(handle: Readable, layout: Layout, size: int) -> Extent:
    """Hold the header against a file of ``size`` bytes."""
    start, length = layout.start, layout.length
    there = size - start
    if layout.unknown:
        if length < there and there >= 8:
            end = _behind_chunks(handle, start + length, size, layout.order)
            if end == size:
                return Extent(length)
        return Extent(there - _trailing_chunks(handle, layout, size))
    if length >= there:
        return Extent(there, promised=length if length > there else None)
    end = _behind_chunks(handle, start + length, size, layout.order)
    if size - end <= _STRAY_LIMIT:
        return Extent(length)
    if not layout.long:
        # More than 32 bits hold: the number began again at 0, maybe several times.
        for wrapped in range(length + (1 << 32), there + 1, 1 << 32):
            if _behind_chunks(handle, start + wrapped, size, layout.order) == size:
                return Extent(wrapped)
    chunks = end > start + length + 1
    finished = layout.riff_end in (end, end + 1, start + length, start + length + 1)
    if chunks or finished or _is_tag(handle, start + length):
        # The writer finished its file; somebody put more behind it.
        return Extent(length, missing=0 if _is_tag(handle, end) else size - end)
    return Extent(there - _trailing_chunks(handle, layout, size), covered=length)


def follows_audio(head: bytes) -> bool:
    """Whether these bytes, behind the audio of a pipe, begin a chunk, a tag or another file."""
    return head[:4] in _TRAILING + _FORMS or head.startswith(_TAGS)


def _is_chunk(order: str, head: bytes, left: int) -> bool:
    """Whether these bytes, ``left`` bytes before the end of the file, begin a chunk."""
    if len(head) < 8 or head[:4] in _FORMS:
        return False
    name, length = struct.unpack_from(order + "4sI", head)
    # A chunk that is known may be cut off; it is not audio anyway.
    return name in _TRAILING or (
        8 + length <= min(left, _CHUNK_LIMIT)
        and name.isascii()
        and name.decode("ascii").isprintable()
    )


def _behind_chunks(handle: Readable, position: int, size: int, order: str) -> int:
    """Where the chunks that begin here end; odd ones are padded by a byte, or should be."""
    while size - position >= 8:
        for pad in (position % 2, 1 - position % 2):
            handle.seek(position + pad)
            head = handle.read(8)
            if _is_chunk(order, head, size - position - pad):
                length = struct.unpack_from(order + "4xI", head)[0]
                position = min(position + pad + 8 + length, size)
                break
        else:
            return position
    return size


def _trailing_chunks(handle: Readable, layout: Layout, size: int) -> int:
    """Bytes of chunks at the very end of a file whose audio has no length."""
    begin = max(layout.start, size - _TAIL)
    handle.seek(begin)
    tail = handle.read(size - begin)
    found = [at for name in _TRAILING for at in _all(tail, name)]
    for at in sorted(found):
        if _exact_chunks(tail, at, layout.order):
            return len(tail) - at
    return 0


def _all(tail: bytes, name: bytes) -> list[int]:
    found, at = [], tail.find(name)
    while at >= 0:
        found.append(at)
        at = tail.find(name, at + 1)
    return found


def _exact_chunks(tail: bytes, at: int, order: str) -> bool:
    """Whether known chunks go from here to the end without a byte between or left."""
    while at + 8 <= len(tail) and tail[at : at + 4] in _TRAILING:
        length = struct.unpack_from(order + "4xI", tail, at)[0]
        at += 8 + length + length % 2
    return at in (len(tail), len(tail) + 1)


def _is_tag(handle: Readable, position: int) -> bool:
    """Whether one of the tags lies here."""
    handle.seek(position)
    return handle.read(12).startswith(_TAGS)


def mended_header(layout: Layout, length: int) -> bytes:
    """A header for ``length`` bytes of this audio that follow at once."""
    form = struct.pack(layout.order + "4sI", b"fmt ", len(layout.form)) + layout.form
    form += b"\0" * (len(form) % 2)
    if length + len(form) + 20 < 1 << 32:
        name = b"RIFX" if layout.order == ">" else b"RIFF"
        head = struct.pack(layout.order + "4sI4s", name, 12 + len(form) + length, b"WAVE")
        return head + form + struct.pack(layout.order + "4sI", b"data", length)
    head = struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE")
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, 48 + len(form) + length, length, 0, 0)
    return head + sizes + form + struct.pack("<4sI", b"data", 0xFFFFFFFF)
