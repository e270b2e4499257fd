# SPDX-License-Identifier: GPL-3.0-or-later
"""From chances, a hundred times a second, to the frames where a drum was struck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "APART",
    "LATER",
    "Peaks",
    "Pick",
    "highest",
    "moments",
    "peaks",
    "soonest",
    "standing_out",
]

# Frames to either side in which a chance must be the highest, and whose centre is the moment.
APART, _AROUND = 3, 2
# The frames after a peak that a stream waits for.
LATER = 1

# As ADTOF was published: frames before and after of the mean that is taken off, and in which what
# is left must be the highest; peaks of no more than this many frames' distance are one.
_MEAN_BEFORE, _MEAN_AFTER = 10, 1
_HIGHEST_BEFORE, _HIGHEST_AFTER = 2, 1
_ONE = 2

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Peaks:
    """Where one group was struck.

    Attributes:
        frames: ``(m,)`` in rising order.
        moments: ``(m,)`` when exactly, in frames.
        heights: ``(m,)`` in [0, 1]: what was compared with the threshold.
    """

    frames: NDArray[np.intp]
    moments: NDArray[np.float64]
    heights: Floats


# (chances (n,) of one group, threshold) -> peaks
Pick = Callable[[Floats, float], Peaks]


def highest(chances: Floats, threshold: float) -> Peaks:
    """The highest chances within 30 ms that reach the threshold; moments are their centres."""
    frames = peaks(chances, threshold)
    return Peaks(frames, moments(chances, frames), chances[frames])


def soonest(chances: Floats, threshold: float) -> Peaks:
    """What a stream can know after 10 ms: the chances that reach the threshold, are higher than
    the 30 ms before and not lower than the next. What follows one within 30 ms is left out.
    """
    kept: list[int] = []
    for frame in peaks(chances, threshold, LATER).tolist():
        if not kept or frame - kept[-1] > APART:
            kept.append(frame)
    frames = np.asarray(kept, np.intp)
    return Peaks(frames, moments(chances, frames, LATER), chances[frames])


def standing_out(chances: Floats, threshold: float) -> Peaks:
    """The peak picking that ADTOF was published with: what stands out by the threshold of the
    mean from 100 ms before to 10 ms after. Moments are the frames."""
    if not len(chances):
        return Peaks(np.empty(0, np.intp), np.empty(0), np.empty(0, np.float32))
    means = _around(chances, _MEAN_BEFORE, _MEAN_AFTER).mean(axis=1, dtype=np.float32)
    raised = np.maximum(chances - means, 0)
    tops = _around(raised, _HIGHEST_BEFORE, _HIGHEST_AFTER).max(axis=1)
    frames = np.flatnonzero((raised >= tops) & (raised >= threshold))
    groups = np.split(frames, np.flatnonzero(np.diff(frames) > _ONE) + 1) if len(frames) else []
    kept = np.asarray([group[raised[group].argmax()] for group in groups], np.intp)
    return Peaks(kept, kept.astype(np.float64), raised[kept])


def peaks(chances: Floats, threshold: float, after: int = APART) -> NDArray[np.intp]:
    """Frames where one group's chances ``(n,)`` are higher than in the 30 ms before and not lower
    than in the ``after`` frames that follow, in rising order."""
    if not len(chances):
        return np.empty(0, np.intp)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(chances, (APART, after), constant_values=-1.0), APART + 1 + after
    )
    earlier = windows[:, :APART].max(axis=1) < chances
    later = windows[:, APART + 1 :].max(axis=1) <= chances
    return np.flatnonzero(earlier & later & (chances >= threshold))


def moments(chances: Floats, frames: NDArray[np.intp], reach: int = _AROUND) -> NDArray[np.float64]:
    """When exactly, in frames: the centre of one group's chances ``(n,)`` in the ``reach`` frames
    to either side of each peak."""
    around = frames[:, None] + np.arange(-reach, reach + 1)
    inside = (around >= 0) & (around < len(chances))
    weights = chances[np.clip(around, 0, max(0, len(chances) - 1))] * inside
    return np.asarray((weights * around).sum(axis=1) / weights.sum(axis=1), np.float64)


def _around(values: Floats, before: int, after: int) -> Floats:
    """Each value ``(n,)`` with those around it, ``(n, before + 1 + after)``; the ends repeat."""
    padded = np.pad(values, (before, after), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, before + 1 + after)
