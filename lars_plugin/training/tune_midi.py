# SPDX-License-Identifier: GPL-3.0-or-later
"""What transcription has to know of a model, found on excerpts rendered from training data.

Excerpts are rendered and separated once and kept in a folder; from them, for each stem, come a
scorer of candidates, the threshold with the best F-measure on excerpts that the scorer did not
see, the mean delay of measured attacks, and scorers of articulations.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles
from lars_plugin.errors import DatasetError
from lars_plugin.midi.analysis import analyse
from lars_plugin.midi.features import features, ring_features
from lars_plugin.midi.hits import ARTICULATIONS, DEFAULT_ARTICULATION
from lars_plugin.midi.onsets import find_candidates, locate_attack
from lars_plugin.midi.scorer import Scorer, fit_scorer
from lars_plugin.midi.scoring import best_threshold, match
from lars_plugin.midi.settings import Settings, StemSettings
from lars_plugin.separation.separator import Separator
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.excerpts import Excerpt
from lars_plugin.training.grooves import Note
from lars_plugin.training.render import STEMS

__all__ = ["Example", "Source", "separate_excerpts", "tune"]

log = logging.getLogger(__name__)

# What the scorer sees: a model's stems, the true ones with some bleed, or the mixture in place
# of every stem.
Source = Literal["model", "stems", "mixture"]

# A candidate belongs to a stroke this near, in seconds.
_NEAR = 0.03
_FOLDS = 4
# A stem that is told badly has its best F-measure at a threshold so low that most of its hits are
# invented; they would spoil the file for the little they add.
_THRESHOLDS = (0.4, 0.95)
# Fewer examples than this teach nothing.
_LEAST = 20

Wave = NDArray[np.float32]

# The renderer's articulations by the names that hits have.
_HIT_ARTICULATION = {
    "rim": "center",
    "half": "open",
    "splash": "crash",
    "china": "crash",
}


@dataclass(frozen=True)
class Example:
    """An excerpt with what a model made of it: ``true`` and ``estimated`` are
    ``(6, 2, samples)`` float32 in the renderer's order."""

    true: Wave
    estimated: Wave
    notes: tuple[Note, ...]


def separate_excerpts(
    excerpts: Iterator[Excerpt], separator: Separator, cache: Path, count: int, what: str
) -> Iterator[Example]:
    """Separate excerpts, or read from the cache those that were separated before.

    Args:
        excerpts: rendered one by one; not drawn from at all when the cache is complete.
        separator: of a model with the renderer's six stems.
        cache: folder; made when missing.
        count: of excerpts.
        what: describes excerpts and model; the cache of another description is not used.

    Raises:
        DatasetError: the model has other stems, or the cache belongs to something else.
    """
    if set(separator.stems) != set(STEMS):
        raise DatasetError(
            f"tuning needs a model with the stems {', '.join(STEMS)},"
            f" not {', '.join(separator.stems)}"
        )
    marker = cache / "made.txt"
    if marker.is_file() and marker.read_text(encoding="utf-8") != what:
        raise DatasetError(f"{cache} holds excerpts of other settings: remove it, or name another")
    with AtomicFiles() as files:
        files.create(marker).write(what.encode())
    for index in range(count):
        path = cache / f"{index:04d}.npz"
        if not path.is_file():
            break
        yield _read(path)
    else:
        return
    for number, excerpt in enumerate(excerpts):
        path = cache / f"{number:04d}.npz"
        if path.is_file():
            continue
        stems = separator.separate(excerpt.waves.sum(axis=0), SAMPLE_RATE)
        made = np.stack([stems[name] for name in STEMS])
        with AtomicFiles() as files:
            np.savez(
                files.create(path),
                true=excerpt.waves.astype(np.float16),
                estimated=made.astype(np.float16),
                notes=np.array(json.dumps([asdict(note) for note in excerpt.notes])),
            )
        log.info("separated excerpt %d of %d", number + 1, count)
        yield _read(path)


def _read(path: Path) -> Example:
    try:
        with np.load(path) as data:
            notes = tuple(Note(**note) for note in json.loads(str(data["notes"])))
            true, made = data["true"].astype(np.float32), data["estimated"].astype(np.float32)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DatasetError(f"cannot read {path}: {error}; remove it and run again") from error
    return Example(true, made, notes)


@dataclass
class _Table:
    """Candidates of one stem over all excerpts."""

    known: list[NDArray[np.float32]]
    right: list[NDArray[np.bool_]]
    excerpts: list[NDArray[np.intp]]
    late: list[float]
    strokes: int
    struck: list[NDArray[np.float32]]
    kinds: list[str]


