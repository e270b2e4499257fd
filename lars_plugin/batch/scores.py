# SPDX-License-Identifier: GPL-3.0-or-later
"""``--evaluate``: stems that were written, scored against true ones beside the recording."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from lars_plugin.audio import read_audio
from lars_plugin.batch.jobs import Job
from lars_plugin.batch.ledger import Ledger
from lars_plugin.batch.locations import is_remote, put
from lars_plugin.cli.plan import Task
from lars_plugin.errors import DatasetError
from lars_plugin.separation.files import FileResult
from lars_plugin.separation.separator import Separator

__all__ = ["SCORES", "score_outputs", "write_scores"]

# The table's name in the output folder; `lars evaluate --csv` writes the same columns.
SCORES = "scores.csv"


def score_outputs(
    job: Job, task: Task, separator: Separator, whole: FileResult | None
) -> tuple[Mapping[str, Any], ...]:
    """Rows of scores, one for each stem.

    Raises:
        DatasetError: the true stems do not lie beside the recording.
        AudioFileError: one of them cannot be read.
    """
    from lars_plugin.evaluation.clips import load_clip
    from lars_plugin.evaluation.datasets import find_clips
    from lars_plugin.evaluation.scoring import score

    folder = task.path.parent
    if is_remote(job.location):
        raise DatasetError("--evaluate needs local clips: the true stems beside the recording")
    _, clips = find_clips(folder, "clips")
    clip = next((clip for clip in clips if clip.mixture == task.path), None)
    if clip is None:
        raise DatasetError(
            f"{task.path} is not the mixture of a clip; give mix.* beside kick.*, snare.* ..."
        )
    recording = load_clip(clip)
    shape = recording.mixture.shape
    estimates = {
        stem: np.broadcast_to(read_audio(path)[0][:, : shape[1]], shape)
        for stem, path in task.outputs.items()
        if stem in separator.stems
    }
    root = Path(job.root)
    name = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else "."
    rows = score(
        folder.name if name == "." else name,
        clip.kit,
        separator.model.config.name,
        "",
        recording.mixture,
        recording.references,
        estimates,
        seconds=recording.seconds,
        work=whole.elapsed if whole is not None else 0.0,
    )
    return tuple(dataclasses.asdict(row) for row in rows)


def write_scores(ledger: Ledger, out: str) -> None:
    """The table of all scores, beside the outputs.

    Raises:
        AudioFileError, DatasetError: it cannot be written.
    """
    from lars_plugin.evaluation.ledger import Ledger as Table
    from lars_plugin.evaluation.scoring import Row

    rows = [Row(**row) for row in ledger.score_rows()]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch if is_remote(out) else out, SCORES)
        with Table(path) as table:
            table.begin()
            for _, group in groupby(rows, key=lambda row: (row.clip, row.system)):
                table.add(list(group))
        if is_remote(out):
            put(path, f"{out.rstrip('/')}/{SCORES}")
