# SPDX-License-Identifier: GPL-3.0-or-later
"""How well drum recordings become MIDI: ``lars evaluate FOLDER --midi``.

A clip is a folder with files per stem, or ``drums.*`` and ``other.*``, as for the other figures,
and ``notes.csv`` or ``onsets.csv``: columns ``onset`` (seconds) and ``class`` (the stem), and, if
they are to be scored, ``velocity`` and ``articulation``. Models of whole songs hear the mixture,
others the drums.

Each model has a row for each transcriber, which hears the sum of the stems (without a name: the
package's own, as ``transcribe`` does it), and one "stems alone", where a picker hears each stem.
Transcribers without a model hear the drums, and the mixture where there is something else in it.
Where the true stems are known, the picker hears them too: what would be possible.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.evaluation.clips import Clip, Recording
from lars_plugin.evaluation.strokes import heard_by
from lars_plugin.evaluation.systems import ModelSystem, System
from lars_plugin.evaluation.tables import Table
from lars_plugin.evaluation.variants import load_variant
from lars_plugin.midi.hits import ARTICULATIONS, DRUMS, DrumHit
from lars_plugin.midi.scoring import (
    CLASSES,
    ClassScore,
    Stroke,
    add_scores,
    named_pairs,
    score_hits,
)
from lars_plugin.midi.settings import own_settings
from lars_plugin.midi.transcribe import transcribe, transcribe_mixture
from lars_plugin.midi.transcriber import DEFAULT, Transcriber, load_transcriber
from lars_plugin.stems import Stems

__all__ = [
    "TOLERANCES",
    "MidiScores",
    "evaluate_midi",
    "midi_document",
    "midi_tables",
    "midi_variant_tables",
    "read_notes",
]

NOTES_FILES = ("notes.csv", "onsets.csv")
# Tambourines and the like: nobody is asked to find them.
_NOT_SCORED = "other"
TOLERANCES = (0.05, 0.03)

Wave = NDArray[np.float32]


@dataclass
class MidiScores:
    """One system's scores: ``clips[tolerance]`` is a list with the classes' scores per clip,
    ``named`` counts (stem, articulation played, articulation found)."""

    name: str
    clips: dict[float, list[dict[str, ClassScore]]] = field(
        default_factory=lambda: {tolerance: [] for tolerance in TOLERANCES}
    )
    named: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def total(self, tolerance: float, *classes: str) -> ClassScore:
        """The scores of some classes over all clips."""
        return add_scores(clip[name] for clip in self.clips[tolerance] for name in classes)

    def mean_f(self, tolerance: float) -> float:
        """Mean F-measure of the classes that occur."""
        values = [self.total(tolerance, name).f_measure for name in CLASSES]
        known = [value for value in values if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan

    def named_right(self, stem: str, played: str | None = None) -> tuple[int, int]:
        """Strokes found of a stem or one articulation: those named correctly, and all of them."""
        counts = [
            (count, heard == truth)
            for (one, truth, heard), count in self.named.items()
            if one == stem and played in (None, truth)
        ]
        return sum(count for count, right in counts if right), sum(count for count, _ in counts)


def read_notes(path: Path) -> list[Stroke]:
    """The truth of a clip.

    Raises:
        DatasetError: the file cannot be read, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            strokes = [
                Stroke(
                    float(row["onset"]),
                    row["class"],
                    float(row.get("velocity") or math.nan),
                    row.get("articulation") or "",
                )
                for row in csv.DictReader(handle)
                if row["class"] != _NOT_SCORED
            ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"cannot read {path}: it needs the columns onset and class ({error!r})"
        ) from error
    wrong = {stroke.stem for stroke in strokes} - set(DRUMS)
    if wrong:
        raise DatasetError(f"{path} names classes that are not drums: {', '.join(sorted(wrong))}")
    for one in strokes:
        if one.articulation and one.articulation not in ARTICULATIONS[one.stem]:
            raise DatasetError(f"{path}: {one.stem} has no articulation {one.articulation!r}")
    return strokes


