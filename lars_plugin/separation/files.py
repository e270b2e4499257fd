# SPDX-License-Identifier: GPL-3.0-or-later
"""Separating a file into files, block by block: memory does not grow with the length."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles, AudioReader, AudioWriter, printable
from lars_plugin.audio.channels import ChannelChoice, channel_places
from lars_plugin.audio.metadata import read_metadata
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.errors import CancelledError, InputError
from lars_plugin.files import write_failure
from lars_plugin.separation.prefetch import Ahead, Behind
from lars_plugin.separation.separator import Progress, Separator

__all__ = ["RESIDUAL", "Clipping", "FileResult", "fitting_gain", "separate_file"]

# The name beside the stems for what they leave of the mixture.
RESIDUAL = "residual"

# Frames per step: progress and cancellation are as fine as this, or as the model's chunks.
_BLOCK = 1 << 14

# What may wait on either side of the network: three seconds of input, and what two chunks made.
_BLOCKS_AHEAD, _PARTS_BEHIND = 8, 2

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Clipping:
    """Samples of one stem beyond full scale, and its peak in dB against full scale."""

    samples: int
    peak_dbfs: float


@dataclass(frozen=True)
class FileResult:
    """What became of one file.

    Attributes:
        input: the file that was separated.
        outputs: stem to file, in the order of the stems, the residual last.
        seconds: length of the audio.
        elapsed: seconds that the separation took.
        warnings: what was wrong with the input though it could be used.
        clipping: the stems that were clipped, with how much.
        gain_db: of all stems alike, 0 unless ``rescale`` was needed.
    """

    input: Path
    outputs: Mapping[str, Path]
    seconds: float
    elapsed: float
    warnings: tuple[str, ...]
    clipping: Mapping[str, Clipping]
    gain_db: float

    @property
    def rtr(self) -> float:
        """Real-time ratio: time taken over length of the audio, below 1 is faster than real."""
        return self.elapsed / self.seconds


def separate_file(
    separator: Separator,
    path: str | os.PathLike[str],
    output_for: Callable[[str], Path],
    *,
    bits: str = "24",
    residual: bool = False,
    rescale: bool = False,
    progress: Progress | None = None,
    files: AtomicFiles | None = None,
    channels: str | None = None,
    metadata: bool = True,
) -> FileResult:
    """Separate one file. The outputs appear together when all are complete, or not at all.

    Outputs have the rate, the channels and the length of the input, and carry its time stamp, cue
    points, tempo and titles (see :mod:`lars_plugin.audio.metadata`); levels are those of the
    stems (see :mod:`lars_plugin.audio`), unless ``rescale`` asks otherwise.

    Args:
        separator: the model and the stems wanted.
        path: an audio file, mono or stereo, or with any number of channels if ``channels`` says
            which are meant.
        output_for: stem to file name, ending in ``.wav`` or ``.flac``; files in the way are
            replaced.
        bits: ``16``, ``24`` or ``32f``.
        residual: also write, as :data:`RESIDUAL`, the mixture minus all stems that are written.
        rescale: if a sample of any stem is beyond full scale, lower all outputs by one common
            gain until it fits: the balance stays and they still add up, to a quieter mixture.
            Takes a second pass over a temporary copy; does nothing for ``32f``.
        progress: called with (frames done, frames in all); returning False cancels.
        files: the group of files that the outputs appear with, when it is completed; None: a
            group of their own, which is completed here.
        channels: what to separate: ``1,2`` (two channels by number), ``3`` (one), ``front`` or
            ``downmix``, see :mod:`lars_plugin.audio.channels`. None: all, if one or two.
        metadata: take over what the input carries beside its audio.

    Raises:
        AudioFileError: the input cannot be read or the outputs cannot be written.
        InputError: more than two channels without a choice, a format that cannot be written, or
            an output that is the input.
        EngineError: the network failed.
        CancelledError: the progress callback returned False.
    """
    start = time.perf_counter()
    path = Path(path)
    names = (*separator.stems, *([RESIDUAL] if residual else []))
    outputs = {name: Path(output_for(name)) for name in names}
    own = AtomicFiles() if files is None else contextlib.nullcontext(files)
    with AudioReader(path) as reader, own as group:
        places = channel_places(path, reader.channels) if reader.channels > 2 else None
        choice = ChannelChoice(channels, reader.channels, places, path)
        _check_outputs(path, outputs)
        carried = read_metadata(path) if metadata else None
        writers = [
            AudioWriter(output, reader.rate, choice.count, bits=bits, files=group, metadata=carried)
            for output in outputs.values()
        ]
        gain = 1.0
        report = _Report(progress)
        blocks_read = map(choice, reader.blocks(_BLOCK))
        with Ahead(blocks_read, _BLOCKS_AHEAD, report.again, reader.stop) as ahead:
            blocks = _separate(separator, reader, choice.count, ahead, residual, report)
            if rescale and bits != "32f":
                with _Spool(writers[0].path, (len(names), choice.count)) as spool:
                    _behind(spool.write, blocks)
                    gain = fitting_gain(spool.peak, int(bits))
                    for block in spool.blocks():
                        _write(writers, block * np.float32(gain))
            else:
                _behind(lambda block: _write(writers, block), blocks)
        for writer in writers:
            writer.finish()
    return FileResult(
        input=path,
        outputs=outputs,
        seconds=reader.position / reader.rate,
        elapsed=time.perf_counter() - start,
        warnings=reader.warnings,
        clipping={
            name: Clipping(writer.clipped, writer.peak_dbfs)
            for name, writer in zip(names, writers, strict=True)
            if writer.clipped
        },
        gain_db=20 * math.log10(gain),
    )


class _Report:
    """What the progress callback was told, to ask it again while nothing comes out of a pipe."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done, self._total = 0, 1

    def __call__(self, done: int, total: int) -> None:
        self._done, self._total = done, max(total, 1)
        self.again()

    def again(self) -> None:
        if self._progress is not None and self._progress(self._done, self._total) is False:
            raise CancelledError(f"cancelled after {self._done} of {self._total} frames")


