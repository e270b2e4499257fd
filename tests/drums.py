# SPDX-License-Identifier: GPL-3.0-or-later
"""Drums of a kind, which the transcriber hears as what they are meant to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["beat", "kicks_and_snares"]

Wave = NDArray[np.float32]


def kicks_and_snares(rate: int, seconds: int, *, seed: int = 0, peak: float = 0.7) -> Wave:
    """Twice a second, from 0.25 s on: (2, samples), the right channel a little softer."""
    rng = np.random.default_rng(seed)
    axis = np.arange(rate) / rate
    kick = np.sin(2 * np.pi * (50 * axis + 4 * (1 - np.exp(-axis * 30)))) * np.exp(-axis * 12)
    snare = rng.normal(0, 0.4, rate) * np.exp(-axis * 25)
    return _placed((kick, snare), 2, 0.25, rate, seconds, peak)


def beat(rate: int, seconds: int, *, first: float, peak: float) -> Wave:
    """Kicks, hats and snares, four times a second, from `first` (in seconds) on: as above."""
    rng = np.random.default_rng(0)
    axis = np.arange(rate) / rate
    click = rng.normal(0, 0.5, rate) * np.exp(-axis * 800)
    kick = np.sin(2 * np.pi * (55 * axis + 3 * (1 - np.exp(-axis * 40))) + 1.2)
    kick = kick * np.exp(-axis * 14) + click
    snare = rng.normal(0, 0.5, rate) * np.exp(-axis * 30)
    hat = np.diff(rng.normal(0, 0.25, rate + 1)) * np.exp(-axis * 60)
    return _placed((kick, hat, snare, hat), 4, first, rate, seconds, peak)


def _placed(
    strokes: tuple[NDArray[np.float64], ...],
    per_second: int,
    first: float,
    rate: int,
    seconds: int,
    peak: float,
) -> Wave:
    """The strokes in turn; the last begins half a second before the end at the latest."""
    wave = np.zeros((seconds + 1) * rate)
    for number in range(int(per_second * (seconds - 0.5 - first)) + 1):
        at = round((first + number / per_second) * rate)
        wave[at : at + rate] += peak * strokes[number % len(strokes)]
    return np.asarray(np.stack([wave, 0.9 * wave])[:, : seconds * rate], np.float32)
