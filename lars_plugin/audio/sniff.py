# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of file this is, by its first bytes, where libsndfile does not read that kind."""

from __future__ import annotations

import struct

from lars_plugin.audio.pieces import Readable

__all__ = ["FOREIGN_EXTENSIONS", "foreign_kind", "tag_length"]

# Names under which such files are looked for in folders.
FOREIGN_EXTENSIONS = (
    ".m4a", ".m4b", ".aac", ".alac", ".mp4", ".m4v", ".mov", ".wma", ".wmv", ".mkv", ".mka",
    ".webm", ".ogv", ".avi", ".3gp", ".ac3", ".ape", ".wv",
)  # fmt: skip

# Kind, by the bytes at a place.
_MAGIC = (
    (4, b"ftyp", "MP4 or QuickTime"),
    (4, b"moov", "QuickTime"),
    (4, b"mdat", "QuickTime"),
    (4, b"wide", "QuickTime"),
    (0, bytes.fromhex("3026b2758e66cf11"), "Windows Media"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"ADIF", "AAC"),
    (0, b"\x0b\x77", "AC-3"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"TTA1", "True Audio"),
    (0, b"tBaK", "TAK"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b"#!AMR", "AMR"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"DSD ", "DSD"),
    (0, b"\0\0\x01\xba", "MPEG video"),
)

# What libsndfile reads, but not every coding in it.
_KNOWN = (
    (b"RIFF", "WAV"), (b"RIFX", "WAV"), (b"RF64", "WAV"), (b"BW64", "WAV"), (b"FORM", "AIFF"),
    (b"caff", "CAF"), (b"OggS", "Ogg"), (b"riff", "Wave64"), (b".snd", "AU"),
)  # fmt: skip


def foreign_kind(head: bytes) -> tuple[str, bool]:
    """The kind of a file with these first bytes, 192 or more.

    Returns:
        Its name, empty if not known, and whether libsndfile may read such files.
    """
    for place, magic, name in _MAGIC:
        if head[place:].startswith(magic):
            return name, False
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "AVI", False
    # ADTS: twelve bits of ones, and a layer that MP3 does not have.
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "AAC", False
    if head[:1] == head[188:189] == b"G":
        return "MPEG transport stream", False
    return next(((name, True) for magic, name in _KNOWN if head.startswith(magic)), ("", True))


def tag_length(handle: Readable) -> int:
    """Bytes of the ID3 tags that a file begins with, 0 if MP3 audio or nothing known follows.

    Only MP3 files may have them, and libsndfile expects them there alone.
    """
    position = 0
    while True:
        handle.seek(position)
        head = handle.read(192)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        a, b, c, d = struct.unpack_from("4B", head, 6)
        # A length of four times seven bits.
        position += 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if head[5] & 0x10 else 0)
    known = foreign_kind(head)[0] or head[:4] == b"fLaC"
    return position if known else 0
