# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page draws and plays of a lane: peaks, samples, spectrograms. All read on demand."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.files import AtomicFiles, printable

__all__ = ["Overview", "overview", "peaks", "samples", "save_overview", "spectrogram"]

Wave = NDArray[np.float32]

_BLOCK = 1 << 18
# Frames per pair of peaks in a short file; doubled until a long one has no more than so many.
_BUCKET, _MOST_BUCKETS = 256, 1 << 17
# Values in one answer.
_MOST_SAMPLES, _MOST_COLUMNS, _MOST_ROWS = 1 << 23, 4096, 512

_WINDOW = 2048
_LOWEST_HZ, _FLOOR_DB = 30.0, -96.0

_locks_lock = threading.Lock()
_locks: dict[Path, threading.Lock] = {}


class Overview:
    """Peaks of a whole lane while its blocks go by.

    Args:
        frames: that are expected, which sets how fine they are.
    """

    def __init__(self, frames: int) -> None:
        self.bucket = _BUCKET
        while frames > self.bucket * _MOST_BUCKETS:
            self.bucket *= 2
        self._rest = np.zeros((0,), np.float32), np.zeros((0,), np.float32)
        self._parts: list[NDArray[np.int16]] = []
        self.peak = 0.0

    def add(self, block: Wave) -> None:
        """The next frames ``(channels, n)``."""
        if not block.shape[1]:
            return
        low = np.concatenate([self._rest[0], block.min(axis=0)])
        high = np.concatenate([self._rest[1], block.max(axis=0)])
        self.peak = max(self.peak, float(high.max()), -float(low.min()))
        whole = len(low) - len(low) % self.bucket
        self._take(low[:whole], high[:whole])
        self._rest = low[whole:], high[whole:]

    def _take(self, low: Wave, high: Wave) -> None:
        if len(low):
            size = min(self.bucket, len(low))
            pairs = low.reshape(-1, size).min(axis=1), high.reshape(-1, size).max(axis=1)
            self._parts.append(_as_int16(np.stack(pairs, axis=1)))

    def finish(self) -> NDArray[np.int16]:
        """``(buckets, 2)``: lowest and highest sample of all channels, full scale is 32767."""
        self._take(*self._rest)
        self._rest = self._rest[0][:0], self._rest[1][:0]
        return np.concatenate(self._parts) if self._parts else np.zeros((0, 2), np.int16)


def _as_int16(values: Wave) -> NDArray[np.int16]:
    return np.clip(np.round(values * 32767), -32768, 32767).astype("<i2")


