# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: one HTML page that holds everything it shows, so that it can be sent and kept.

Tables, the picture of the paper's Figure 3, and for a few clips the waveforms, spectrograms and
players of mixture, references and estimates. A content security policy in the page forbids it
every address that is not inside it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.evaluation.listening import AudioKind, Excerpt, audio_uri
from lars_plugin.evaluation.plots import figure_3, figure_bytes, spectrogram_png, wave_path
from lars_plugin.evaluation.scoring import Row
from lars_plugin.evaluation.summary import Summary
from lars_plugin.evaluation.tables import Table, all_tables

__all__ = ["report"]

Wave = NDArray[np.float32]

_WIDTH, _WAVE_HEIGHT, _SPECTRUM_HEIGHT = 360, 56, 96

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff;
       max-width: 1240px; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .2rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; max-width: 52rem; } .quiet { color: #555; font-size: .87rem; }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1rem; }
caption { text-align: left; white-space: nowrap; color: #555; font-size: .87rem;
       padding-bottom: .3rem; }
.figures td, .figures th { padding: .18rem .6rem; text-align: right; white-space: nowrap;
       font-variant-numeric: tabular-nums; border-bottom: 1px solid #e4e4e4; }
.figures th:first-child { text-align: left; font-weight: 600; }
.figures thead th { border-bottom: 2px solid #999; }
.figures tbody tr:hover { background: #f3f6fa; }
.clip th, .clip td { padding: .25rem .5rem .5rem 0; text-align: left; vertical-align: top; }
.clip th { font-size: .87rem; } .clip tbody th { min-width: 4.5rem; padding-top: .6rem; }
.clip figure { margin: 0; width: 360px; } .clip figcaption { font-size: .8rem; color: #444; }
.clip svg.wave, .clip img, .clip audio { display: block; width: 360px; }
.clip svg.wave { background: #f4f4f4; } .clip audio { height: 34px; margin-top: 2px; }
.picture svg { max-width: 100%; height: auto; }
details { margin: .6rem 0; } summary { cursor: pointer; }
"""

# Two players at once are no use. The page works without it.
_SCRIPT = """
document.addEventListener('play', event => {
  for (const other of document.querySelectorAll('audio')) if (other !== event.target) other.pause();
}, true);
"""


def report(
    rows: Sequence[Row],
    summary: Summary,
    excerpts: Sequence[Excerpt],
    made: Mapping[str, Any],
    *,
    audio: AudioKind = "ogg",
) -> str:
    """The page.

    Args:
        rows: of all clips.
        summary: their figures.
        excerpts: what can be listened to.
        made: the run's document, for what is told about it (:func:`.results.document`).
        audio: how the excerpts are encoded.
    """
    tables = all_tables(rows, summary, clips=True)
    title = f"Separation scores: {made.get('folder', '')}".rstrip(": ")
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;'
        " media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        _about(summary, made),
        "<h2>Scores</h2>",
        *(_table(table) for table in tables[:2]),
        '<h2>Mean SDR per stem</h2><div class="picture scroll">',
        _inline_svg(summary),
        "</div>",
        *(_table(table) for table in tables[2:-1]),
    ]
    if excerpts:
        parts.append("<h2>Clips</h2>")
        parts.append(
            "<p class='quiet'>Waveforms of a row share one scale. Spectrograms reach from 40 Hz to"
            " the upper end by octaves, and from 80 dB below full scale (black) to full scale."
            " Figures are those of the whole clip.</p>"
        )
        parts += [_excerpt(excerpt, summary, audio) for excerpt in excerpts]
    parts.append("<h2>Every clip</h2>")
    parts.append(f"<details><summary>Show the table</summary>{_table(tables[-1])}</details>")
    if made.get("failures"):
        parts.append("<h2>Failures</h2><ul>")
        parts += [
            f"<li>{escape(f['system'])} on {escape(f['clip'])}: {escape(f['reason'])}</li>"
            for f in made["failures"]
        ]
        parts.append("</ul>")
    parts.append(f"<script>{_SCRIPT}</script></body></html>")
    return "\n".join(parts) + "\n"


def _about(summary: Summary, made: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    machine = made["machine"]
    lines = [
        f"{summary.clips} clips. SDR is 10 log<sub>10</sub>(|s|² / |s - e|²) over all samples and"
        " channels of a clip, for reference s and estimate e; a stem counts in the clips in which"
        f" its reference is above {summary.threshold_db:g} dB against the mixture, in the others"
        " its leakage counts. RTR is seconds of work per second of audio.",
        f"Made by <code>{escape(' '.join(made['command']))}</code>",
        escape(
            f"on {machine['processor']}, {machine['cores']} cores, {machine['system']};"
            f" {versions}; {made.get('jobs', 1)} clip(s) at a time; {made.get('date', '')}"
        ).rstrip("; "),
    ]
    return "".join(f'<p class="quiet">{line}</p>' for line in lines)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="scroll"><table class="figures"><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _inline_svg(summary: Summary) -> str:
    text = figure_bytes(figure_3(summary), "svg").decode("utf-8")
    # Without the prologue, which has no place inside a page.
    return text[text.index("<svg") :].replace(
        "<svg", '<svg role="img" aria-label="Mean SDR per stem and system"', 1
    )


def _excerpt(excerpt: Excerpt, summary: Summary, audio: AudioKind) -> str:
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
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("reference", *excerpt.pairs))
    rows = [
        f'<tr><th scope="row">mixture</th><td colspan="{1 + len(excerpt.pairs)}">'
        + _cell(recording.mixture, rate, audio, gain, _peak(recording.mixture), "mixture")
        + "</td></tr>"
    ]
    for stem in stems:
        found = {system: pairs.get(stem) for system, pairs in excerpt.pairs.items()}
        reference = next(both[0] for both in found.values() if both)
        scale = max(_peak(wave) for both in found.values() for wave in both or ())
        cells = [_cell(reference, rate, audio, gain, scale, "reference")]
        for system, both in found.items():
            if both is None:
                cells.append("-")
                continue
            caption = f"{system}: {_score(excerpt.scores.get((system, stem)), summary)}"
            cells.append(_cell(both[1], rate, audio, gain, scale, caption))
        rows.append(
            f'<tr><th scope="row">{escape(stem)}</th>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    end = excerpt.start + recording.seconds
    louder = f" Played {-20 * np.log10(gain):.1f} dB softer than it is." if gain < 1 else ""
    return (
        f"<h3>{escape(excerpt.clip)}</h3><p class='quiet'>{escape(excerpt.why)};"
        f" seconds {excerpt.start:.1f} to {end:.1f}.{louder}</p>"
        f'<div class="scroll"><table class="clip"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _score(row: Row | None, summary: Summary) -> str:
    if row is None:
        return "no score"
    if row.sdr_db is not None and row.reference_db > summary.threshold_db:
        return f"{row.sdr_db:.1f} dB"
    return f"silent; leakage {row.leakage_db:.1f} dB"


def _cell(wave: Wave, rate: int, audio: AudioKind, gain: float, scale: float, caption: str) -> str:
    image = base64.b64encode(spectrogram_png(wave, rate, _WIDTH, _SPECTRUM_HEIGHT)).decode("ascii")
    outline = wave_path(wave / max(scale, 1e-6), _WIDTH, _WAVE_HEIGHT)
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<svg class="wave" viewBox="0 0 {_WIDTH} {_WAVE_HEIGHT}" role="img"'
        f' aria-label="waveform"><path d="{outline}" fill="#0072B2"/></svg>'
        f'<img alt="spectrogram" width="{_WIDTH}" height="{_SPECTRUM_HEIGHT}"'
        f' src="data:image/png;base64,{image}">'
        f'<audio controls preload="metadata" src="{audio_uri(wave, rate, audio, gain)}"></audio>'
        "</figure>"
    )


def _peak(wave: Wave) -> float:
    return float(np.abs(wave).max(initial=0))