def tune(
    examples: Iterator[Example],
    source: Source = "model",
    *,
    seed: int = 0,
    tell: Callable[[str], None] = log.info,
) -> Settings:
    """Find the settings.

    Args:
        examples: each is looked at once.
        source: what to tune for.
        seed: of the scorers' first weights and of the bleed.
        tell: takes lines about what was found.

    Raises:
        DatasetError: too few strokes of a stem.
    """
    rng = np.random.default_rng(seed)
    tables = {stem: _Table([], [], [], [], 0, [], []) for stem in STEMS}
    count = 0
    for example in examples:
        waves = _waves(example, source, rng)
        _collect(waves, example.notes, tables, count)
        count += 1
    parts = {}
    figures: dict[str, Any] = {}
    for stem in STEMS:
        parts[stem], f = _fit(stem, tables[stem], seed)
        figures[stem] = round(f, 3)
        tell(
            f"{stem}: F {f:.3f} on unseen excerpts, threshold {parts[stem].threshold:.3f},"
            f" offset {parts[stem].offset * 1000:+.1f} ms, {tables[stem].strokes} strokes"
        )
    facts = {"source": source, "excerpts": count, "f_measure": figures}
    return Settings(STEMS, MappingProxyType(parts), MappingProxyType(facts))


def _waves(example: Example, source: Source, rng: np.random.Generator) -> Wave:
    if source == "model":
        return example.estimated
    if source == "mixture":
        return np.repeat(example.true.sum(axis=0, keepdims=True), len(STEMS), axis=0)
    # Stems that no model made come from microphones, and each hears its neighbours.
    bleed = 10 ** (rng.uniform(-60, -15, (len(STEMS), len(STEMS))) / 20)
    bleed *= rng.random(bleed.shape) < rng.random()
    np.fill_diagonal(bleed, 1.0)
    return np.asarray(np.einsum("so,ocn->scn", bleed.astype(np.float32), example.true), np.float32)


def _collect(waves: Wave, notes: Sequence[Note], tables: dict[str, _Table], excerpt: int) -> None:
    made = analyse(waves, SAMPLE_RATE, STEMS)
    for index, stem in enumerate(STEMS):
        table = tables[stem]
        mine = _apart([note for note in notes if note.stem == stem])
        frames = find_candidates(made.curves[index])
        times = frames * made.hop / SAMPLE_RATE
        pairs = match([note.onset for note in mine], list(times), _NEAR)
        right = np.zeros(len(frames), bool)
        right[[j for _, j in pairs]] = True
        table.known.append(features(made.levels, made.curves, index, frames))
        table.right.append(right)
        table.excerpts.append(np.full(len(frames), excerpt))
        table.strokes += len(mine)
        struck = frames[[j for _, j in pairs]]
        until = np.append(struck[1:], made.levels.shape[1])
        table.struck.append(
            np.concatenate(
                [
                    features(made.levels, made.curves, index, struck),
                    ring_features(made.levels, index, struck, until),
                ],
                axis=1,
            )
        )
        for (i, _), frame in zip(pairs, struck, strict=True):
            attack = locate_attack(waves[index], SAMPLE_RATE, int(frame) * made.hop)
            table.late.append(attack / SAMPLE_RATE - mine[i].onset)
            kind = mine[i].articulation
            table.kinds.append(_HIT_ARTICULATION.get(kind, kind))


def _apart(notes: list[Note]) -> list[Note]:
    """Strokes that follow another within the tolerance are left out: no picker tells them."""
    kept: list[Note] = []
    for note in sorted(notes, key=lambda one: one.onset):
        if not kept or note.onset - kept[-1].onset >= _NEAR:
            kept.append(note)
    return kept


def _fit(stem: str, table: _Table, seed: int) -> tuple[StemSettings, float]:
    known, right = np.concatenate(table.known), np.concatenate(table.right)
    folds = np.concatenate(table.excerpts) % _FOLDS
    if min(right.sum(), (~right).sum()) < _LEAST:
        raise DatasetError(
            f"only {right.sum()} strokes of {stem} and {(~right).sum()} false alarms were"
            " rendered: tune on more excerpts"
        )
    unseen = np.zeros(len(right))
    for fold in range(_FOLDS):
        inside = folds != fold
        if inside.all() or not inside.any() or not right[inside].any():
            unseen[~inside] = right.mean()
            continue
        unseen[~inside] = fit_scorer(known[inside], right[inside], seed=seed)(known[~inside])
    threshold, f = best_threshold(unseen, right, table.strokes)
    scorer = fit_scorer(known, right, seed=seed)
    kinds = np.asarray(table.kinds)
    struck = np.concatenate(table.struck)
    articulations: dict[str, Scorer] = {}
    for name in ARTICULATIONS[stem]:
        # Toms and second crashes are told by comparison, not by their sound alone.
        if name == DEFAULT_ARTICULATION[stem] or stem in ("toms", "crash"):
            continue
        which = kinds == name
        if min(which.sum(), (~which).sum()) >= _LEAST:
            articulations[name] = fit_scorer(struck, which, hidden=6, seed=seed)
    settings = StemSettings(
        scorer,
        float(np.clip(threshold, *_THRESHOLDS)),
        -float(np.median(table.late)) if table.late else 0.0,
        MappingProxyType(articulations),
    )
    return settings, f
