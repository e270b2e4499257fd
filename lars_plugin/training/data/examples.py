# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts with a model's estimates, rendered and separated once and cached in a folder."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles
from lars_plugin.errors import DatasetError
from lars_plugin.separation.separator import Separator
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.data.excerpts import Excerpt
from lars_plugin.training.data.grooves import Note
from lars_plugin.training.render.renderer import STEMS

__all__ = ["Example", "claim_folder", "separate_excerpts", "unseparated"]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """An excerpt with a model's estimates: ``true`` and ``estimated`` are
    ``(6, 2, samples)`` float32 in the renderer's order."""

    true: Wave
    estimated: Wave
    notes: tuple[Note, ...]


def claim_folder(folder: Path, what: str) -> None:
    """Say in a folder of excerpts what they are made from; it is made if missing.

    Raises:
        DatasetError: it holds what was made from something else.
    """
    marker = folder / "made.txt"
    if marker.is_file() and marker.read_text(encoding="utf-8") != what:
        raise DatasetError(
            f"{folder} holds excerpts with other settings; remove it or name another"
        )
    with AtomicFiles() as files:
        files.create(marker).write(what.encode())


def separate_excerpts(
    excerpts: Iterator[Excerpt], separator: Separator, cache: Path, count: int, what: str
) -> Iterator[Example]:
    """Separate excerpts; those already separated are read from the cache.

    Args:
        excerpts: rendered one by one; not used when the cache is complete.
        separator: of a model with the renderer's six stems.
        cache: folder; made when missing.
        count: of excerpts.
        what: describes excerpts and model; a cache with another description is refused.

    Raises:
        DatasetError: the model has other stems, or the cache belongs to something else.
    """
    if set(separator.stems) != set(STEMS):
        raise DatasetError(
            f"tuning needs a model with the stems {', '.join(STEMS)},"
            f" not {', '.join(separator.stems)}"
        )
    claim_folder(cache, what)
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
        result = np.stack([stems[name] for name in STEMS])
        with AtomicFiles() as files:
            np.savez(
                files.create(path),
                true=excerpt.waves.astype(np.float16),
                estimated=result.astype(np.float16),
                notes=np.array(json.dumps([asdict(note) for note in excerpt.notes])),
            )
        log.info("separated excerpt %d of %d", number + 1, count)
        yield _read(path)


def _read(path: Path) -> Example:
    try:
        with np.load(path) as data:
            notes = tuple(Note(**note) for note in json.loads(str(data["notes"])))
            true, result = data["true"].astype(np.float32), data["estimated"].astype(np.float32)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DatasetError(f"cannot read {path}: {error}; remove it and run again") from error
    return Example(true, result, notes)


def unseparated(excerpts: Iterator[Excerpt]) -> Iterator[Example]:
    """Excerpts for sources that need no model."""
    for excerpt in excerpts:
        yield Example(excerpt.waves, excerpt.waves, excerpt.notes)
