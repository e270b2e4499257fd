# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that decide which candidates are strokes, for stems without tuned settings.

A stroke rises clearly, is not far below the loudest of its stem, and is not the bleed of
another drum. Bleed is a weak rise together with a much stronger one in another stem.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["THRESHOLD", "judge"]

THRESHOLD = 0.5

# dB of novelty, dB below the stem's loudest stroke, and dB below another stem's simultaneous
# rise: at each of these values alone, a stroke has a probability of one half.
_RISE = 7.0
_QUIET = 36.0
_BLEED = 16.0
# dB from a doubtful case to a clear one.
_SOFTNESS = 2.0

Floats = NDArray[np.floating]


def judge(
    levels: Floats, curves: Floats, stem: int, frames: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Confidences ``(m,)``; arguments as of :func:`lars_plugin.midi.features.features`."""
    if not len(frames):
        return np.empty(0)
    n = levels.shape[1]
    around = np.clip(frames[:, None] + np.arange(-1, 5), 0, n - 1)
    loudness = 10 * np.log10(np.sum(10 ** (levels / 10), axis=2))[:-1]  # (stems, frames)
    mine = loudness[stem][around].max(axis=1)
    margins = [
        curves[stem][frames] - _RISE,
        mine - (float(loudness[stem].max()) - _QUIET),
    ]
    for other in range(len(curves)):
        if other != stem:
            rises = curves[other][np.clip(frames[:, None] + np.arange(-4, 5), 0, n - 1)]
            theirs = np.where(rises.max(axis=1) > _RISE, loudness[other][around].max(axis=1), -200)
            margins.append(mine - (theirs - _BLEED))
    worst = np.min(margins, axis=0)
    return np.asarray(1 / (1 + np.exp(-np.clip(worst / _SOFTNESS, -40, 40))), np.float64)