def _check_outputs(path: Path, outputs: Mapping[str, Path]) -> None:
    if len(set(outputs.values())) < len(outputs):
        raise InputError("two stems would get the same file name; put {stem} into the name")
    for output in outputs.values():
        if output.exists() and output.samefile(path):
            raise InputError(
                f"{printable(output)} is the input itself; choose another folder or file name"
            )


def _behind(write: Callable[[Wave], None], blocks: Iterable[Wave]) -> None:
    """Write blocks while the next are made."""
    with Behind(write, _PARTS_BEHIND) as behind:
        for block in blocks:
            if block.size:
                behind.put(block)


def _separate(
    separator: Separator,
    reader: AudioReader,
    channels: int,
    source: Iterable[Wave],
    residual: bool,
    report: _Report,
) -> Iterator[Wave]:
    """Finished parts ``(stems, channels, m)`` of the reader's audio, the residual last."""
    stream = separator.stream(reader.rate, channels)
    # The mixture, from the first sample on whose stems are not finished.
    mixture = Fifo((channels,))
    done = 0

    def finished(stems: Wave) -> Wave:
        nonlocal done
        count = stems.shape[2]
        done += count
        if residual:
            rest = mixture.take(count) - stems.sum(axis=0, dtype=np.float64)
            stems = np.concatenate([stems, rest[None].astype(np.float32)])
        report(done, max(reader.frames, done))
        return stems

    for block in source:
        if residual:
            mixture.append(block)
        yield finished(stream.push(block))
    yield finished(stream.flush())


def _write(writers: list[AudioWriter], block: Wave) -> None:
    for writer, wave in zip(writers, block, strict=True):
        writer.write(wave)


def fitting_gain(peak: float, bits: int) -> float:
    """The gain that brings a peak beyond full scale to the largest sample of this width."""
    return (1 - 2.0 ** (1 - bits)) / peak if peak > 1 else 1.0


class _Spool:
    """Blocks ``(*shape, n)`` on disk for a second pass, in a file that has no name.

    Args:
        near: an output; the spool lies in the same folder, where there must be room anyway.
        shape: of the blocks without their last axis.
    """

    def __init__(self, near: Path, shape: tuple[int, ...]) -> None:
        self._near = near
        self._shape = shape
        self._lengths: list[int] = []
        self.peak = 0.0
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=near.parent)  # noqa: SIM115 # closed below
        except OSError as error:
            raise write_failure(near, error) from error

    def write(self, block: Wave) -> None:
        if not block.size:
            return
        self.peak = max(self.peak, float(np.abs(block).max()))
        try:
            self._file.write(block.tobytes())
        except OSError as error:
            raise write_failure(self._near, error) from error
        self._lengths.append(block.shape[-1])

    def blocks(self) -> Iterator[Wave]:
        """All that was written, in the same blocks."""
        try:
            self._file.seek(0)  # writes what is still in the buffer
        except OSError as error:
            raise write_failure(self._near, error) from error
        for length in self._lengths:
            data = self._file.read(4 * math.prod(self._shape) * length)
            yield np.frombuffer(data, np.float32).reshape(*self._shape, length)

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError:
            # Nothing in it is needed any more; the error that counts was raised before.
            pass
