# SPDX-License-Identifier: GPL-3.0-or-later
"""Impulse responses of real rooms and plates, read once from a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.sounds.files import read_wave

__all__ = ["Impulses"]

Wave = NDArray[np.float32]

_LONGEST = 2.5  # seconds
_ENDINGS = {".wav", ".flac", ".aif", ".aiff", ".ogg"}


class Impulses:
    """Responses ``(2, samples)`` float32 at 44.1 kHz, each of energy 1 a channel.

    Args:
        folder: audio files of any rate, mono or stereo, in it or below it.

    Raises:
        DatasetError: no audio file, or one that cannot be read or holds NaN or Inf.
    """

    def __init__(self, folder: str | Path) -> None:
        paths = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in _ENDINGS)
        if not paths:
            raise DatasetError(f"no audio files below {folder}: give a folder of impulse responses")
        read = (_read(path) for path in paths)
        self.responses = [wave for wave in read if wave is not None]
        if not self.responses:
            raise DatasetError(f"all impulse responses below {folder} are silent")

    def draw(self, rng: np.random.Generator) -> Wave:
        """One of them: at times with the channels exchanged, in a smaller or larger room, or cut
        shorter (new memory)."""
        wave = self.responses[rng.integers(len(self.responses))]
        if rng.random() < 0.5:
            wave = wave[::-1]
        if rng.random() < 0.7:
            factor = 2 ** rng.uniform(-0.4, 0.4)
            length = int(min(wave.shape[1] / factor, _LONGEST * SAMPLE_RATE))
            at = np.arange(length) * factor
            wave = np.stack([np.interp(at, np.arange(len(row)), row) for row in wave])
        if rng.random() < 0.5:
            fall = rng.uniform(1, 12)  # nepers per second
            wave = wave * np.exp(-fall * np.arange(wave.shape[1]) / SAMPLE_RATE)
        return _levelled(np.asarray(wave, np.float32))


def _levelled(wave: Wave) -> Wave:
    return np.asarray(wave / np.sqrt(np.square(wave).sum(1).mean() + 1e-12), np.float32)


def _read(path: Path) -> Wave | None:
    wave, rate = read_wave(path, what="impulse response")
    if rate != SAMPLE_RATE:
        wave = soxr.resample(wave, rate, SAMPLE_RATE)
    pair = np.stack([wave[:, 0], wave[:, min(1, wave.shape[1] - 1)]])
    loud = np.abs(pair).max(0)
    if not loud.any():
        return None
    # From just before the first sound, which may come late in a recorded file.
    begin = max(0, int(np.argmax(loud > 0.05 * loud.max())) - 44)
    return _levelled(pair[:, begin : begin + int(_LONGEST * SAMPLE_RATE)])
