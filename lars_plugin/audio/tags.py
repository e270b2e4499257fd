# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of WAV files told as Vorbis comments, and comments as chunks.

Names of comments about the time stamp are those that ffmpeg gives them; markers are chapters, as
in Ogg files (``CHAPTER001``, ``CHAPTER001NAME``).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence

from lars_plugin.audio.metadata import Metadata

__all__ = ["as_chunks", "as_tags"]

_ID3 = {
    "TIT2": "TITLE", "TPE1": "ARTIST", "TALB": "ALBUM", "TDRC": "DATE", "TYER": "DATE",
    "TCON": "GENRE", "TRCK": "TRACKNUMBER", "TBPM": "BPM", "TKEY": "INITIALKEY",
    "TCOM": "COMPOSER", "TCOP": "COPYRIGHT", "TSRC": "ISRC",
}  # fmt: skip
_ID3_NAMES = {
    **{tag: frame for frame, tag in _ID3.items() if frame != "TDRC"},
    "KEY": "TKEY",
    "TEMPO": "TBPM",
}
_INFO = {
    b"INAM": "TITLE", b"IART": "ARTIST", b"IPRD": "ALBUM", b"ICRD": "DATE", b"IGNR": "GENRE",
    b"ICMT": "COMMENT", b"ITRK": "TRACKNUMBER", b"ICOP": "COPYRIGHT", b"IBPM": "BPM",
}  # fmt: skip
_BEXT = (
    ("DESCRIPTION", 0, 256),
    ("ORIGINATOR", 256, 32),
    ("ORIGINATOR_REFERENCE", 288, 32),
    ("ORIGINATION_DATE", 320, 10),
    ("ORIGINATION_TIME", 330, 8),
)
_ONE_SHOT, _ROOT_SET = 0x01, 0x02
_NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_CHAPTER = re.compile(r"CHAPTER(\d{3})(NAME)?")
_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def as_tags(metadata: Metadata, rate: int) -> list[tuple[str, str]]:
    """Vorbis comments: those there are, and what chunks say beyond them.

    Args:
        metadata: of a recording.
        rate: Hz.
    """
    found = list(metadata.tags)
    names = {name for name, _ in found}
    for name, value in _from_chunks(metadata.chunks, rate):
        if value and name not in names:
            found.append((name, value))
            names.add(name)
    return found


def _from_chunks(chunks: Sequence[tuple[bytes, bytes]], rate: int) -> Iterator[tuple[str, str]]:
    labels: dict[int, str] = {}
    for name, data in chunks:
        if name == b"LIST" and data[:4] == b"adtl":
            labels.update(_labels(data))
    for name, data in chunks:
        if name == b"bext":
            for tag, at, length in _BEXT:
                yield tag, _text(data[at : at + length])
            yield "TIME_REFERENCE", str(int.from_bytes(data[338:346], "little"))
        elif name == b"acid":
            flags, root = struct.unpack("<IH", data[:6])
            tempo = struct.unpack("<f", data[20:24])[0]
            if 0 < tempo < 1000 and not flags & _ONE_SHOT:
                yield "BPM", f"{tempo:.6g}"
            if flags & _ROOT_SET:
                yield "INITIALKEY", _NOTES[root % 12]
        elif name in (b"id3 ", b"ID3 "):
            yield from _id3_tags(data)
        elif name == b"LIST" and data[:4] == b"INFO":
            for field, text in _fields(data):
                if field in _INFO:
                    yield _INFO[field], _text(text)
        elif name == b"cue ":
            points = sorted(
                (position, number)
                for number, position in struct.iter_unpack("<I16xI", data[4:][: _cue_bytes(data)])
            )
            for index, (position, number) in enumerate(points[:999], 1):
                seconds = position / rate
                clock = f"{int(seconds // 3600):02}:{int(seconds // 60) % 60:02}"
                yield f"CHAPTER{index:03}", f"{clock}:{seconds % 60:06.3f}"
                yield f"CHAPTER{index:03}NAME", labels.get(number, f"Marker {index}")


def _cue_bytes(data: bytes) -> int:
    return 24 * int.from_bytes(data[:4], "little")


