# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts to listen to: a few clips, chosen by score, with references and estimates."""

from __future__ import annotations

import base64
import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.evaluation.clips import Clip, Recording
from lars_plugin.evaluation.scoring import Row, pair
from lars_plugin.evaluation.summary import Summary
from lars_plugin.evaluation.systems import System
from lars_plugin.evaluation.variants import load_variant

__all__ = ["AudioKind", "Excerpt", "audio_uri", "choose", "make_excerpt"]

Wave = NDArray[np.float32]

AudioKind = Literal["ogg", "flac"]

EXCERPT_SECONDS = 12.0

_BLOCK = 1 << 15


@dataclass(frozen=True)
class Excerpt:
    """Part of a clip, with the systems' estimates.

    Attributes:
        clip: the clip's name.
        why: why it was chosen.
        start: where it begins in the clip, in seconds.
        recording: mixture and references.
        pairs: by system and stem: reference and estimate.
        scores: by system and stem: the row of the whole clip.
    """

    clip: str
    why: str
    start: float
    recording: Recording
    pairs: Mapping[str, Mapping[str, tuple[Wave, Wave]]]
    scores: Mapping[tuple[str, str], Row]


def choose(rows: Sequence[Row], summary: Summary, count: int) -> list[tuple[str, str]]:
    """Up to ``count`` clips with the reason: from the lowest to the highest score of a system.

    The score is a clip's mean SDR over sounding stems, for the first model, or for the last
    baseline if there are no models.
    """
    if not summary.systems:
        return []
    judge = (summary.models or summary.systems[-1:])[0]
    stems = summary.groupings["mean"]
    values: dict[str, list[float]] = {}
    for row in rows:
        wanted = row.system == judge and row.stem in stems
        if wanted and row.sdr_db is not None and row.reference_db > summary.threshold_db:
            values.setdefault(row.clip, []).append(row.sdr_db)
    ranked = sorted(values, key=lambda clip: (statistics.fmean(values[clip]), clip))
    count = min(count, len(ranked))
    # A single clip is the one in the middle.
    places = np.linspace(0, len(ranked) - 1, count) if count > 1 else [len(ranked) // 2] * count
    chosen = []
    for place in sorted({round(place) for place in places}):
        mean = statistics.fmean(values[ranked[place]])
        chosen.append(
            (
                ranked[place],
                f"rank {place + 1} of {len(ranked)} by the mean SDR of {judge}, from the lowest"
                f" ({mean:.1f} dB)",
            )
        )
    return chosen


def make_excerpt(
    clip: Clip,
    why: str,
    systems: Sequence[System],
    rows: Sequence[Row],
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> Excerpt:
    """Read a clip, take its middle, and run the systems on that.

    Raises:
        LarsError: reading or a system fails.
    """
    whole = load_variant(clip)
    length = min(whole.mixture.shape[1], round(EXCERPT_SECONDS * whole.sample_rate))
    begin = (whole.mixture.shape[1] - length) // 2
    part = slice(begin, begin + length)
    recording = Recording(
        np.ascontiguousarray(whole.mixture[:, part]),
        {name: np.ascontiguousarray(wave[:, part]) for name, wave in whole.references.items()},
        whole.sample_rate,
    )
    return Excerpt(
        clip.name,
        why,
        begin / whole.sample_rate,
        recording,
        {s.name: pair(recording.references, s.estimate(recording, cancelled)) for s in systems},
        {(row.system, row.stem): row for row in rows if row.clip == clip.name},
    )


def audio_uri(wave: Wave, sample_rate: int, kind: AudioKind, gain: float = 1.0) -> str:
    """A wave as a ``data:`` address that browsers play.

    Args:
        wave: ``(channels, samples)``, in +-1 after the gain.
        sample_rate: Hz.
        kind: ``ogg`` (Vorbis, small) or ``flac`` (16 bits, exact).
        gain: factor.
    """
    buffer = io.BytesIO()
    subtype = {"ogg": "VORBIS", "flac": "PCM_16"}[kind]
    with soundfile.SoundFile(
        buffer, "w", sample_rate, wave.shape[0], subtype, format=kind.upper()
    ) as file:
        # In blocks: libsndfile's Vorbis encoder puts each block on the stack.
        for start in range(0, wave.shape[1], _BLOCK):
            file.write((wave[:, start : start + _BLOCK] * np.float32(gain)).T)
    return f"data:audio/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
