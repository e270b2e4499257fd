# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of separation quality and speed.

Waves are float arrays ``(channels, samples)``; reference and estimate have one shape. Sums are
taken in float64, block by block, so that hour-long files need no copies.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError

__all__ = [
    "LIMIT_DB",
    "SILENCE_DB",
    "is_sounding",
    "leakage_db",
    "level_db",
    "limited",
    "real_time_ratio",
    "sdr",
]

# A reference this far (in dB) below its mixture, in energy, counts as silent.
SILENCE_DB = -60.0

# Tables hold no infinities: a perfect estimate counts as this, an exactly silent one as minus it.
LIMIT_DB = 120.0

Wave = NDArray[np.floating]

_BLOCK = 1 << 18


def _energy(wave: Wave, other: Wave | None = None) -> float:
    """Energy of a wave, or of its difference from another."""
    total = 0.0
    for start in range(0, wave.shape[-1], _BLOCK):
        part = wave[..., start : start + _BLOCK].astype(np.float64)
        if other is not None:
            part -= other[..., start : start + _BLOCK]
        total += float(np.square(part, out=part).sum())
    return total


def _ratio_db(above: float, below: float) -> float:
    """``10 log10(above / below)``; nothing over nothing is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10 * (np.log10(np.float64(above)) - np.log10(np.float64(below))))


def sdr(reference: Wave, estimate: Wave) -> float:
    """Signal-to-distortion ratio in dB (LARS 2.0, equation 2): ``10 log10(|s|^2 / |s - e|^2)``.

    One ratio over all channels and samples. A silent reference gives ``-inf`` (and NaN if the
    estimate is silent too). Check :func:`is_sounding` first, and report :func:`leakage_db` there.

    Raises:
        InputError: the shapes differ.
    """
    if reference.shape != estimate.shape:
        raise InputError(f"reference is {reference.shape} but estimate is {estimate.shape}")
    return _ratio_db(_energy(reference), _energy(reference, estimate))


def level_db(wave: Wave, mixture: Wave) -> float:
    """Energy of a wave against its mixture's in dB; ``-inf`` for silence, in silence too."""
    energy = _energy(wave)
    return -math.inf if energy == 0 else _ratio_db(energy, _energy(mixture))


def is_sounding(reference: Wave, mixture: Wave, threshold_db: float = SILENCE_DB) -> bool:
    """Whether the reference's level against its mixture is above the threshold."""
    return _energy(reference) > _energy(mixture) * 10 ** (threshold_db / 10)


def leakage_db(estimate: Wave, mixture: Wave) -> float:
    """Level in dB, against the mixture, of the estimate for a silent stem."""
    return level_db(estimate, mixture)


def limited(decibels: float) -> float:
    """A value in dB that may be infinite, limited to +-:data:`LIMIT_DB`.

    Raises:
        InputError: the score is NaN.
    """
    if math.isnan(decibels):
        raise InputError("a score is NaN: the estimate or the reference is not finite")
    return min(LIMIT_DB, max(-LIMIT_DB, decibels))


def real_time_ratio(processing: float, duration: float) -> float:
    """Seconds of work per second of audio (LARS 2.0, equation 3); below 1 is faster than real time.

    Raises:
        InputError: audio without duration.
    """
    if duration <= 0:
        raise InputError(f"no real-time ratio for {duration} s of audio")
    return processing / duration
