# SPDX-License-Identifier: GPL-3.0-or-later
"""From stems to levels, probabilities and candidates; shared by offline and live."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.midi.bands import BandStream, coarse
from lars_plugin.midi.hits import DRUMS
from lars_plugin.midi.onsets import FLOOR_DB, find_candidates, levels_db, novelty
from lars_plugin.midi.picker import find_peaks, moments
from lars_plugin.midi.rules import THRESHOLD, judge
from lars_plugin.midi.settings import Settings, StemSettings

__all__ = [
    "Analysis",
    "Candidates",
    "analyse",
    "band_energies",
    "by_rules",
    "drum_stems",
    "from_energies",
    "picked",
    "picker_levels",
    "reference_energy",
    "score",
    "suits",
]

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Analysis:
    """Attributes:
    stems: names, in the order of the first axes below.
    fine: ``(stems + 1, frames, FINE_BANDS)`` dB, their sum last.
    levels: ``(stems + 1, frames, BANDS)`` dB, likewise.
    curves: ``(stems, frames)`` novelty in dB.
    hop: samples per frame.
    sample_rate: Hz.
    """

    stems: tuple[str, ...]
    fine: Wave
    levels: Wave
    curves: Wave
    hop: int
    sample_rate: float


@dataclass(frozen=True)
class Candidates:
    """Attributes:
    frames: ``(m,)`` in rising order.
    confidences: ``(m,)`` in [0, 1].
    threshold: confidence from which they are hits.
    times: ``(m,)`` seconds of their attacks, or None if they must still be found in the wave.
    """

    frames: NDArray[np.intp]
    confidences: NDArray[np.float64]
    threshold: float
    times: NDArray[np.float64] | None = None


def drum_stems(names: Collection[str], settings: Settings | None) -> tuple[str, ...]:
    """The drums among the stems, in the settings' order if these know them all.

    Raises:
        InputError: no stem is a drum.
    """
    found = tuple(name for name in DRUMS if name in names)
    if not found:
        raise InputError(f"none of the stems {', '.join(names)} is one of {', '.join(DRUMS)}")
    if settings is not None and suits(settings, found):
        return tuple(name for name in settings.stems if name in found)
    return found


def suits(settings: Settings | None, stems: Collection[str]) -> bool:
    """Whether the settings know all these stems. Stems of the settings may be missing; they count
    as silent."""
    return settings is not None and set(stems) <= set(settings.stems)


def reference_energy(energies: Wave) -> float:
    """The reference for 0 dB: about the maximum of the sum of all stems.

    Args:
        energies: ``(frames, bands)`` of the sum.
    """
    total = energies.sum(axis=1)
    return float(np.percentile(total, 99.5)) if len(total) else 0.0


def analyse(waves: Wave, sample_rate: float, stems: tuple[str, ...]) -> Analysis:
    """Analyse whole stems ``(stems, channels, samples)``."""
    energies, hop = band_energies(waves, sample_rate)
    return from_energies(energies, sample_rate, stems, hop, reference_energy(energies[-1]))


def band_energies(waves: Wave, sample_rate: float) -> tuple[Wave, int]:
    """Energies ``(stems + 1, frames, FINE_BANDS)`` of stems and their sum, and samples per
    frame."""
    stream = BandStream(len(waves) + 1, waves.shape[1], sample_rate)
    parts = []
    block = 20 * int(sample_rate)  # bounds memory: the sum is computed block by block
    for start in range(0, waves.shape[2], block):
        part = waves[:, :, start : start + block]
        parts.append(stream.push(np.concatenate([part, part.sum(axis=0, keepdims=True)])))
    parts.append(stream.flush())
    return np.concatenate(parts, axis=1), stream.hop


def from_energies(
    energies: Wave, sample_rate: float, stems: tuple[str, ...], hop: int, reference: float
) -> Analysis:
    """The analysis of energies ``(stems + 1, frames, FINE_BANDS)``, the sum's last."""
    levels = levels_db(coarse(energies), reference)
    curves = np.stack([novelty(one) for one in levels[:-1]])
    fine = levels_db(energies, reference)
    return Analysis(stems, fine, levels, curves, hop, sample_rate)


def picker_levels(analysis: Analysis, settings: Settings) -> Wave:
    """Fine levels in the settings' order of stems, absent ones silent."""
    if analysis.stems == settings.stems:
        return analysis.fine
    full = np.full((len(settings.stems) + 1, *analysis.fine.shape[1:]), FLOOR_DB, np.float32)
    for index, name in enumerate(analysis.stems):
        full[settings.stems.index(name)] = analysis.fine[index]
    full[-1] = analysis.fine[-1]
    return full


def score(analysis: Analysis, settings: Settings | None) -> list[Candidates]:
    """For each stem the candidates for strokes and their confidences."""
    if settings is None or not suits(settings, analysis.stems):
        return [by_rules(analysis, stem) for stem in range(len(analysis.stems))]
    chances = settings.picker(picker_levels(analysis, settings))
    return [
        picked(chances[settings.stems.index(name)], settings.parts[name], analysis)
        for name in analysis.stems
    ]


def picked(row: Wave, part: StemSettings, analysis: Analysis, first: int = 0) -> Candidates:
    """Candidates of one stem from its chances ``(n,)``, whose first frame has this number."""
    frames = find_peaks(row)
    times = (moments(row, frames) + first) * (analysis.hop / analysis.sample_rate) + part.offset
    return Candidates(frames, row[frames].astype(np.float64), part.threshold, times)


def by_rules(analysis: Analysis, stem: int, frames: NDArray[np.intp] | None = None) -> Candidates:
    """Candidates of one stem, all or the given ones, rated by rules."""
    if frames is None:
        frames = find_candidates(analysis.curves[stem])
    return Candidates(frames, judge(analysis.levels, analysis.curves, stem, frames), THRESHOLD)
