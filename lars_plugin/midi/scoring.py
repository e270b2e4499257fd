# SPDX-License-Identifier: GPL-3.0-or-later
"""How well hits agree with what was played.

A found hit counts if a stroke of its class lies within the tolerance; each stroke and each hit
is used once, and as many pairs are made as possible. Strokes of one class within 30 ms of each
other (a flam, a double trigger, two crashes at once) count once, in the
truth and in what was found.

The matching is ours, and mir_eval is what the tests compare it with. mir_eval gives figures only,
and the indices of the pairs by a general matching of graphs: it would bring a dependency for a
loop of ten lines, and evaluation needs the pairs, for timing, velocities and articulations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

__all__ = [
    "CLASSES",
    "CLASS_OF",
    "ClassScore",
    "Stroke",
    "add_scores",
    "match",
    "named_pairs",
    "score_hits",
]

CLASSES = ("kick", "snare", "toms", "hihat", "cymbals")

CLASS_OF = {
    "kick": "kick",
    "snare": "snare",
    "toms": "toms",
    "hihat": "hihat",
    "ride": "cymbals",
    "crash": "cymbals",
    "cymbals": "cymbals",
}

_ONCE = 0.03


@dataclass(frozen=True)
class Stroke:
    """The compared part of a hit or of a note of the truth: seconds, stem, velocity, and the
    articulation, empty if unknown."""

    time: float
    stem: str
    velocity: float
    articulation: str = ""


@dataclass
class ClassScore:
    """Counts of one class, and data of the pairs.

    Attributes:
        found: pairs; ``missed``: strokes without a hit; ``invented``: hits without a stroke.
        errors: seconds by which each hit of a pair is late.
        velocities: (played, found) of each pair.
        clips: the clip that each pair comes from, by number: levels differ between clips.
    """

    found: int = 0
    missed: int = 0
    invented: int = 0
    errors: list[float] = field(default_factory=list)
    velocities: list[tuple[float, float]] = field(default_factory=list)
    clips: list[int] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Found hits that are right, in [0, 1]; NaN if none was found."""
        total = self.found + self.invented
        return self.found / total if total else float("nan")

    @property
    def recall(self) -> float:
        """Strokes that were found, in [0, 1]; NaN if there is none."""
        total = self.found + self.missed
        return self.found / total if total else float("nan")

    @property
    def f_measure(self) -> float:
        """``2 found / (2 found + missed + invented)``; NaN if there is nothing at all."""
        total = 2 * self.found + self.missed + self.invented
        return 2 * self.found / total if total else float("nan")

    @property
    def timing(self) -> tuple[float, float]:
        """Mean and standard deviation of the errors in seconds; NaN without pairs."""
        if not self.errors:
            return float("nan"), float("nan")
        return float(np.mean(self.errors)), float(np.std(self.errors))

    @property
    def velocity_correlation(self) -> float:
        """Pearson's, of played and found velocity about their means in each clip; NaN when
        nothing varies."""
        pairs = np.asarray(self.velocities, np.float64).reshape(-1, 2)
        clips = np.asarray(self.clips)
        for clip in np.unique(clips):
            pairs[clips == clip] -= pairs[clips == clip].mean(axis=0)
        spread = np.sqrt((pairs**2).mean(axis=0)) if len(pairs) else np.zeros(2)
        if not (spread > 1e-9).all():
            return float("nan")
        return float((pairs[:, 0] * pairs[:, 1]).mean() / (spread[0] * spread[1]))


def match(
    truth: Sequence[float], found: Sequence[float], tolerance: float
) -> list[tuple[int, int]]:
    """As many pairs (index in truth, index in found) as possible within the tolerance.

    Both must be in rising order. In one dimension, always pairing the earliest that
    still fits gives the maximum number.
    """
    pairs = []
    i = j = 0
    while i < len(truth) and j < len(found):
        late = found[j] - truth[i]
        if abs(late) <= tolerance:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif late > 0:
            i += 1
        else:
            j += 1
    return pairs


def _once(strokes: Iterable[Stroke]) -> list[Stroke]:
    """Strokes in order, with each group of close ones replaced by its loudest."""
    kept: list[Stroke] = []
    start = -1.0
    for stroke in sorted(strokes, key=lambda one: one.time):
        if kept and stroke.time - start < _ONCE:
            if stroke.velocity > kept[-1].velocity:
                kept[-1] = replace(stroke, time=kept[-1].time)
        else:
            kept.append(stroke)
            start = stroke.time
    return kept


def score_hits(
    truth: Sequence[Stroke], found: Sequence[Stroke], tolerance: float = 0.05, *, clip: int = 0
) -> dict[str, ClassScore]:
    """Scores of one clip by class.

    Args:
        truth: what was played.
        found: what was transcribed.
        tolerance: seconds.
        clip: a number for this clip, see :class:`ClassScore`.
    """
    scores = {}
    for name in CLASSES:
        wanted = _once(one for one in truth if CLASS_OF[one.stem] == name)
        got = _once(one for one in found if CLASS_OF[one.stem] == name)
        pairs = match([one.time for one in wanted], [one.time for one in got], tolerance)
        scores[name] = ClassScore(
            found=len(pairs),
            missed=len(wanted) - len(pairs),
            invented=len(got) - len(pairs),
            errors=[got[j].time - wanted[i].time for i, j in pairs],
            velocities=[(wanted[i].velocity, got[j].velocity) for i, j in pairs],
            clips=[clip] * len(pairs),
        )
    return scores


def add_scores(scores: Iterable[ClassScore]) -> ClassScore:
    """The sum over several clips or classes."""
    total = ClassScore()
    for score in scores:
        total.found += score.found
        total.missed += score.missed
        total.invented += score.invented
        total.errors += score.errors
        total.velocities += score.velocities
        total.clips += score.clips
    return total


def named_pairs(
    truth: Sequence[Stroke], found: Sequence[Stroke], tolerance: float = 0.05
) -> list[tuple[str, str, str]]:
    """(stem, articulation played, articulation found) of every stroke that was found in its own
    stem, where both are known."""
    named = []
    for stem in sorted({one.stem for one in truth}):
        wanted = _once(one for one in truth if one.stem == stem)
        got = _once(one for one in found if one.stem == stem)
        for i, j in match([one.time for one in wanted], [one.time for one in got], tolerance):
            if wanted[i].articulation and got[j].articulation:
                named.append((stem, wanted[i].articulation, got[j].articulation))
    return named
