# SPDX-License-Identifier: GPL-3.0-or-later
"""What ensembles by confidence are worth: ``lars evaluate FOLDER --confidence``.

Systems, baselines too, are blended as ``auto:A,B`` blends models, beside the mean of all, beside a
choice that always takes the one with the highest score, and beside an oracle that knows the true
stems and takes the best for each stem and window. All go through the same windows and fades.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lars_plugin.composites.blend import Blend, Judge
from lars_plugin.composites.confidence import scores, shares_of
from lars_plugin.errors import DatasetError, InputError
from lars_plugin.evaluation.clips import Clip, Recording
from lars_plugin.evaluation.metrics import SILENCE_DB
from lars_plugin.evaluation.scoring import Row, derived, score
from lars_plugin.evaluation.summary import summarise
from lars_plugin.evaluation.systems import System
from lars_plugin.evaluation.tables import Table, sdr_table, variant_tables
from lars_plugin.evaluation.variants import load_variant, variant_of
from lars_plugin.model import STEM_NAMES, Wave

__all__ = ["AUTO", "BLENDS", "Confidence", "confidence_tables", "evaluate_confidence"]

MEAN, AUTO, CHOICE, ORACLE = "mean", "auto", "auto, the likeliest alone", "oracle's choice"
BLENDS = (MEAN, AUTO, CHOICE, ORACLE)


@dataclass
class Confidence:
    """What came of it.

    Attributes:
        systems: names of the systems.
        rows: scores of the systems and of :data:`BLENDS`.
        right: by variant (empty for clips as they are), how often the highest score was the best
            system's, and of how many windows and stems that sound.
    """

    systems: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    right: dict[str, tuple[float, int]] = field(default_factory=dict)


def evaluate_confidence(
    clips: Sequence[Clip],
    systems: Sequence[System],
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> Confidence:
    """Score systems and their blends.

    Args:
        clips: of any kind, variants too.
        systems: two or more that give the same stems, cymbals taken as one where one must. The
            baselines ``mixture`` and ``oracle`` are left out: they are not estimates.
        progress: called with clips done, clips in all, and what comes next.

    Raises:
        InputError: fewer than two systems.
        DatasetError: systems and clips have fewer than two stems in common.
        LarsError: a system fails.
    """
    systems = [system for system in systems if system.is_model or system.name == "nmf"]
    if len(systems) < 2:
        raise InputError("--confidence compares two models or more: give --model twice")
    found = Confidence(tuple(system.name for system in systems))
    for number, clip in enumerate(clips):
        if progress is not None:
            progress(number, len(clips), clip.name)
        recording = load_variant(clip)
        estimates = [system.estimate(recording, lambda: False) for system in systems]
        for system, estimate in zip(systems, estimates, strict=True):
            found.rows += _rows(clip, recording, system.name, estimate)
        _blends(clip, recording, estimates, found)
    return found


def _blends(
    clip: Clip, recording: Recording, estimates: Sequence[Mapping[str, Wave]], found: Confidence
) -> None:
    names, models = _common(clip, recording, estimates)
    references = derived(recording.references)
    truth = np.stack([references[name] for name in names])
    oracle = _Oracle(truth, recording.mixture)
    count = len(models)
    judges: dict[str, Judge] = {
        MEAN: lambda _mixture, stems, _rate: np.full(stems.shape[:2], 1 / count, np.float32),
        AUTO: shares_of,
        CHOICE: _likeliest,
        ORACLE: oracle,
    }
    for name, judge in judges.items():
        blend = Blend(count, names, truth.shape[1], recording.sample_rate, judge)
        oracle.hop = blend.hop
        parts = [blend.push(recording.mixture, models), blend.flush()]
        stems = dict(zip(names, np.concatenate(parts, axis=2), strict=True))
        found.rows += _rows(clip, recording, name, stems)
    variant = variant_of(clip.name) if clip.variant else ""
    right, windows = found.right.get(variant, (0.0, 0))
    found.right[variant] = (right + oracle.right, windows + oracle.windows)


def _common(
    clip: Clip, recording: Recording, estimates: Sequence[Mapping[str, Wave]]
) -> tuple[tuple[str, ...], Wave]:
    """Names, and stems ``(systems, stems, channels, samples)``."""
    known = [derived(one) for one in (recording.references, *estimates)]
    names = set.intersection(*({*one} for one in known))
    if not all({"ride", "crash"} <= {*one} for one in (recording.references, *estimates)):
        names -= {"ride", "crash"}
    if "ride" in names:
        names -= {"cymbals"}
    if len(names) < 2:
        raise DatasetError(
            f"{clip.name} and the systems have only {', '.join(names) or 'no stem'} in common:"
            " there is nothing to choose between"
        )
    ordered = tuple(sorted(names - {"drums"}, key=STEM_NAMES.index))
    return ordered, np.stack([[one[name] for name in ordered] for one in known[1:]])


def _likeliest(mixture: Wave, stems: Wave, rate: float) -> Wave:
    return _only(scores(mixture, stems, rate))


def _only(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Wave:
    """All for the largest; equal ones share."""
    best = (values >= values.max(axis=0)).astype(np.float32)
    out: Wave = best / best.sum(axis=0)
    return out


class _Oracle:
    """Knows the true stems, and counts how often the highest score is right."""

    def __init__(self, truth: Wave, mixture: Wave) -> None:
        self._truth, self._start = truth, 0
        energy = float(np.square(mixture, dtype=np.float64).mean())
        self._silence = energy * 10 ** (SILENCE_DB / 10)
        self.hop = 0
        self.right, self.windows = 0.0, 0

    def __call__(self, mixture: Wave, stems: Wave, rate: float) -> Wave:
        truth = self._truth[..., self._start : self._start + mixture.shape[1]]
        self._start += self.hop
        errors = np.square(stems - truth, dtype=np.float64).sum(axis=(2, 3))
        sounds = np.square(truth, dtype=np.float64).mean(axis=(1, 2)) > self._silence
        # Where several have the highest score, each is chosen as often as the others.
        chosen = _likeliest(mixture, stems, rate)
        best = errors.argmin(axis=0)
        self.right += float(chosen[best, np.arange(len(best))][sounds].sum())
        self.windows += int(sounds.sum())
        return _only(-errors)


def _rows(clip: Clip, recording: Recording, name: str, stems: Mapping[str, Wave]) -> list[Row]:
    rows = score(
        clip.name,
        clip.kit,
        name,
        "",
        recording.mixture,
        recording.references,
        stems,
        seconds=recording.seconds,
        work=0.0,
    )
    return [dataclasses.replace(row, of=len(rows)) for row in rows]


def confidence_tables(found: Confidence, *, threshold_db: float = SILENCE_DB) -> list[Table]:
    """SDR of systems and blends, by variant where there are some; how often the choice was right.

    Args:
        found: what to show.
        threshold_db: see :class:`~lars_plugin.evaluation.summary.Summary`.
    """
    summary = summarise(found.rows, [*found.systems, *BLENDS], threshold_db=threshold_db)
    plain = set(found.right) <= {""}
    scored = sdr_table(summary) if plain else variant_tables(found.rows, summary)[0]
    return [scored, _right_table(found)]


def _right_table(found: Confidence) -> Table:
    """How often the highest score was the best system's."""
    systems = len(found.systems)
    counts = [(variant, *one) for variant, one in found.right.items() if variant]
    counts.append(("all", *(sum(one) for one in zip(*found.right.values(), strict=True))))
    return Table(
        f"How often the highest score was the best of {systems} (by chance {100 / systems:.0f} %)",
        ("", "right", "stems and windows"),
        tuple(
            (name, f"{100 * right / windows:.0f} %" if windows else "-", str(windows))
            for name, right, windows in counts
        ),
    )