def _fields(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks within a LIST."""
    at = 4
    while at + 8 <= len(data):
        name, length = struct.unpack("<4sI", data[at : at + 8])
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _labels(data: bytes) -> Mapping[int, str]:
    return {
        int.from_bytes(content[:4], "little"): _text(content[4:])
        for name, content in _fields(data)
        if name == b"labl" and len(content) > 4
    }


def _text(data: bytes) -> str:
    data = data.split(b"\0")[0]
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace").strip()


def _id3_tags(data: bytes) -> Iterator[tuple[str, str]]:
    """The text frames of an ID3 tag of version 2.3 or 2.4 that is not scrambled."""
    if data[:3] != b"ID3" or data[3] not in (3, 4) or data[5] & 0xC0:
        return
    at = 10
    while at + 10 <= len(data) and data[at : at + 4].isalnum():
        name = data[at : at + 4].decode("ascii")
        raw = data[at + 4 : at + 8]
        bits = 7 if data[3] == 4 else 8
        length = sum(byte << bits * (3 - index) for index, byte in enumerate(raw))
        content = data[at + 10 : at + 10 + length]
        at += 10 + length
        if not content or name[0] != "T":
            continue
        codec = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}.get(content[0], "latin-1")
        words = content[1:].decode(codec, "replace").rstrip("\0").split("\0")
        if name == "TXXX" and len(words) > 1:
            if re.fullmatch(r"[ -<>-}]+", words[0]):
                yield words[0].upper(), words[1].lstrip("\ufeff")
        elif name in _ID3:
            yield _ID3[name], words[0]


def as_chunks(metadata: Metadata, rate: int) -> list[tuple[bytes, bytes]]:
    """Chunks of a WAV file: those there are, and what comments say beyond them.

    Args:
        metadata: of a recording.
        rate: Hz.
    """
    found = list(metadata.chunks)
    names = {name for name, _ in found}
    tags = dict(reversed(metadata.tags))  # of several of one name the first
    if tags and b"bext" not in names and tags.get("TIME_REFERENCE", "").isdecimal():
        found.append((b"bext", _bext(tags)))
    if tags and b"cue " not in names:
        found += _cues(tags, rate)
    if tags and not names & {b"id3 ", b"ID3 "}:
        found.append((b"id3 ", _id3(metadata.tags)))
    return found


def _bext(tags: Mapping[str, str]) -> bytes:
    data = bytearray(602)
    for tag, at, length in _BEXT:
        text = tags.get(tag, "").encode("ascii", "replace")[:length]
        data[at : at + len(text)] = text
    data[338:346] = min(int(tags["TIME_REFERENCE"]), 2**64 - 1).to_bytes(8, "little")
    data[346:348] = (1).to_bytes(2, "little")
    return bytes(data)


def _cues(tags: Mapping[str, str], rate: int) -> list[tuple[bytes, bytes]]:
    points: list[bytes] = []
    labels: list[bytes] = []
    for name, value in sorted(tags.items()):
        chapter, time = _CHAPTER.fullmatch(name), _TIME.fullmatch(value)
        if chapter is None or chapter[2] or time is None:
            continue
        seconds = int(time[1]) * 3600 + int(time[2]) * 60 + float(time[3])
        position = round(seconds * rate)
        if position > 0xFFFFFFFF:
            continue
        number = len(points) + 1
        points.append(struct.pack("<II4sIII", number, position, b"data", 0, 0, position))
        label = struct.pack("<I", number) + tags.get(f"{name}NAME", "").encode() + b"\0"
        labels.append(struct.pack("<4sI", b"labl", len(label)) + label + b"\0" * (len(label) % 2))
    if not points:
        return []
    cue = struct.pack("<I", len(points)) + b"".join(points)
    return [(b"cue ", cue), (b"LIST", b"adtl" + b"".join(labels))]


def _id3(tags: Sequence[tuple[str, str]]) -> bytes:
    """An ID3 tag of version 2.3, which most programs read."""
    frames = []
    seen = set()
    for name, value in tags:
        frame = _ID3_NAMES.get(name, "TXXX")
        key = (frame, name if frame == "TXXX" else "")
        if key in seen:
            continue
        seen.add(key)
        text = f"{name}\0{value}" if frame == "TXXX" else value
        try:
            content = b"\0" + text.encode("latin-1")
        except UnicodeEncodeError:
            # With a mark of its byte order before each part.
            parts = [b"\xff\xfe" + part.encode("utf-16-le") for part in text.split("\0", 1)]
            content = b"\1" + b"\0\0".join(parts)
        frames.append((frame, content))
    body = b"".join(
        frame.encode() + struct.pack(">IH", len(content), 0) + content for frame, content in frames
    )
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body
