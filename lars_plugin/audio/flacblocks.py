# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata blocks of FLAC files, put where libsndfile has kept room for them."""

from __future__ import annotations

import struct
from typing import BinaryIO

from lars_plugin.audio.metadata import Metadata, flac_blocks
from lars_plugin.audio.tags import as_tags

__all__ = ["metadata_blocks", "put_blocks"]

_APPLICATION, _COMMENTS, _PADDING = 2, 4, 1
_LAST = 0x80
_HEAD = 4
_MOST = 1 << 23  # bytes of blocks; the room for them is one block, below 1 << 24


def metadata_blocks(metadata: Metadata, rate: int) -> bytes:
    """Blocks, with their heads, that hold the metadata: comments, and each chunk as it was.

    Chunks that would make more than 8 MiB are left out.
    """
    comments = []
    for tag, value in as_tags(metadata, rate):
        text = f"{tag}={value}".encode("utf-8", "replace")
        comments.append(struct.pack("<I", len(text)) + text)
    vendor = b"lars"
    content = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(comments))
    result = _block(_COMMENTS, content + b"".join(comments))
    for name, data in metadata.chunks:
        chunk = b"riff" + struct.pack("<4sI", name, len(data)) + data + b"\0" * (len(data) % 2)
        if len(result) + len(chunk) <= _MOST:
            result += _block(_APPLICATION, chunk)
    return result if len(result) <= _MOST else b""


def put_blocks(handle: BinaryIO, blocks: bytes) -> None:
    """Replace the comments of a FLAC file, which are longer, by blocks and padding.

    Raises:
        OSError: the file cannot be read or written.
    """
    _, position, length = next(block for block in flac_blocks(handle) if block[0] == _COMMENTS)
    handle.seek(position - _HEAD)
    last = handle.read(1)[0] & _LAST
    # libsndfile's own words around the placeholder are more than a block's head.
    rest = length - len(blocks)
    padding = struct.pack(">I", (last | _PADDING) << 24 | rest) + bytes(rest)
    handle.seek(position - _HEAD)
    handle.write(blocks + padding)


def _block(kind: int, content: bytes) -> bytes:
    return struct.pack(">I", kind << 24 | len(content)) + content
