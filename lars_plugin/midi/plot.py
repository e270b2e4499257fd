# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture: the stems' waveforms with the hits on them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles
from lars_plugin.errors import InputError
from lars_plugin.midi.hits import ARTICULATIONS, DRUMS, DrumHit
from lars_plugin.stems import Stems

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "draw_hits", "save_plot"]

SUFFIXES = (".png", ".svg", ".pdf")

# Colours of a stem's articulations in order, which most people can tell apart.
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
_POINTS = 2000


def draw_hits(
    stems: Stems, hits: Sequence[DrumHit], *, start: float = 0.0, seconds: float | None = None
) -> Figure:
    """Draw each drum stem with its hits as lines: position is time, height is velocity.

    Args:
        stems: the transcribed stems.
        hits: the result.
        start, seconds: the part to show; all for None.

    Raises:
        InputError: no stem is a drum, or the part lies outside of the recording.
    """
    # Without pyplot, which would look for a display and keep global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in DRUMS if name in stems]
    length = stems.samples / stems.sample_rate
    end = length if seconds is None else min(length, start + seconds)
    if not names or not 0 <= start < end:
        raise InputError(
            f"nothing to draw: drum stems {', '.join(names) or '(none)'}, seconds"
            f" {start:g} to {end:g} of {length:g}"
        )
    figure = Figure(figsize=(11, 0.6 + 1.05 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for row, name in zip(rows, names, strict=True):
        first, last = round(start * stems.sample_rate), round(end * stems.sample_rate)
        low, high = _outline(stems[name][:, first:last])
        top = max(float(np.abs([low, high]).max()), 1e-4)
        at = np.linspace(start, end, len(low))
        row.fill_between(at, low / top, high / top, color="0.75", linewidth=0)
        for index, kind in enumerate(ARTICULATIONS[name]):
            chosen = [
                hit
                for hit in hits
                if (hit.stem, hit.articulation) == (name, kind) and start <= hit.time < end
            ]
            if chosen:
                row.vlines(
                    [hit.time for hit in chosen],
                    0,
                    [hit.velocity / 127 for hit in chosen],
                    color=_COLOURS[index],
                    linewidth=1.3,
                    label=kind,
                )
        row.set_ylabel(name, rotation=0, ha="right", va="center")
        row.set_yticks([])
        row.set_ylim(-1.05, 1.05)
        row.spines[["top", "right", "left"]].set_visible(False)
        if row.get_legend_handles_labels()[1]:
            row.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    rows[-1].set_xlabel("seconds")
    rows[-1].set_xlim(start, end)
    return figure


def _outline(wave: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest sample of all channels in each of about a thousand parts."""
    count = min(_POINTS, wave.shape[1])
    cuts = np.linspace(0, wave.shape[1], count, endpoint=False, dtype=int)
    return (
        np.minimum.reduceat(wave.min(axis=0), cuts),
        np.maximum.reduceat(wave.max(axis=0), cuts),
    )


def save_plot(figure: Figure, path: Path) -> None:
    """Write a picture completely or not at all.

    Raises:
        InputError: a name that does not end in one of :data:`SUFFIXES`.
        AudioFileError: it cannot be written.
    """
    check_suffix(path)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:].lower(), dpi=90)
    with AtomicFiles() as files:
        files.create(path).write(buffer.getvalue())


def check_suffix(path: Path) -> None:
    """Raises:
    InputError: the name has an unknown suffix.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"a picture is {', '.join(SUFFIXES)}, not {path.name!r}")
