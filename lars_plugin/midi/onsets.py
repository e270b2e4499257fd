# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidates for strokes: rises of the level in bands, and their attacks.

Nothing here needs more than :data:`AHEAD` frames of the future, so live streams can use it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.bands import BANDS

__all__ = ["AHEAD", "FLOOR_DB", "find_candidates", "levels_db", "locate_attack", "novelty"]

# Frames after a candidate that must be known before it can be found.
AHEAD = 6

# Levels below this, in one band and against the reference, count as silence.
FLOOR_DB = -70.0

# A rise is measured over this many frames to either side: 20 ms, about one window.
_HALF = 2
# Rises of fewer dB than this (mean over the stronger half of the bands) are ignored.
_LEAST_RISE = 2.5
# Candidates of a stem are at least this many frames apart: 30 ms, a close flam.
_APART = 6

Floats = NDArray[np.floating]


def levels_db(energies: Floats, reference: float) -> NDArray[np.float32]:
    """Energies in dB against a reference energy, softly limited at :data:`FLOOR_DB`."""
    floor = 10 ** (FLOOR_DB / 10)
    ratio = np.asarray(energies, np.float64) / max(reference, 1e-12)
    return np.asarray(10 * np.log10(ratio + floor), np.float32)


def novelty(levels: Floats) -> NDArray[np.float32]:
    """How much one stem's level rises around each frame.

    Args:
        levels: ``(frames, bands)`` dB.

    Returns:
        ``(frames,)`` float32 dB: mean rise over the stronger half of the bands, so that a kick
        does not need treble, nor a hi-hat bass.
    """
    padded = np.concatenate(
        [
            np.full((_HALF, levels.shape[1]), FLOOR_DB, levels.dtype),
            levels,
            np.repeat(levels[-1:], _HALF, axis=0),
        ]
    )
    rise = np.maximum(padded[2 * _HALF :] - padded[: -2 * _HALF], 0)
    best = np.partition(rise, BANDS // 2, axis=1)[:, BANDS // 2 :]
    return np.asarray(best.mean(axis=1), np.float32)


def find_candidates(curve: Floats) -> NDArray[np.intp]:
    """Frames where the novelty peaks: all strokes should be among them, and other peaks may be."""
    if len(curve) == 0:
        return np.empty(0, np.intp)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(curve, _APART, constant_values=-1.0), 2 * _APART + 1
    )
    # The first of equal neighbours is the peak.
    earlier = windows[:, :_APART].max(axis=1) < curve
    later = windows[:, _APART + 1 :].max(axis=1) <= curve
    return np.flatnonzero(earlier & later & (curve >= _LEAST_RISE))


def locate_attack(wave: Floats, sample_rate: float, near: int) -> int:
    """The sample where an attack begins, near a peak of the novelty.

    The envelope (RMS over 2 ms) is followed back from its peak to where it last was below a
    tenth of the way up from what sounded before.

    Args:
        wave: ``(channels, samples)`` of the stem.
        sample_rate: Hz.
        near: sample where the novelty peaks.
    """
    ms = sample_rate / 1000
    begin = max(0, near - round(40 * ms))
    part = np.square(wave[:, begin : near + round(25 * ms)], dtype=np.float64).sum(axis=0)
    box = max(1, round(2 * ms))
    if len(part) < 2 * box:
        return near
    total = np.cumsum(np.concatenate([np.zeros(box), part]))
    envelope = np.sqrt((total[box:] - total[:-box]) / box)  # causal: rises with the attack
    search = max(0, near - begin - round(12 * ms))
    peak = search + int(np.argmax(envelope[search:]))
    before = envelope[: max(1, near - begin - round(12 * ms))]
    background = float(np.median(before)) if near > begin else 0.0
    threshold = background + 0.1 * (float(envelope[peak]) - background)
    below = np.flatnonzero(envelope[:peak] < threshold)
    first = int(below[-1]) + 1 if len(below) else 0
    return begin + first
