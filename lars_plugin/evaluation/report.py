# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: one HTML page that holds everything it shows, so that it can be sent and kept.

Tables, the picture of the paper's Figure 3, and for a few clips the waveforms, spectrograms and
players of mixture, references and estimates. A content security policy in the page forbids it
every address that is not inside it. The page itself is ``templates/report.html.j2``; this module
prepares what it shows.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from lars_plugin.evaluation.listening import AudioKind, Excerpt, audio_uri
from lars_plugin.evaluation.plots import figure_3, figure_bytes, spectrogram_png, wave_path
from lars_plugin.evaluation.scoring import Row
from lars_plugin.evaluation.summary import Summary
from lars_plugin.evaluation.tables import all_tables

__all__ = ["report"]

Wave = NDArray[np.float32]

_WIDTH, _WAVE_HEIGHT, _SPECTRUM_HEIGHT = 360, 56, 96


@dataclass(frozen=True)
class _Cell:
    """A wave as the page shows it: under its caption the outline, the spectrogram, the player."""

    caption: str
    outline: str
    spectrogram: str
    audio: str


@dataclass(frozen=True)
class _Clip:
    """An excerpt: the mixture, then a row a stem, with None where a system has no such stem."""

    name: str
    about: str
    columns: tuple[str, ...]
    mixture: _Cell
    rows: tuple[tuple[str, tuple[_Cell | None, ...]], ...]


def report(
    rows: Sequence[Row],
    summary: Summary,
    excerpts: Sequence[Excerpt],
    run: Mapping[str, Any],
    *,
    audio: AudioKind = "ogg",
) -> str:
    """The page.

    Args:
        rows: of all clips.
        summary: their figures.
        excerpts: what can be listened to.
        run: the run's document, for what is told about it (:func:`.results.document`).
        audio: how the excerpts are encoded.
    """
    environment = Environment(
        loader=PackageLoader("lars_plugin.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    optional = {"jobs": 1, "date": "", "failures": ()}
    return environment.get_template("report.html.j2").render(
        title=f"Separation scores: {run.get('folder', '')}".rstrip(": "),
        run=optional | dict(run),
        summary=summary,
        tables=all_tables(rows, summary, clips=True),
        picture=_picture(summary),
        clips=[_clip(excerpt, summary, audio) for excerpt in excerpts],
        width=_WIDTH,
        wave_height=_WAVE_HEIGHT,
        spectrum_height=_SPECTRUM_HEIGHT,
    )


def _picture(summary: Summary) -> Markup:
    text = figure_bytes(figure_3(summary), "svg").decode("utf-8")
    # Without the prologue, which has no place inside a page. matplotlib has escaped the names.
    return Markup(
        text[text.index("<svg") :].replace(
            "<svg", '<svg role="img" aria-label="Mean SDR per stem and system"', 1
        )
    )


def _clip(excerpt: Excerpt, summary: Summary, audio: AudioKind) -> _Clip:
    recording = excerpt.recording
    stems = [
        stem
        for stem in summary.groupings["mean"]
        if any(stem in pairs for pairs in excerpt.pairs.values())
    ]
    waves = [recording.mixture] + [
        wave for pairs in excerpt.pairs.values() for stem in stems for wave in pairs.get(stem, ())
    ]
    # One gain for the whole clip, so that no player clips and levels compare.
    gain = min(1.0, 0.99 / max(_peak(wave) for wave in waves)) if recording.mixture.any() else 1.0
    rate = recording.sample_rate
    mixture = _cell(recording.mixture, rate, audio, gain, _peak(recording.mixture), "mixture")
    rows: list[tuple[str, tuple[_Cell | None, ...]]] = []
    for stem in stems:
        found = {system: pairs.get(stem) for system, pairs in excerpt.pairs.items()}
        reference = next(both[0] for both in found.values() if both)
        scale = max(_peak(wave) for both in found.values() for wave in both or ())
        cells: list[_Cell | None] = [_cell(reference, rate, audio, gain, scale, "reference")]
        for system, both in found.items():
            if both is None:
                cells.append(None)
                continue
            caption = f"{system}: {_score(excerpt.scores.get((system, stem)), summary)}"
            cells.append(_cell(both[1], rate, audio, gain, scale, caption))
        rows.append((stem, tuple(cells)))
    end = excerpt.start + recording.seconds
    louder = f" Played {-20 * np.log10(gain):.1f} dB softer than it is." if gain < 1 else ""
    return _Clip(
        name=excerpt.clip,
        about=f"{excerpt.why}; seconds {excerpt.start:.1f} to {end:.1f}.{louder}",
        columns=("reference", *excerpt.pairs),
        mixture=mixture,
        rows=tuple(rows),
    )


def _score(row: Row | None, summary: Summary) -> str:
    if row is None:
        return "no score"
    if row.sdr_db is not None and row.reference_db > summary.threshold_db:
        return f"{row.sdr_db:.1f} dB"
    return f"silent; leakage {row.leakage_db:.1f} dB"


def _cell(
    wave: Wave, rate: int, audio: AudioKind, gain: float, scale: float, caption: str
) -> _Cell:
    image = spectrogram_png(wave, rate, _WIDTH, _SPECTRUM_HEIGHT)
    return _Cell(
        caption=caption,
        outline=wave_path(wave / max(scale, 1e-6), _WIDTH, _WAVE_HEIGHT),
        spectrogram=base64.b64encode(image).decode("ascii"),
        audio=audio_uri(wave, rate, audio, gain),
    )


def _peak(wave: Wave) -> float:
    return float(np.abs(wave).max(initial=0))
