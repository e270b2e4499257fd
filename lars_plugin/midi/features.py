# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of a stroke, for distinguishing articulations.

All numbers are in units of 20 dB, limited to +-4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.bands import BANDS, FINE_BANDS

__all__ = ["FEATURE_COUNT", "features"]

# Bands put together: low, middle, high.
_THIRDS = ((0, 3), (3, 6), (6, BANDS))
_SCALE = 20.0
# The decay: levels at these frames after the stroke (50 to 350 ms).
_RING = (10, 20, 30, 45, 70)

Floats = NDArray[np.float32]

FEATURE_COUNT = 3 * FINE_BANDS + len(_RING) * len(_THIRDS) + 2


def features(
    fine: Floats, levels: Floats, stem: int, frames: NDArray[np.intp], until: NDArray[np.intp]
) -> Floats:
    """Describe strokes of one stem by its sound and by the sum's, not by the other stems'.

    Args:
        fine: ``(stems + 1, n, FINE_BANDS)`` dB, the sum of all stems last.
        levels: ``(stems + 1, n, BANDS)`` dB, likewise.
        stem: index of their stem.
        frames: ``(m,)`` of the strokes.
        until: ``(m,)`` frames of the next strokes, where the decay ends.

    Returns:
        ``(m, FEATURE_COUNT)`` float32: the stroke's spectrum, its rise in each band, the sum's
        spectrum against it, its decay, and how long it could ring.
    """
    if not len(frames):
        return np.empty((0, FEATURE_COUNT), np.float32)
    n = fine.shape[1]

    def around(first: int, last: int) -> NDArray[np.intp]:
        """Frame numbers ``(m, last - first + 1)``, kept inside."""
        return np.asarray(np.clip(frames[:, None] + np.arange(first, last + 1), 0, n - 1))

    after = fine[stem][around(0, 4)].max(axis=1)
    before = fine[stem][around(-9, -4)].mean(axis=1)
    total = fine[-1][around(0, 4)].max(axis=1)
    loud = after.max(axis=1, keepdims=True)
    # A spectrum relative to its loudest band, and that band: louder strokes stay similar.
    parts = [after - loud, loud, after - before, total - after]
    own = levels[stem]
    peak = own[around(0, 4)].max(axis=1)
    last = np.clip(np.maximum(until - 4, frames + 5), 0, n - 1)
    falls = []
    for step in _RING:
        at = np.minimum(frames + step, last)
        fall = own[at] - peak
        # After the next stroke the decay is extrapolated at the same rate.
        fall *= (step / np.maximum(at - frames, 1))[:, None]
        falls += [fall[:, low:high].mean(axis=1) for low, high in _THIRDS]
    falls.append(np.minimum(last - frames, 100) * 0.5)
    parts.append(np.stack(falls, axis=1))
    return np.clip(np.concatenate(parts, axis=1) / _SCALE, -4, 4).astype(np.float32)
