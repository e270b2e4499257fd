# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a grid of a known tempo begins in a recording, estimated from the hits."""

from __future__ import annotations

import cmath
import logging
import math
from collections.abc import Sequence

from lars_plugin.errors import InputError
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.tempo import BEATS_PER_BAR, GRIDS, TempoMap

__all__ = ["estimate_offset"]

log = logging.getLogger(__name__)

# Seconds: a hit this far from a beat counts about a third for it.
_NEAR = 0.03
# Length of the hits' mean phase vector, at most 1; below this they fit no grid.
_FIT = 0.5


def estimate_offset(hits: Sequence[DrumHit], bpm: float, grid: str | None = None) -> float:
    """The first bar line of the grid that the hits fit best.

    The grid's lines lie at the hits' mean phase, where louder hits have more weight. This phase is
    nearest to the hits. The beats are the lines with most kicks and snares, and bars begin at the
    beats with most kicks. If several fit equally well, the first hit decides.

    Args:
        hits: of a performance at a steady tempo.
        bpm: the tempo.
        grid: the smallest step that is played, one of :data:`GRIDS`; None for 1/16.

    Returns:
        Seconds, 0 or more, less than a bar of four beats; 0 without hits.

    Raises:
        InputError: a tempo out of range, or an unknown grid.
    """
    name = grid or "1/16"
    if name not in GRIDS:
        raise InputError(f"unknown grid {name!r}; use {', '.join(GRIDS)}")
    beat = 60 / TempoMap.fixed(bpm).bpm
    if not hits:
        return 0.0
    step = beat * float(GRIDS[name])
    phase, fit = _phase(hits, step)
    if fit < _FIT:
        log.warning("the hits fit no grid of %g BPM well; is that the tempo?", bpm)
    first = min(hit.time for hit in hits)
    start = phase + step * round((first - phase) / step)  # the line at the first hit
    beats = _best(hits, start, step, beat, {"kick": 1.0, "snare": 1.0}, 0.25)
    bars = _best(hits, beats, beat, BEATS_PER_BAR * beat, {"kick": 1.0, "snare": -1.0}, 0.0)
    offset = bars % (BEATS_PER_BAR * beat)
    # Not a whole bar late because the first stroke is slightly early.
    return 0.0 if BEATS_PER_BAR * beat - offset < 1e-3 else offset


def _phase(hits: Sequence[DrumHit], step: float) -> tuple[float, float]:
    """The phase of a grid's lines, in [-step/2, step/2], and how well the hits fit, 0 to 1."""
    total = sum(hit.velocity for hit in hits)
    mean = sum(hit.velocity * cmath.exp(2j * math.pi * hit.time / step) for hit in hits)
    return step * cmath.phase(mean) / (2 * math.pi), abs(mean) / max(total, 1)


def _best(
    hits: Sequence[DrumHit],
    start: float,
    step: float,
    period: float,
    weights: dict[str, float],
    rest: float,
) -> float:
    """Of ``start``, ``start + step`` ... the one that repeats with the period at most hits."""
    best, most = start, -math.inf
    for index in range(round(period / step)):
        at = start + index * step
        score = 0.0
        for hit in hits:
            apart = (hit.time - at) / period
            near = (apart - round(apart)) * period / _NEAR
            score += weights.get(hit.stem, rest) * hit.velocity / 127 * math.exp(-near * near)
        # Equal up to rounding: take the earlier one, which is nearer to the first hit.
        if score > most + 1e-6 * max(1.0, abs(most) if math.isfinite(most) else 1.0):
            best, most = at, score
    return best
