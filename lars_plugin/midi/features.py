# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about a candidate: levels and rises around it in all stems and in their sum.

A drum that leaks into another's stem rises in both at once; only all stems together tell which
one was struck. All numbers are in units of 20 dB, limited to +-4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.bands import BANDS
from lars_plugin.midi.onsets import AHEAD

__all__ = ["RING_COUNT", "feature_count", "features", "ring_features"]

# Bands put together for the stems other than the candidate's own: low, middle, high.
_COARSE = ((0, 3), (3, 6), (6, BANDS))
_SCALE = 20.0

Floats = NDArray[np.float32]


def feature_count(stems: int) -> int:
    """Numbers per candidate for so many stems."""
    return 2 * BANDS * 2 + stems * (2 * len(_COARSE) + 2) + 4


def features(levels: Floats, curves: Floats, stem: int, frames: NDArray[np.intp]) -> Floats:
    """Describe candidates of one stem.

    Args:
        levels: ``(stems + 1, n, BANDS)`` dB, the sum of all stems last.
        curves: ``(stems, n)`` novelty in dB.
        stem: index of the candidates' stem.
        frames: ``(m,)`` where they are.

    Returns:
        ``(m, feature_count(stems))`` float32.
    """
    if not len(frames):
        return np.empty((0, feature_count(len(curves))), np.float32)
    n = levels.shape[1]

    def around(first: int, last: int) -> NDArray[np.intp]:
        """Frame numbers ``(m, last - first + 1)``, kept inside."""
        return np.asarray(np.clip(frames[:, None] + np.arange(first, last + 1), 0, n - 1))

    after = levels[:, around(0, 4)].max(axis=2)  # (stems + 1, m, BANDS)
    before = levels[:, around(-9, -4)].mean(axis=2)
    late = levels[stem][around(5, AHEAD)].mean(axis=1)
    rise = after - before
    parts = [after[stem], rise[stem], after[-1], rise[-1]]
    for low, high in _COARSE:
        parts.append(after[:-1, :, low:high].mean(axis=2).T)
        parts.append(rise[:-1, :, low:high].max(axis=2).T)
        parts.append((late - after[stem])[:, low:high].mean(axis=1, keepdims=True))
    # The other stems' novelty: how much, and how far from the candidate it peaks.
    near = curves[:, around(-4, 4)]
    parts.append(near.max(axis=2).T)
    parts.append(((near.argmax(axis=2) - 4) * 5.0).T)
    # Against the loudest moments just before: a tail that flutters is no stroke.
    earlier = levels[stem][around(-30, -4)].max(axis=1).mean(axis=1, keepdims=True)
    parts.append(after[stem].mean(axis=1, keepdims=True) - earlier)
    return np.clip(np.concatenate(parts, axis=1) / _SCALE, -4, 4).astype(np.float32)


# How it rings: levels at these frames after the candidate (50 to 350 ms).
_RING = (10, 20, 30, 45, 70)
RING_COUNT = len(_RING) * len(_COARSE) + 1


def ring_features(
    levels: Floats, stem: int, frames: NDArray[np.intp], until: NDArray[np.intp]
) -> Floats:
    """How strokes of one stem decay, for telling articulations apart.

    Args:
        levels: as for :func:`features`.
        stem: index of their stem.
        frames: ``(m,)`` where the strokes are.
        until: ``(m,)`` frames of the strokes that follow, where this one's ringing ends.

    Returns:
        ``(m, RING_COUNT)`` float32: the fall in low, middle and high bands by then, and for how
        long the stroke could ring at all.
    """
    if not len(frames):
        return np.empty((0, RING_COUNT), np.float32)
    own = levels[stem]
    n = len(own)
    peak = own[np.clip(frames[:, None] + np.arange(5), 0, n - 1)].max(axis=1)
    last = np.clip(np.maximum(until - 4, frames + 5), 0, n - 1)
    parts = []
    for step in _RING:
        at = np.minimum(frames + step, last)
        fall = own[at] - peak
        # What is not known because the next stroke came is extrapolated at the same rate.
        fall *= (step / np.maximum(at - frames, 1))[:, None]
        parts += [fall[:, low:high].mean(axis=1) for low, high in _COARSE]
    parts.append(np.minimum(last - frames, 100) * 0.5)
    return np.clip(np.stack(parts, axis=1) / _SCALE, -4, 4).astype(np.float32)