def _open(path: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioFileError(
            f"cannot read {printable(path)}: {error}; separate it again"
        ) from error


def overview(path: Path, kept: Path) -> tuple[int, bytes, float]:
    """Peaks of a whole lane, kept in a file.

    Args:
        path: of the lane.
        kept: where the peaks are kept; made when it is missing.

    Returns:
        Frames per pair, the pairs as little-endian int16, and the largest sample.
    """
    with _locks_lock:
        lock = _locks.setdefault(kept, threading.Lock())
    with lock:
        if not kept.is_file() or kept.stat().st_mtime < path.stat().st_mtime:
            with _open(path) as file:
                view = Overview(file.frames)
                while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                    view.add(block.T)
            save_overview(kept, view)
        data = kept.read_bytes()
    bucket, peak = np.frombuffer(data, "<u4", 1)[0], np.frombuffer(data, "<f4", 1, 4)[0]
    return int(bucket), data[8:], float(peak)


def save_overview(kept: Path, view: Overview) -> None:
    """Keep peaks in a file: bucket (uint32), largest sample (float32), pairs (int16)."""
    pairs = view.finish()
    head = np.array([view.bucket], "<u4").tobytes() + np.array([view.peak], "<f4").tobytes()
    with AtomicFiles() as files:
        files.create(kept).write(head + pairs.tobytes())


def _part(start: int, frames: int, total: int) -> tuple[int, int]:
    if start < 0 or frames < 0:
        raise InputError("start and frames must be 0 or more")
    start = min(start, total)
    return start, min(frames, total - start)


def peaks(path: Path, start: int, frames: int, columns: int) -> bytes:
    """Lowest and highest sample in each of some columns, as int16 pairs, straight from the file.

    Raises:
        InputError: more is requested than one answer holds.
    """
    if not 1 <= columns <= _MOST_COLUMNS or frames > _MOST_SAMPLES:
        raise InputError(f"at most {_MOST_COLUMNS} columns of {_MOST_SAMPLES} frames at a time")
    with _open(path) as file:
        start, frames = _part(start, frames, file.frames)
        file.seek(start)
        wave = file.read(frames, dtype="float32", always_2d=True)
    if not len(wave):
        return np.zeros((columns, 2), "<i2").tobytes()
    cuts = np.linspace(0, len(wave), columns, endpoint=False, dtype=int)
    low = np.minimum.reduceat(wave.min(axis=1), cuts)
    high = np.maximum.reduceat(wave.max(axis=1), cuts)
    return _as_int16(np.stack([low, high], axis=1)).tobytes()


def samples(paths: Sequence[Path], start: int, frames: int) -> bytes:
    """The same frames of several lanes: little-endian float32, lane by lane, each channel by
    channel.

    Raises:
        InputError: more is requested than one answer holds.
    """
    if frames * len(paths) * 2 > _MOST_SAMPLES:
        raise InputError(f"at most {_MOST_SAMPLES} samples at a time")
    parts = []
    for path in paths:
        with _open(path) as file:
            first, count = _part(start, frames, file.frames)
            file.seek(first)
            wave = file.read(count, dtype="float32", always_2d=True)
        parts.append(np.ascontiguousarray(wave.T, "<f4").tobytes())
    return b"".join(parts)


def spectrogram(path: Path, start: int, frames: int, columns: int, rows: int) -> bytes:
    """Levels on a logarithmic frequency axis, lowest first, ``(rows, columns)`` bytes.

    0 is -96 dB or less against a full-scale sine, 255 is 0 dB or more. A column is one window of
    2048 frames in its middle, so that the cost does not depend on the length.
    """
    if not 1 <= columns <= _MOST_COLUMNS or not 1 <= rows <= _MOST_ROWS:
        raise InputError(f"at most {_MOST_COLUMNS} columns and {_MOST_ROWS} rows at a time")
    window = np.hanning(_WINDOW).astype(np.float32)
    with _open(path) as file:
        start, frames = _part(start, frames, file.frames)
        top = min(20000.0, file.samplerate / 2)
        edges = np.geomspace(min(_LOWEST_HZ, top / 2), top, rows + 1) * _WINDOW / file.samplerate
        power = np.zeros((columns, _WINDOW // 2 + 1))
        for column in range(columns):
            middle = start + round((column + 0.5) * frames / columns)
            first = max(0, min(middle - _WINDOW // 2, file.frames - _WINDOW))
            file.seek(first)
            wave = file.read(_WINDOW, dtype="float32", always_2d=True)
            wave = np.pad(wave, ((0, _WINDOW - len(wave)), (0, 0)))
            spectrum = np.fft.rfft(wave * window[:, None], axis=0)
            power[column] = (np.abs(spectrum) ** 2).mean(axis=1)
    low = np.minimum(np.floor(edges[:-1]).astype(int), power.shape[1] - 1)
    high = np.maximum(np.ceil(edges[1:]).astype(int), low + 1)
    bands = np.stack([power[:, a:b].max(axis=1) for a, b in zip(low, high, strict=True)])
    level = 10 * np.log10(bands / (window.sum() / 2) ** 2 + 1e-12)
    shades = np.clip((level - _FLOOR_DB) / -_FLOOR_DB * 255, 0, 255).astype(np.uint8)
    return bytes(shades.tobytes())
