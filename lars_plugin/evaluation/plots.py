# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures: the comparison of systems per stem (LARS 2.0, Figure 3), waveforms, spectrograms.

matplotlib is imported where it is needed, and without pyplot, so nothing here opens a window or
keeps global state.
"""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from lars_plugin.audio import AtomicFiles
from lars_plugin.errors import InputError
from lars_plugin.evaluation.summary import Cell, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["colours", "figure_3", "figure_bytes", "save_figure", "spectrogram_png", "wave_path"]

Wave = NDArray[np.float32]

# Okabe and Ito's colours, which most people can tell apart; baselines are grey.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
_GREYS = {"mixture": "#dadada", "nmf": "#b4b4b4", "oracle": "#8c8c8c"}


def colours(summary: Summary) -> dict[str, str]:
    """A colour for each system, ``#rrggbb``."""
    models = [name for name in summary.systems if name not in _GREYS or name in summary.models]
    result = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(models)}
    return {name: result.get(name) or _GREYS[name] for name in summary.systems}


def figure_3(summary: Summary, title: str = "") -> Figure:
    """Mean SDR per stem, systems side by side; dots are medians, lines reach over 80 % of clips.

    Args:
        summary: the figures.
        title: above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars = len(summary.stems) * len(summary.systems)
    figure = Figure(figsize=(min(16.0, max(6.0, 2.5 + 0.3 * bars)), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.82 / len(summary.systems)
    palette = colours(summary)
    for index, system in enumerate(summary.systems):
        places, means = [], []
        for column, stem in enumerate(summary.stems):
            cell = summary.cell(system, stem)
            if cell.mean is not None:
                places.append(column + (index - (len(summary.systems) - 1) / 2) * width)
                means.append(cell.mean)
                _draw_spread(axes, places[-1], cell, cell.mean if bars <= 48 else None)
        axes.bar(places, means, width * 0.92, color=palette[system], label=system)
    axes.set_xticks(range(len(summary.stems)), summary.stems)
    axes.set_ylabel("SDR (dB)")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlabel("bars: mean; dots: median; lines: 10th to 90th percentile of clips",
                    fontsize=7, color="#555555")  # fmt: skip
    axes.margins(x=0.02, y=0.1)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(title, fontsize=10)
    figure.legend(loc="outside lower center", ncols=min(6, len(summary.systems)), frameon=False)
    return figure


def figure_bytes(figure: Figure, kind: str = "png") -> bytes:
    """The picture as ``png``, ``svg`` or ``pdf``, the same bytes for the same figures."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    # No time and no random identifiers: a committed picture should not change by itself.
    stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with mpl.rc_context({"svg.hashsalt": "lars", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, dpi=150, metadata=stamp)
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write the picture; the suffix decides the format.

    Raises:
        InputError: an ending other than png, svg, pdf.
        AudioFileError: the file cannot be written.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"a picture is .png, .svg or .pdf, not {path.name!r}")
    data = figure_bytes(figure, kind)
    with AtomicFiles() as files:
        files.create(path).write(data)


def spectrogram_png(wave: Wave, sample_rate: int, width: int = 360, height: int = 96) -> bytes:
    """Spectrogram as a PNG, time to the right, 40 Hz to the upper end going up by octaves.

    Levels from 80 dB below a sine at full scale (dark) to that sine; the same for every wave, so
    that pictures can be compared.

    Args:
        wave: ``(channels, samples)``.
        sample_rate: Hz.
        width: pixels.
        height: pixels.
    """
    from matplotlib import image

    size = 2048
    mono = wave.mean(axis=0, dtype=np.float32)
    mono = np.pad(mono, (size // 2, max(0, size - len(mono)) + size // 2))
    hop = max(1, (len(mono) - size) // width)
    _, _, spectrum = signal.stft(
        mono, nperseg=size, noverlap=size - min(hop, size), boundary=None, padded=False
    )
    frames = np.linspace(0, spectrum.shape[1] - 1, width).round().astype(int)
    edges = np.geomspace(40, 0.49 * sample_rate, height + 1) * size / sample_rate
    # The loudest bin of each row: a single line must not vanish between two rows.
    loud = np.abs(spectrum[:, frames])
    rows = [loud[int(low) : max(int(low) + 1, int(high))].max(axis=0) for low, high in
            itertools.pairwise(edges)]  # fmt: skip
    decibels = 20 * np.log10(np.maximum(np.stack(rows), 1e-9))
    buffer = io.BytesIO()
    # A sine of amplitude 1 shows as one half here.
    image.imsave(buffer, decibels, format="png", origin="lower", cmap="magma", vmin=-86, vmax=-6)
    return buffer.getvalue()


def wave_path(wave: Wave, width: int = 360, height: int = 56) -> str:
    """Outline of a wave as the data of an SVG path: at each pixel from its highest to its lowest.

    Args:
        wave: ``(channels, samples)``; full scale reaches the edges.
        width: pixels.
        height: pixels.
    """
    if wave.shape[1] == 0:
        return f"M0,{height / 2:g}H{width}"
    edges = np.linspace(0, wave.shape[1], width + 1).astype(int)
    starts = np.minimum(edges[:-1], wave.shape[1] - 1)
    highs = np.maximum.reduceat(wave.max(axis=0), starts).clip(-1, 1)
    lows = np.minimum.reduceat(wave.min(axis=0), starts).clip(-1, 1)
    upper = (1 - highs) * height / 2
    lower = (1 - lows) * height / 2 + 0.5  # half a pixel, so that silence is a line
    there = " ".join(f"{x},{y:.1f}" for x, y in enumerate(upper))
    back = " ".join(f"{x},{y:.1f}" for x, y in reversed(list(enumerate(lower))))
    return f"M{there} L{back}Z"


def _draw_spread(axes: Axes, place: float, cell: Cell, label: float | None) -> None:
    """Percentiles and median over a bar, and its figure beyond both."""
    low, median, high = np.percentile(cell.sdrs, [10, 50, 90])
    axes.plot([place, place], [low, high], color="black", lw=0.8, alpha=0.7, zorder=3)
    axes.plot([place], [median], "o", color="black", ms=2.5, zorder=4)
    if label is not None:
        up = label >= 0
        axes.annotate(
            f"{label:.1f}",
            (place, max(label, high) if up else min(label, low)),
            (0, 2 if up else -2),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=6.5,
        )
