# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the energy of lone strokes goes: ``lars evaluate FOLDER --strokes``.

Real songs rarely come with true stems of each drum, but their strokes may have been annotated.
Where one drum is struck and no other for a while, the new energy should be in its stem. A clip is a
folder with ``onsets.csv`` (columns ``onset`` in seconds and ``class``) and ``drums.*`` or a file
per stem; models of whole songs get its mixture, others its drums.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.evaluation.clips import Clip, Recording, load_clip
from lars_plugin.evaluation.scoring import FIVE
from lars_plugin.evaluation.systems import ModelSystem, System
from lars_plugin.evaluation.tables import Table

__all__ = [
    "StrokeScores",
    "evaluate_strokes",
    "heard_by",
    "lone_strokes",
    "shares_of_stroke",
    "stroke_tables",
]

ONSETS_FILE = "onsets.csv"
# A stroke is alone if nothing else is struck within this time; its energy is measured as long.
_ALONE = 0.06
# Annotated onsets are a few milliseconds late or early. So the window before ends, and the window
# of the stroke begins, this much earlier.
_EARLY = 0.005

Wave = NDArray[np.float32]


@dataclass
class StrokeScores:
    """One system: for each class, the shares of each lone stroke by stem."""

    name: str
    shares: dict[str, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))

    def mean(self, struck: str, stem: str) -> float | None:
        """Mean share of this stem in the strokes of a class; None where none were alone."""
        strokes = self.shares.get(struck)
        return float(np.mean([one.get(stem, 0.0) for one in strokes])) if strokes else None


def lone_strokes(path: Path) -> list[tuple[float, str]]:
    """Strokes ``(seconds, class)`` of an ``onsets.csv`` with no other stroke within 60 ms.

    Ride and crash count as cymbals. Strokes of other classes ("other") are left out, but
    strokes near them are not alone.

    Raises:
        DatasetError: the file cannot be read, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            strokes = sorted(
                (float(row["onset"]), str(row["class"])) for row in csv.DictReader(handle)
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"cannot read {path}: it needs the columns onset and class ({error!r})"
        ) from error
    times = np.array([time for time, _ in strokes])
    gaps = np.diff(times, prepend=-np.inf, append=np.inf)
    alone = (gaps[:-1] > _ALONE) & (gaps[1:] > _ALONE)
    named = [
        (time, "cymbals" if name in ("ride", "crash") else name)
        for (time, name), free in zip(strokes, alone, strict=True)
        if free
    ]
    return [(time, name) for time, name in named if name in FIVE]


def shares_of_stroke(stems: Mapping[str, Wave], rate: float, onset: float) -> dict[str, float]:
    """Each stem's share (0 to 1) of the energy that a stroke adds; empty if no stem gains energy.

    A stem's gain is its energy in 60 ms from the onset minus that in the 60 ms before.
    """
    begin, length = round((onset - _EARLY) * rate), round(_ALONE * rate)
    gains = {}
    for name, wave in stems.items():
        after = wave[:, max(0, begin) : max(0, begin + length)].astype(np.float64)
        before = wave[:, max(0, begin - length) : max(0, begin)].astype(np.float64)
        gains[name] = max(0.0, float(np.square(after).sum() - np.square(before).sum()))
    total = sum(gains.values())
    return {name: gain / total for name, gain in gains.items()} if total > 0 else {}


def evaluate_strokes(
    clips: Sequence[Clip],
    folder: Path,
    systems: Sequence[System],
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[StrokeScores]:
    """Shares of lone strokes for each model.

    Args:
        clips: below the folder; those without ``onsets.csv`` are left out.
        folder: where they are.
        systems: those that are models are scored.
        progress: called with clips done, clips in all, and what comes next.

    Raises:
        DatasetError: no clip has onsets, or one cannot be read.
        LarsError: a model fails.
    """
    known = [clip for clip in clips if (folder / clip.name / ONSETS_FILE).is_file()]
    if not known:
        raise DatasetError(f"no clip below {folder} has an {ONSETS_FILE}; --strokes needs them")
    models = [system for system in systems if isinstance(system, ModelSystem)]
    scores = [StrokeScores(model.name) for model in models]
    for number, clip in enumerate(known):
        if progress is not None:
            progress(number, len(known), clip.name)
        recording = load_clip(clip)
        strokes = lone_strokes(folder / clip.name / ONSETS_FILE)
        for model, score in zip(models, scores, strict=True):
            stems = _five(model.estimate(heard_by(model, recording), lambda: False))
            for onset, struck in strokes:
                shares = shares_of_stroke(stems, recording.sample_rate, onset)
                if shares:
                    score.shares[struck].append(shares)
    return scores


def heard_by(model: ModelSystem, recording: Recording) -> Recording:
    """The mixture for models of whole songs, the drums for others."""
    whole = "other" in model.separator().stems or "drums" not in recording.references
    wave = recording.mixture if whole else recording.references["drums"]
    return Recording(wave, recording.references, recording.sample_rate)


def _five(stems: Mapping[str, Wave]) -> dict[str, Wave]:
    """The drums among the stems, ride and crash as cymbals."""
    result = {name: wave for name, wave in stems.items() if name in FIVE}
    cymbals = [stems[name] for name in ("ride", "crash") if name in stems]
    if cymbals and "cymbals" not in result:
        result["cymbals"] = np.sum(cymbals, axis=0, dtype=np.float32)
    return result


def stroke_tables(scores: Sequence[StrokeScores]) -> list[Table]:
    """For each system: drum struck by stem, mean share in per cent."""
    result = []
    for score in scores:
        rows = []
        for struck in FIVE:
            if struck in score.shares:
                cells = [score.mean(struck, stem) or 0.0 for stem in FIVE]
                rows.append(
                    (
                        struck,
                        *(f"{100 * cell:.0f}" for cell in cells),
                        str(len(score.shares[struck])),
                    )
                )
        title = f"{score.name}: where the energy of lone strokes goes, per cent"
        result.append(Table(title, ("struck", *FIVE, "strokes"), tuple(rows)))
    return result
