# SPDX-License-Identifier: GPL-3.0-or-later
"""From stems to hits."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import NonFiniteError
from lars_plugin.midi.analysis import Analysis, Candidates, analyse, drum_stems, score, suits
from lars_plugin.midi.articulation import articulations
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.onsets import locate_attack
from lars_plugin.midi.settings import Settings, settings_for
from lars_plugin.midi.velocity import DEFAULT_RANGE_DB, VelocityScale, check_scale, velocity_of
from lars_plugin.stems import Stems

__all__ = ["find_hits", "hit_level", "transcribe"]

# Attacks of one stem closer than this count as one stroke.
_SAME = 0.02
# Seconds: from just before an attack to after its loudest part, of one RMS, and of the part before.
_LOUD, _RMS, _EARLY = 0.05, 0.02, 0.004

Wave = NDArray[np.float32]


def transcribe(
    stems: Stems,
    *,
    model: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
    velocity: VelocityScale = "log",
    velocity_range: float = DEFAULT_RANGE_DB,
    reference: float | None = None,
) -> list[DrumHit]:
    """The strokes in drum stems, in order of time.

    Args:
        stems: as returned by a separation; stems other than drums are left out.
        model: the model (name or folder) that made the stems; its tuned settings are used.
        settings: instead of the model's.
        velocity: ``log`` or ``linear``, see :mod:`lars_plugin.midi.velocity`.
        velocity_range: dB between velocities 127 and 1 on the ``log`` scale.
        reference: the level that gets velocity 127, in dB against full scale as
            :attr:`DrumHit.level` is; None for the loudest hit of each stem.

    Raises:
        InputError: no stem is a drum, a rate below 8 kHz, or unknown options.
        NonFiniteError: NaN or Inf in a stem.
        ModelFormatError: the model's settings are broken.
    """
    check_scale(velocity, velocity_range)
    if settings is None:
        settings = settings_for(model, drum_stems(stems, None))
    names = drum_stems(stems, settings)
    waves = np.stack([stems[name] for name in names])
    if not np.isfinite(waves).all():
        raise NonFiniteError("the stems hold NaN or Inf; repair them first")
    hits = find_hits(waves, stems.sample_rate, names, settings)
    return with_velocities(hits, velocity, velocity_range, reference)


def find_hits(
    waves: Wave, sample_rate: float, names: tuple[str, ...], settings: Settings | None
) -> list[DrumHit]:
    """Hits of ``(stems, channels, samples)`` float32, with levels but all of one velocity."""
    analysis = analyse(waves, sample_rate, names)
    hits: list[DrumHit] = []
    for index, found in enumerate(score(analysis, settings)):
        hits += _hits_of(analysis, index, waves[index], found, settings)
    return sorted(hits)


def _hits_of(
    analysis: Analysis, stem: int, wave: Wave, found: Candidates, settings: Settings | None
) -> list[DrumHit]:
    sure = found.confidences >= found.threshold
    frames, confidences = found.frames[sure], found.confidences[sure]
    if found.times is None:
        starts = [locate_attack(wave, analysis.sample_rate, int(k) * analysis.hop) for k in frames]
        times = np.asarray(starts) / analysis.sample_rate
    else:
        times = found.times[sure]
    keep: list[int] = []
    for index in range(len(frames)):
        if keep and times[index] - times[keep[-1]] < _SAME:
            if confidences[index] > confidences[keep[-1]]:
                keep[-1] = index
        else:
            keep.append(index)
    part = (
        settings.parts[analysis.stems[stem]]
        if settings and suits(settings, analysis.stems)
        else None
    )
    kinds = articulations(analysis, stem, frames[keep], wave, part)
    last = wave.shape[1] / analysis.sample_rate
    return [
        DrumHit(
            time=min(max(0.0, float(times[index])), last),
            stem=analysis.stems[stem],
            articulation=kind,
            level=hit_level(wave, analysis.sample_rate, round(times[index] * analysis.sample_rate)),
            confidence=float(confidences[index]),
        )
        for index, kind in zip(keep, kinds, strict=True)
    ]


def hit_level(wave: Wave, sample_rate: float, attack: int) -> float:
    """dB against full scale: the loudest RMS over 20 ms in the 46 ms after the attack, over all
    channels together.

    Twenty milliseconds hold a period of the lowest kick. The level before the attack is not
    subtracted: in low drums it varies with the phase, and velocities would vary too.
    """
    box = max(1, round(_RMS * sample_rate))
    # An attack is known to a few milliseconds only.
    begin = max(0, attack - round(_EARLY * sample_rate))
    part = np.square(wave[:, begin : begin + round(_LOUD * sample_rate)], dtype=np.float64)
    power = part.mean(axis=0)
    if not len(power):
        return -120.0
    total = np.cumsum(np.concatenate([[0.0], power, np.zeros(max(0, box - len(power)))]))
    loudest = float((total[box:] - total[:-box]).max()) / box
    return float(10 * np.log10(max(loudest, 1e-12)))


def with_velocities(
    hits: list[DrumHit], scale: VelocityScale, range_db: float, reference: float | None
) -> list[DrumHit]:
    """The same hits with velocities from their levels."""
    loudest: Mapping[str, float] = {
        stem: max(hit.level for hit in hits if hit.stem == stem)
        for stem in {hit.stem for hit in hits}
    }
    result = []
    for hit in hits:
        top = loudest[hit.stem] if reference is None else reference
        value = velocity_of(hit.level, top, scale=scale, range_db=range_db)
        result.append(
            DrumHit(hit.time, hit.stem, hit.articulation, value, hit.level, hit.confidence)
        )
    return result
