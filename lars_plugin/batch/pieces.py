# SPDX-License-Identifier: GPL-3.0-or-later
"""Long recordings in pieces, where the stems are the same to the bit as in one go.

A piece begins where the stream can begin (``ModelStream.begin_at``), some context earlier, and its
stems are kept as float32. When all pieces are there, the recording is separated once more, by a
stream that takes the stems from the pieces: so whatever happens to stems on the way to the files
happens here too.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles, AudioReader
from lars_plugin.audio.channels import ChannelChoice, channel_places
from lars_plugin.batch.jobs import Job, Piece
from lars_plugin.batch.locations import fetch, is_remote, put, remove_all
from lars_plugin.errors import AudioFileError, CancelledError, LarsError
from lars_plugin.files import printable

if TYPE_CHECKING:
    from lars_plugin.separation.separator import Separator

__all__ = ["FOLDER", "Joined", "clear", "make", "plan"]

# Below the output folder.
FOLDER = ".lars-pieces"

_BLOCK = 1 << 14

Wave = NDArray[np.float32]


def plan(separator: Separator, path: Path, args: argparse.Namespace) -> tuple[Piece, ...]:
    """The pieces that a recording is to be separated in; none: in one go.

    That is so for short ones, for pipes, and where the stream can only begin at the beginning.
    """
    try:
        with AudioReader(path) as reader:
            frames, rate, channels = reader.frames, reader.rate, _count(reader, path, args)
    except LarsError:
        return ()  # whoever separates it says what is wrong
    if frames < 2 * args.piece_seconds * rate:
        return ()
    stream = separator.stream(rate, channels)
    # Shorter ones would be mostly context, and the last must not begin near the end.
    length = max(round(args.piece_seconds * rate), 4 * stream.latency_samples)
    count = frames // length
    if count < 2:
        return ()
    bounds = [length * number for number in range(count)] + [frames]
    if any(stream.begin_at(bound) is None for bound in bounds[1:-1]):
        return ()
    return tuple(
        Piece(number, first, last)
        for number, (first, last) in enumerate(itertools.pairwise(bounds))
    )


def _count(reader: AudioReader, path: Path, args: argparse.Namespace) -> int:
    return _choice(reader, path, args).count


def _choice(reader: AudioReader, path: Path, args: argparse.Namespace) -> ChannelChoice:
    places = channel_places(path, reader.channels) if reader.channels > 2 else None
    return ChannelChoice(args.channels, reader.channels, places, path)


def make(
    job: Job,
    args: argparse.Namespace,
    separator: Separator,
    path: Path,
    out: str,
    scratch: Path,
    progress: Callable[[int, int], bool],
) -> None:
    """Separate a piece and keep its stems beside the outputs.

    Raises:
        AudioFileError: the input ends before the piece does, or the stems cannot be written.
        CancelledError: progress returned False.
    """
    assert job.piece is not None
    place = _file(job, job.piece.number, out)
    local = scratch / "piece.f32" if is_remote(out) else Path(place)
    with AudioReader(path) as reader, AtomicFiles() as files:
        handle = files.create(local)
        choice = _choice(reader, path, args)
        stream = separator.stream(reader.rate, choice.count)
        begin = stream.begin_at(job.piece.first)
        assert begin is not None
        wanted, last = job.piece.last - job.piece.first, job.piece.last >= reader.frames
        given = position = 0
        for block in map(choice, reader.blocks(_BLOCK)):
            # Decoded from the front: of lossy files nothing else gives the same samples.
            skip = min(block.shape[1], max(0, begin - position))
            position += block.shape[1]
            if not progress(position, reader.frames):
                raise CancelledError(f"cancelled after {position} of {reader.frames} frames")
            if skip < block.shape[1]:
                stems = stream.push(block[:, skip:])
                given += _keep(handle, stems if last else stems[..., : wanted - given])
            if given == wanted and not last:
                break
        else:
            if not last:
                raise AudioFileError(
                    f"{printable(path)} ends before its header says; use --piece-minutes 0"
                )
            _keep(handle, stream.flush())
    if is_remote(out):
        put(local, place)


def clear(out: str, key: int) -> None:
    """Remove the pieces of a recording."""
    folder = f"{out.rstrip('/')}/{FOLDER}/{key}"
    if is_remote(out):
        remove_all(folder)
        return
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(folder))  # the last of them


def _keep(handle: BinaryIO, stems: Wave) -> int:
    """Write stems ``(stems, channels, n)`` sample by sample; returns n."""
    if stems.shape[2]:
        handle.write(np.ascontiguousarray(stems.transpose(2, 0, 1)).tobytes())
    return int(stems.shape[2])


def _file(job: Job, number: int, out: str) -> str:
    return f"{out.rstrip('/')}/{FOLDER}/{job.key}/{number:05d}.f32"


class Joined:
    """A separator for one recording whose pieces are done; in place of the real one.

    Args:
        job: with the pieces.
        separator: that made them.
        out: folder or URL of the outputs.
        scratch: for copies of remote pieces.
    """

    def __init__(self, job: Job, separator: Separator, out: str, scratch: Path) -> None:
        self._job, self._separator, self._out, self._scratch = job, separator, out, scratch

    @property
    def stems(self) -> tuple[str, ...]:
        """Of the real separator."""
        return self._separator.stems

    @property
    def model(self) -> Any:
        """Of the real separator."""
        return self._separator.model

    def stream(self, sample_rate: float, channels: int) -> _Replay:
        """A stream that gives what the pieces hold."""
        del sample_rate
        return _Replay(self._files(), len(self.stems), channels)

    def _files(self) -> Iterator[Path]:
        for piece in self._job.pieces:
            place = _file(self._job, piece.number, self._out)
            yield fetch(place, self._scratch) if is_remote(self._out) else Path(place)


class _Replay:
    """The part of a stream that :func:`~lars_plugin.separation.files.separate_file` uses."""

    def __init__(self, files: Iterator[Path], stems: int, channels: int) -> None:
        self._shape = (stems, channels)
        self._files = files
        self._handle: BinaryIO | None = None

    def push(self, block: Wave) -> Wave:
        """The stems of as many samples."""
        stems = self._read(block.shape[1])
        if stems.shape[2] < block.shape[1]:
            raise AudioFileError("the input became longer while its pieces were separated")
        return stems

    def flush(self) -> Wave:
        """Nothing: no stem is late."""
        rest = self._read(1)
        if rest.shape[2]:
            raise AudioFileError("the input became shorter while its pieces were separated")
        return rest

    def _read(self, most: int) -> Wave:
        size = 4 * self._shape[0] * self._shape[1]
        data = bytearray()
        while len(data) < most * size:
            if self._handle is None:
                path = next(self._files, None)
                if path is None:
                    break
                self._handle = path.open("rb")
            new = self._handle.read(most * size - len(data))
            if not new:
                self._handle.close()
                self._handle = None
            data += new
        wave = np.frombuffer(bytes(data), np.float32).reshape(-1, *self._shape)
        return np.ascontiguousarray(wave.transpose(1, 2, 0))
