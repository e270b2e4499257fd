# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bins belong to which band, without PyTorch. A band is ``(first bin, end bin)``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bands", "adjacent_bands", "bands_per_bin", "mel_bands"]

Bands = tuple[tuple[int, int], ...]

# The mel scale of Slaney's Auditory Toolbox: linear up to 1 kHz, 15 mel, logarithmic above.
_HZ_PER_MEL = 200 / 3
_KNEE_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27


def adjacent_bands(widths: Sequence[int]) -> Bands:
    """Bands of so many bins, one after the other from 0 Hz up."""
    return tuple(pairwise(accumulate(widths, initial=0)))


def mel_bands(count: int, n_fft: int, sample_rate: int) -> Bands:
    """Bands whose centres have equal distances in mel; each reaches to its neighbours' centres.

    A bin belongs to a band if the triangular mel filter there is above zero. The first band also
    has the bin at 0 Hz, and the last one the bin at half the sample rate. Some bands may be empty
    where there are more bands than bins.
    """
    knee = _KNEE_HZ / _HZ_PER_MEL
    top = sample_rate / 2
    top_mel = knee + np.log(top / _KNEE_HZ) / _LOG_STEP if top >= _KNEE_HZ else top / _HZ_PER_MEL
    mel = np.linspace(0.0, top_mel, count + 2)
    edges = np.where(mel >= knee, _KNEE_HZ * np.exp(_LOG_STEP * (mel - knee)), mel * _HZ_PER_MEL)
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    first = np.searchsorted(bins, edges[:-2], side="right")
    end = np.searchsorted(bins, edges[2:], side="left")
    first[0], end[-1] = 0, len(bins)
    return tuple((int(a), int(max(a, b))) for a, b in zip(first, end, strict=True))


def bands_per_bin(bands: Bands, bins: int) -> NDArray[np.int64]:
    """How many bands each bin belongs to, ``(bins,)``."""
    counts = np.zeros(bins, np.int64)
    for first, end in bands:
        counts[first:end] += 1
    return counts
