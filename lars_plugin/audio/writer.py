# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioWriter: a WAV or FLAC file, written block by block, there when it is complete."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.audio.flacblocks import metadata_blocks, put_blocks
from lars_plugin.audio.metadata import Metadata
from lars_plugin.audio.tags import as_chunks
from lars_plugin.audio.virtual import QuietFile
from lars_plugin.audio.wav import WavEncoder
from lars_plugin.errors import InputError
from lars_plugin.files import AtomicFiles, printable, write_failure

__all__ = ["BITS", "FORMATS", "AudioWriter", "check_format", "write_audio"]

FORMATS = ("wav", "flac")
BITS = ("16", "24", "32f")


def check_format(extension: str, bits: str) -> None:
    """Whether files of this kind can be written.

    Raises:
        InputError: an unknown format or width, or 32-bit float in FLAC.
    """
    if extension not in FORMATS:
        raise InputError(f"cannot write {extension!r} files; use {' or '.join(FORMATS)}")
    if bits not in BITS:
        raise InputError(f"unknown bits {bits!r}; use {', '.join(BITS)}")
    if extension == "flac" and bits == "32f":
        raise InputError("FLAC has no float samples; use 24 bits, or WAV for 32f")


class _Encoder(Protocol):
    def write(self, frames: NDArray[Any]) -> None: ...
    def finish(self) -> None: ...


class AudioWriter:
    """Writes a WAV or FLAC file, as its name ends.

    Args:
        path: final name, ending in ``.wav`` or ``.flac``; missing folders are made.
        rate: Hz.
        channels: any number that the format can hold.
        bits: ``16``, ``24`` or ``32f`` (float, WAV only).
        files: the group of files that this one appears with. None: a group of its own, and
            leaving the ``with`` block completes the file, or removes it after an exception.
        metadata: what the file is to carry beside its audio.

    Raises:
        InputError: a format that cannot be written.
        AudioFileError: here and in all methods, when the disk or the folder fails.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rate: int,
        channels: int,
        *,
        bits: str = "24",
        files: AtomicFiles | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        self._path = Path(path)
        extension = self._path.suffix.lower().lstrip(".")
        check_format(extension, bits)
        self._bits = int(bits.rstrip("f"))
        self._channels = channels
        self._clipped = 0
        self._peak = 0.0
        self._files = files or AtomicFiles()
        self._own = files is None
        try:
            handle = self._files.create(self._path)
            metadata = metadata or Metadata()
            self._encoder: _Encoder
            if extension == "wav":
                chunks = as_chunks(metadata, rate)
                self._encoder = WavEncoder(handle, rate, channels, self._bits, chunks)
            else:
                self._encoder = _FlacEncoder(handle, rate, channels, self._bits, metadata)
        except BaseException as error:
            self._fail(error)
            raise

    @property
    def path(self) -> Path:
        """The final name."""
        return self._path

    @property
    def clipped(self) -> int:
        """Samples beyond full scale so far that were clipped; 0 for float files."""
        return self._clipped

    @property
    def peak_dbfs(self) -> float:
        """Largest absolute sample given so far in dB against full scale; ``-inf`` for silence."""
        return 20 * math.log10(self._peak) if self._peak else -math.inf

    def write(self, block: NDArray[np.float32]) -> None:
        """Append a block ``(channels, n)``."""
        if block.ndim != 2 or block.shape[0] != self._channels:
            raise InputError(f"block must be ({self._channels}, n), got {block.shape}")
        if block.shape[1] == 0:
            return
        size = np.abs(block)
        self._peak = max(self._peak, float(size.max()))
        frames: NDArray[Any] = block.T
        if self._bits < 32:
            self._clipped += int(np.count_nonzero(size > 1))
            frames = _quantise(frames, self._bits)
        try:
            self._encoder.write(frames)
        except BaseException as error:
            self._fail(error)
            raise

    def finish(self) -> None:
        """Complete the file under its temporary name; the group gives it its own."""
        try:
            self._encoder.finish()
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        """Remove what this writer alone is responsible for and make OSErrors clear."""
        if self._own:
            self._files.rollback()
        if isinstance(error, OSError):
            raise write_failure(self._path, error) from error

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
            if self._own:
                self._files.commit()
        elif self._own:
            self._files.rollback()


def _quantise(frames: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    """Round to nearest and clip. Powers of two keep float32 exact up to 24 bits."""
    scale = np.float32(1 << (bits - 1))
    whole: NDArray[np.float32] = frames * scale
    np.rint(whole, out=whole)
    np.clip(whole, -scale, scale - 1, out=whole)
    return whole.astype(np.int32)


class _FlacEncoder:
    """FLAC through libsndfile, which swallows the cause of failed writes: it is kept here."""

    def __init__(
        self,
        handle: BinaryIO,
        rate: int,
        channels: int,
        bits: int,
        metadata: Metadata | None = None,
    ) -> None:
        self._handle = handle
        self._blocks = metadata_blocks(metadata, rate) if metadata else b""
        self._shift = 32 - bits
        self._sink = QuietFile(handle)
        self._frames = 0
        try:
            self._file = soundfile.SoundFile(
                self._sink, "w", rate, channels, subtype=f"PCM_{bits}", format="FLAC"
            )
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            self._sink.check()
            raise InputError(
                f"FLAC cannot hold {channels} channels at {rate} Hz; write WAV"
            ) from error
        if self._blocks:
            # libsndfile knows ten tags and no other blocks: it keeps the room for ours.
            self._file.comment = "x" * len(self._blocks)

    def write(self, frames: NDArray[np.int32]) -> None:
        try:
            self._file.write(np.ascontiguousarray(frames << self._shift))
        except (soundfile.SoundFileError, AssertionError) as error:
            self._sink.check()
            raise OSError(errno.EIO, f"libsndfile failed: {error}") from error
        self._sink.check()
        self._frames += len(frames)

    def finish(self) -> None:
        self._file.close()
        self._sink.check()
        if self._frames == 0:
            # libsndfile writes the header with the first frame.
            raise OSError(errno.EINVAL, "FLAC cannot hold 0 frames; write WAV")
        if self._blocks:
            put_blocks(self._handle, self._blocks)


def write_audio(
    path: str | os.PathLike[str], wave: NDArray[np.floating], rate: int, *, bits: str = "24"
) -> None:
    """Write a whole wave ``(channels, samples)``; levels as in :mod:`lars_plugin.audio`.

    Raises:
        InputError: a format that cannot be written, or not two-dimensional.
        AudioFileError: the disk or the folder fails.
    """
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 2:
        raise InputError(f"{printable(path)}: a wave is (channels, samples), got {wave.shape}")
    with AudioWriter(path, rate, wave.shape[0], bits=bits) as writer:
        writer.write(wave)
