# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a training run: its loss, and the validation SDR per stem, over time."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from lars_plugin.training.render.fullmix import FULLMIX_STEMS

__all__ = ["draw_curve"]


def _read(path: Path) -> list[list[float]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        return [[float(value) for value in row] for row in csv.reader(handle)]


def draw_curve(folder: Path) -> Path:
    """Draw ``steps.csv`` and ``scores.csv`` of a run's folder into ``curve.png`` there."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps, scores = _read(folder / "steps.csv"), _read(folder / "scores.csv")
    figure = Figure(figsize=(9, 6), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True)
    if steps:
        minutes = np.array([row[1] for row in steps]) / 60
        loss = np.array([row[2] for row in steps])
        width = max(1, min(50, len(loss) // 4))
        smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
        top.plot(minutes[width - 1 :], smooth, color="#444444")
    top.set_ylabel("training loss")
    # A row: step, seconds, a score for each of six or seven stems, their mean.
    stems = FULLMIX_STEMS[: len(scores[0]) - 3] if scores else ()
    for index, stem in enumerate((*stems, "mean")):
        bottom.plot(
            [row[1] / 60 for row in scores],
            [row[2 + index] for row in scores],
            marker="o",
            markersize=3,
            linewidth=2.5 if stem == "mean" else 1.2,
            color="black" if stem == "mean" else None,
            label=stem,
        )
    bottom.set_ylabel("validation SDR, median (dB)")
    bottom.set_xlabel("minutes")
    bottom.legend(ncols=4, fontsize="small")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
    path = folder / "curve.png"
    figure.savefig(path, dpi=120)
    return path