def evaluate_midi(
    clips: Sequence[Clip],
    folder: Path,
    systems: Sequence[System],
    *,
    transcribers: Sequence[str] = (DEFAULT,),
    backend: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[MidiScores]:
    """Score models and transcribers on clips.

    Args:
        clips: below the folder; those without notes or onsets are left out.
        folder: where they are.
        systems: those that are models are scored.
        transcribers: names or folders.
        backend: see :func:`~lars_plugin.midi.transcriber.load_transcriber`.
        progress: called with clips done, clips in all, and what comes next.

    Returns:
        The rows that the module names, those that heard something.

    Raises:
        DatasetError: no clip has notes, or one cannot be read.
        LarsError: a model or a transcriber fails.
    """
    known = [(clip, path) for clip in clips if (path := _notes_of(folder, clip)) is not None]
    if not known:
        raise DatasetError(
            f"no clip below {folder} has a {' or an '.join(NOTES_FILES)}; --midi needs the truth"
        )
    models = [system for system in systems if isinstance(system, ModelSystem)]
    loaded = [load_transcriber(name, backend=backend) for name in transcribers]
    scores: dict[str, MidiScores] = {}
    for number, (clip, path) in enumerate(known):
        if progress is not None:
            progress(number, len(known), clip.name)
        recording = load_variant(clip)
        truth = read_notes(path)
        for name, hits in _heard(recording, models, loaded):
            strokes = [Stroke(hit.time, hit.stem, hit.velocity, hit.articulation) for hit in hits]
            score = scores.setdefault(name, MidiScores(name))
            for tolerance in TOLERANCES:
                score.clips[tolerance].append(score_hits(truth, strokes, tolerance, clip=number))
            score.named.update(named_pairs(truth, strokes, TOLERANCES[0]))
    return list(scores.values())


def _notes_of(folder: Path, clip: Clip) -> Path | None:
    name = clip.name.removeprefix(f"{clip.variant}/") if clip.variant else clip.name
    paths = [folder / name / file for file in NOTES_FILES]
    return next((path for path in paths if path.is_file()), None)


def _heard(
    recording: Recording, models: Sequence[ModelSystem], transcribers: Sequence[Transcriber]
) -> Iterator[tuple[str, list[DrumHit]]]:
    """What each system finds in a recording."""
    rate = recording.sample_rate
    for model in models:
        stems = Stems(model.estimate(heard_by(model, recording), lambda: False), rate)
        named = model.separator().model.config.name
        for one in transcribers:
            name = model.name if one.name == DEFAULT else f"{model.name}, {one.name}"
            yield name, transcribe(stems, model=named, transcriber=one)
        yield f"{model.name}, stems alone", transcribe(stems, model=named, transcriber="none")
    true = {name: wave for name, wave in recording.references.items() if name in DRUMS}
    drums = recording.references.get("drums")
    if drums is None:
        drums = np.sum(list(true.values()), axis=0) if true else recording.mixture
    for one in transcribers:
        yield f"{one.name}, drums", transcribe_mixture(drums, rate, transcriber=one)
        if "other" in recording.references:
            found = transcribe_mixture(recording.mixture, rate, transcriber=one)
            yield f"{one.name}, mixture", found
    if true:
        yield "true stems", transcribe(Stems(true, rate), settings=own_settings("stems"))


def midi_tables(scores: Sequence[MidiScores]) -> list[Table]:
    """F-measures of all systems, articulations, and a table of details for each system."""
    wide, narrow = TOLERANCES
    rows = []
    for score in scores:
        for tolerance in TOLERANCES:
            cells = [score.total(tolerance, name).f_measure for name in CLASSES]
            cells += [score.mean_f(tolerance), score.total(tolerance, *CLASSES).f_measure]
            label = f"{score.name}, {_ms(tolerance)} ms"
            rows.append((label, *(_two(cell) for cell in cells)))
    count = len(scores[0].clips[wide])
    tables = [
        Table(
            f"Onset F-measure, {count} clips; all: every stroke has the same weight",
            ("within", *CLASSES, "mean", "all"),
            tuple(rows),
        )
    ]
    if any(score.named for score in scores):
        tables.append(_articulation_table(scores))
    for score in scores:
        lines = []
        for name in CLASSES:
            one = score.total(wide, name)
            mean, spread = one.timing
            lines.append(
                (
                    name,
                    str(one.found + one.missed),
                    _two(one.precision),
                    _two(one.recall),
                    _two(one.f_measure),
                    _two(score.total(narrow, name).f_measure),
                    _two(one.velocity_correlation),
                    _ms(mean, "+.1f"),
                    _ms(spread, ".1f"),
                )
            )
        within = [f"F {_ms(tolerance)} ms" for tolerance in TOLERANCES]
        header = ["class", "strokes", "precision", "recall", *within, "velocity r"]
        header += ["late ms", "spread ms"]
        tables.append(Table(score.name, tuple(header), tuple(lines)))
    return tables


def _articulation_table(scores: Sequence[MidiScores]) -> Table:
    """The share of the strokes found in their own stem that were also named correctly."""

    def cells(stem: str, played: str | None = None) -> list[str]:
        result = []
        for score in scores:
            right, total = score.named_right(stem, played)
            result.append(f"{right / total:.2f} of {total}" if total else "-")
        return result

    rows = []
    for stem in DRUMS:
        known = {truth for score in scores for one, truth, _ in score.named if one == stem}
        if len(ARTICULATIONS[stem]) < 2 or not known:
            continue
        rows += [
            (f"{stem} {one}", *cells(stem, one)) for one in ARTICULATIONS[stem] if one in known
        ]
        rows.append((f"{stem}, all", *cells(stem)))
    header = ("articulation", *(score.name for score in scores))
    return Table(
        "Articulations named correctly, of the strokes found in their stem", header, tuple(rows)
    )


def midi_variant_tables(scores: Mapping[str, Sequence[MidiScores]]) -> list[Table]:
    """Systems by variants: the mean over the classes, all strokes alike, then each class."""
    figures: list[tuple[str, Callable[[MidiScores], float]]] = [
        ("mean over the classes", lambda score: score.mean_f(TOLERANCES[0])),
        ("all strokes alike", lambda score: score.total(TOLERANCES[0], *CLASSES).f_measure),
    ]
    for name in CLASSES:
        figures.append((name, lambda score, name=name: score.total(TOLERANCES[0], name).f_measure))  # type: ignore[misc]
    systems = list(dict.fromkeys(score.name for part in scores.values() for score in part))
    parts = [{score.name: score for score in part} for part in scores.values()]
    return [
        Table(
            f"Onset F-measure within {_ms(TOLERANCES[0])} ms by variant, {title}",
            ("", *scores),
            tuple(
                (system, *(_two(value(part[system])) if system in part else "-" for part in parts))
                for system in systems
            ),
        )
        for title, value in figures
    ]


def midi_document(scores: Sequence[MidiScores]) -> dict[str, Any]:
    """All figures as plain data for JSON; unknown values are null."""

    def plain(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 5)

    result: dict[str, Any] = {}
    for score in scores:
        classes = {}
        for name in CLASSES:
            one = score.total(TOLERANCES[0], name)
            classes[name] = {
                "strokes": one.found + one.missed,
                "precision": plain(one.precision),
                "recall": plain(one.recall),
                **{
                    f"f_{_ms(tolerance)}ms": plain(score.total(tolerance, name).f_measure)
                    for tolerance in TOLERANCES
                },
                "velocity_correlation": plain(one.velocity_correlation),
                "late_ms": plain(1000 * one.timing[0]),
                "spread_ms": plain(1000 * one.timing[1]),
            }
        result[score.name] = {
            "classes": classes,
            **{f"mean_f_{_ms(t)}ms": plain(score.mean_f(t)) for t in TOLERANCES},
            **{f"all_f_{_ms(t)}ms": plain(score.total(t, *CLASSES).f_measure) for t in TOLERANCES},
            "articulations": [
                {"stem": stem, "played": truth, "found": heard, "strokes": count}
                for (stem, truth, heard), count in sorted(score.named.items())
            ],
        }
    return {"clips": len(scores[0].clips[TOLERANCES[0]]), "systems": result}


def _two(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _ms(seconds: float, form: str = ".0f") -> str:
    return "-" if math.isnan(seconds) else format(1000 * seconds, form)
