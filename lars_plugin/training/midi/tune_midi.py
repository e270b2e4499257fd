# SPDX-License-Identifier: GPL-3.0-or-later
"""Tune transcription for a model, on excerpts rendered from training data.

Excerpts come with a model's estimates (:mod:`lars_plugin.training.data.examples`). Every eighth, a
plain performance, is held out: there each stem gets the threshold with the best F-measure, and the
median delay of its hits. The others train the picker. All of them train the scorers of
articulations.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.midi.analysis import Analysis, band_energies, from_energies, reference_energy
from lars_plugin.midi.features import features
from lars_plugin.midi.hits import ARTICULATIONS, DEFAULT_ARTICULATION
from lars_plugin.midi.onsets import levels_db
from lars_plugin.midi.picker import Picker, find_peaks, moments
from lars_plugin.midi.scorer import Scorer
from lars_plugin.midi.scoring import match
from lars_plugin.midi.settings import Settings, StemSettings
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.data.examples import Example
from lars_plugin.training.data.excerpts import PLAIN
from lars_plugin.training.data.grooves import Note
from lars_plugin.training.midi.fit_picker import Heard, fit_picker
from lars_plugin.training.midi.fit_scorer import fit_scorer
from lars_plugin.training.render.renderer import STEMS

__all__ = ["Source", "tune"]

log = logging.getLogger(__name__)

# Input of the scorer: a model's stems, or the true stems with some bleed.
Source = Literal["model", "stems"]

# A peak belongs to a stroke this near, in seconds.
_NEAR = 0.05
# Strokes of a stem closer than this count as one: no picker can separate them.
_ONCE = 0.03
# The first of this many excerpts is held out. It is a plain performance, as thresholds are for.
_HELD_OUT = 2 * PLAIN
# The thresholds that are tried. A badly separated stem has its best F-measure at a threshold so low
# that most of its hits are false; they would spoil the file for little gain.
_THRESHOLDS = np.arange(0.3, 0.91, 0.02).round(2)
# Thresholds whose F-measures differ by less than this are as good.
_AS_GOOD = 0.01
# For a stem of which no stroke is found at any of them.
_UNKNOWN = 0.5
# Fewer examples than this are too few to train on.
_LEAST = 20

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class _Excerpt:
    """What is kept of an example. Waves are dropped, because they would fill the memory.

    Attributes:
        heard: input of the picker.
        training: input for training; with a model's stems also the true ones, made to leak.
        onsets: for each stem in seconds, without those too close to another.
        struck: for each stem, features of its strokes.
        kinds: for each stem, their articulations.
        hop: seconds from frame to frame.
    """

    heard: Heard
    training: tuple[Heard, ...]
    onsets: tuple[list[float], ...]
    struck: tuple[NDArray[np.float32], ...]
    kinds: tuple[list[str], ...]
    hop: float


def tune(
    examples: Iterator[Example],
    source: Source = "model",
    *,
    model: str = "",
    cymbals: bool = False,
    steps: int = 2000,
    start: Picker | None = None,
    seed: int = 0,
    tell: Callable[[str], None] = log.info,
) -> Settings:
    """Find the settings.

    Args:
        examples: each is used once.
        source: the kind of stems to tune for.
        model: its name, for the record.
        cymbals: for models whose ride and crash are one stem.
        steps: of the picker's training; 0 keeps ``start`` unchanged.
        start: a picker to continue from.
        seed: of first weights, variation and bleed.
        tell: called with lines about the results.

    Raises:
        DatasetError: too few strokes of a stem.
    """
    rng = np.random.default_rng(seed)
    stems = (*STEMS[:4], "cymbals") if cymbals else STEMS
    result = [_heard(example, source, rng, stems) for example in examples]
    for index, stem in enumerate(stems):
        count = sum(len(one.onsets[index]) for one in result)
        if count < _LEAST:
            raise DatasetError(f"only {count} strokes of {stem} were rendered; tune on more")
    training = [
        heard for number, one in enumerate(result) if number % _HELD_OUT for heard in one.training
    ]
    held_out = result[::_HELD_OUT]
    picker = (
        start
        if start is not None and not steps
        else fit_picker(
            training,
            steps=steps,
            start=start,
            seed=seed,
            tell=tell,
        )
    )
    # Everything else is for the numbers as they will be written.
    picker = Picker.from_arrays(picker.to_arrays(), len(stems))
    chances = [picker(levels_db(one.heard.energies, 1.0)) for one in held_out]
    parts: dict[str, StemSettings] = {}
    figures: dict[str, float] = {}
    for index, stem in enumerate(stems):
        threshold, f, late = _threshold(index, held_out, chances)
        parts[stem] = StemSettings(
            threshold,
            -late,
            MappingProxyType(_articulations(stem, index, result, seed)),
        )
        figures[stem] = round(f, 3)
        strokes = sum(len(one.onsets[index]) for one in result)
        tell(
            f"{stem}: F {f:.3f} on excerpts held out, threshold {threshold:.3f},"
            f" offset {parts[stem].offset * 1000:+.1f} ms, {strokes} strokes"
        )
        if not f:
            tell(
                f"{stem}: no stroke was found, so the threshold is a guess;"
                " train the picker (--steps 1000), or on more excerpts"
            )
    record = {
        "model": model,
        "source": source,
        "excerpts": len(result),
        "steps": steps,
        "f_measure": figures,
    }
    return Settings(stems, picker, MappingProxyType(parts), MappingProxyType(record))


def _waves(example: Example, source: Source, rng: np.random.Generator) -> Wave:
    if source == "model":
        return example.estimated
    # Stems without a model come from microphones, which pick up neighbouring drums.
    bleed = 10 ** (rng.uniform(-60, -15, (len(STEMS), len(STEMS))) / 20)
    bleed *= rng.random(bleed.shape) < rng.random()
    np.fill_diagonal(bleed, 1.0)
    return np.asarray(np.einsum("so,ocn->scn", bleed.astype(np.float32), example.true), np.float32)


def _heard(
    example: Example, source: Source, rng: np.random.Generator, stems: tuple[str, ...]
) -> _Excerpt:
    waves, notes = _named(_waves(example, source, rng), example.notes, stems)
    energies, result = _analysed(waves, stems)
    seconds = result.hop / SAMPLE_RATE
    mine = [_apart([note for note in notes if note.stem == stem]) for stem in stems]
    onsets = tuple([note.onset for note in strokes] for strokes in mine)
    strokes = tuple(np.asarray(times) / seconds for times in onsets)
    heard = Heard(energies, strokes)
    training = [heard] if source != "stems" else []
    true, _ = _named(example.true, example.notes, stems)
    training.append(Heard(_analysed(true, stems)[0], strokes, leaks=True))
    return _Excerpt(
        heard,
        tuple(training),
        onsets,
        tuple(
            _features(
                result, index, np.array([round(note.onset / seconds) for note in one], np.intp)
            )
            for index, one in enumerate(mine)
        ),
        tuple([note.articulation for note in one] for one in mine),
        seconds,
    )


def _named(
    waves: Wave, notes: Sequence[Note], stems: tuple[str, ...]
) -> tuple[Wave, Sequence[Note]]:
    """The renderer's stems and strokes, converted to these stems."""
    if "cymbals" not in stems:
        return waves, notes
    both = waves[4:].sum(axis=0, keepdims=True)
    names = {"ride": "cymbals", "crash": "cymbals"}
    renamed = [replace(note, stem=names.get(note.stem, note.stem)) for note in notes]
    return np.concatenate([waves[:4], both]), renamed


