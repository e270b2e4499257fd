# SPDX-License-Identifier: GPL-3.0-or-later
"""From stems to levels, novelty and scored candidates: what offline and live share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.midi.bands import BandStream
from lars_plugin.midi.features import features
from lars_plugin.midi.hits import DRUMS
from lars_plugin.midi.onsets import find_candidates, levels_db, novelty
from lars_plugin.midi.rules import OFFSET, THRESHOLD, judge
from lars_plugin.midi.settings import Settings

__all__ = [
    "Analysis",
    "Candidates",
    "analyse",
    "band_energies",
    "drum_stems",
    "from_energies",
    "reference_energy",
    "score",
    "suits",
]

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Analysis:
    """Attributes:
    stems: names, in the order of the first axes below.
    levels: ``(stems + 1, frames, bands)`` dB, their sum last.
    curves: ``(stems, frames)`` novelty in dB.
    hop: samples per frame.
    sample_rate: Hz.
    """

    stems: tuple[str, ...]
    levels: Wave
    curves: Wave
    hop: int
    sample_rate: float


@dataclass(frozen=True)
class Candidates:
    """Attributes:
    frames: ``(m,)`` in rising order.
    confidences: ``(m,)`` in [0, 1].
    threshold: from which they are hits.
    offset: seconds to add to their attacks.
    """

    frames: NDArray[np.intp]
    confidences: NDArray[np.float64]
    threshold: float
    offset: float


def drum_stems(names: Mapping[str, object], settings: Settings | None) -> tuple[str, ...]:
    """Those that are drums, in the settings' order where they are the same.

    Raises:
        InputError: there is none.
    """
    found = tuple(name for name in DRUMS if name in names)
    if not found:
        raise InputError(f"none of the stems {', '.join(names)} is one of {', '.join(DRUMS)}")
    if settings is not None and set(found) == set(settings.stems):
        return settings.stems
    return found


def suits(settings: Settings | None, stems: tuple[str, ...]) -> bool:
    """Whether the settings are for exactly these stems."""
    return settings is not None and settings.stems == stems


def reference_energy(energies: Wave) -> float:
    """What 0 dB is: about the loudest that the sum of all stems gets.

    Args:
        energies: ``(frames, bands)`` of the sum.
    """
    total = energies.sum(axis=1)
    return float(np.percentile(total, 99.5)) if len(total) else 0.0


def analyse(waves: Wave, sample_rate: float, stems: tuple[str, ...]) -> Analysis:
    """Analyse whole stems ``(stems, channels, samples)``."""
    energies, hop = band_energies(waves, sample_rate)
    return from_energies(energies, sample_rate, stems, hop)


def band_energies(waves: Wave, sample_rate: float) -> tuple[Wave, int]:
    """Energies ``(stems + 1, frames, bands)`` of stems and their sum, and samples per frame."""
    stream = BandStream(len(waves) + 1, waves.shape[1], sample_rate)
    parts = []
    block = 20 * int(sample_rate)  # bounds memory: the sum is made block by block
    for start in range(0, waves.shape[2], block):
        part = waves[:, :, start : start + block]
        parts.append(stream.push(np.concatenate([part, part.sum(axis=0, keepdims=True)])))
    parts.append(stream.flush())
    return np.concatenate(parts, axis=1), stream.hop


def from_energies(energies: Wave, sample_rate: float, stems: tuple[str, ...], hop: int) -> Analysis:
    """The analysis of band energies ``(stems + 1, frames, bands)``, the sum's last."""
    levels = levels_db(energies, reference_energy(energies[-1]))
    curves = np.stack([novelty(one) for one in levels[:-1]])
    return Analysis(stems, levels, curves, hop, sample_rate)


def score(
    made: Analysis,
    stem: int,
    settings: Settings | None,
    frames: NDArray[np.intp] | None = None,
) -> Candidates:
    """Candidates of one stem, all or those given, with how sure it is that they are strokes."""
    if frames is None:
        frames = find_candidates(made.curves[stem])
    if settings is not None and suits(settings, made.stems):
        part = settings.parts[made.stems[stem]]
        known = features(made.levels, made.curves, stem, frames)
        return Candidates(frames, part.scorer(known), part.threshold, part.offset)
    return Candidates(frames, judge(made.levels, made.curves, stem, frames), THRESHOLD, OFFSET)