def _analysed(waves: Wave, stems: tuple[str, ...]) -> tuple[NDArray[np.float32], Analysis]:
    """Energies against their reference, and the analysis."""
    energies, hop = band_energies(waves, SAMPLE_RATE)
    energies /= max(reference_energy(energies[-1]), 1e-12)
    return energies, from_energies(energies, SAMPLE_RATE, stems, hop, 1.0)


def _features(result: Analysis, stem: int, frames: NDArray[np.intp]) -> NDArray[np.float32]:
    until = np.append(frames[1:], result.levels.shape[1])[: len(frames)]
    return features(result.fine, result.levels, stem, frames, until)


def _apart(notes: list[Note]) -> list[Note]:
    """Strokes too close to the one before are left out."""
    kept: list[Note] = []
    for note in sorted(notes, key=lambda one: one.onset):
        if not kept or note.onset - kept[-1].onset >= _ONCE:
            kept.append(note)
    return kept


def _threshold(
    stem: int, excerpts: Sequence[_Excerpt], chances: Sequence[NDArray[np.float32]]
) -> tuple[float, float, float]:
    """A threshold with about the best F-measure, that F-measure, and the median delay of its
    hits in seconds. Where no threshold finds a stroke, the F-measure is 0."""
    peaks = []
    for one, result in zip(excerpts, chances, strict=True):
        frames = find_peaks(result[stem])
        peaks.append((result[stem][frames], moments(result[stem], frames) * one.hop))
    tried: list[tuple[float, float, float]] = []
    for threshold in _THRESHOLDS:
        late: list[float] = []
        total = 0
        for one, (sure, times) in zip(excerpts, peaks, strict=True):
            found = list(times[sure >= threshold])
            pairs = match(one.onsets[stem], found, _NEAR)
            late += [found[j] - one.onsets[stem][i] for i, j in pairs]
            total += len(one.onsets[stem]) + len(found)
        median = float(np.median(late)) if late else 0.0
        tried.append((float(threshold), 2 * len(late) / total if total else 0.0, median))
    # With few strokes the best one is chance, so the middle of all that are about as good is taken.
    best = max(f for _, f, _ in tried)
    if not best:
        return _UNKNOWN, 0.0, 0.0
    good = [one for one in tried if one[1] >= best - _AS_GOOD]
    return good[len(good) // 2]


def _articulations(
    stem: str, index: int, excerpts: Sequence[_Excerpt], seed: int
) -> dict[str, Scorer]:
    if stem in ("toms", "crash"):
        # Distinguished by comparison, not by their sound alone.
        return {}
    struck = np.concatenate([one.struck[index] for one in excerpts])
    kinds = np.array([kind for one in excerpts for kind in one.kinds[index]])
    scorers = {}
    for name in ARTICULATIONS[stem]:
        which = kinds == name
        if name != DEFAULT_ARTICULATION[stem] and min(which.sum(), (~which).sum()) >= _LEAST:
            scorers[name] = fit_scorer(struck, which, hidden=6, seed=seed, weight=_rarity(which))
    return scorers


def _rarity(which: NDArray[np.bool_]) -> float:
    """Weight of each of them against the others, so that rare ones are learnt too."""
    return float(np.sqrt((~which).sum() / which.sum()))
