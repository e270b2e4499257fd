# SPDX-License-Identifier: GPL-3.0-or-later
"""From stems to hits."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import NonFiniteError
from lars_plugin.midi.analysis import Analysis, Candidates, analyse, drum_stems, score, suits
from lars_plugin.midi.articulation import articulations
from lars_plugin.midi.heard import hits_in_mixture, hits_in_stems
from lars_plugin.midi.hits import DRUMS, DrumHit
from lars_plugin.midi.levels import hit_level
from lars_plugin.midi.onsets import locate_attack
from lars_plugin.midi.settings import Settings, settings_for
from lars_plugin.midi.transcriber import (
    DEFAULT,
    Activations,
    Transcriber,
    load_transcriber,
    mean_of,
)
from lars_plugin.midi.velocity import (
    DEFAULT_RANGE_DB,
    VelocityScale,
    check_scale,
    with_velocities,
)
from lars_plugin.stems import Stems

__all__ = ["find_hits", "transcribe", "transcribe_mixture"]

# Attacks of one stem closer than this count as one stroke.
_SAME = 0.02

Wave = NDArray[np.float32]


def transcribe(
    stems: Stems,
    *,
    model: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
    transcriber: str | os.PathLike[str] | Transcriber = "auto",
    velocity: VelocityScale = "log",
    velocity_range: float = DEFAULT_RANGE_DB,
    reference: float | None = None,
) -> list[DrumHit]:
    """The strokes in drum stems, in order of time.

    Args:
        stems: as returned by a separation; stems other than drums are left out.
        model: the model (name or folder) that made the stems; its tuned settings are used.
        settings: instead of the model's.
        transcriber: a name, a folder or a loaded one. It hears the sum of all stems given (of a
            whole separation, that is the recording) and the sum of the drums, where there are other
            stems; the settings are not used. ``none``: strokes are
            found in each stem alone. ``auto``: the package's own for stems of a model; ``none``
            for others, such as microphones', and where settings are given.
        velocity: ``log`` or ``linear``, see :mod:`lars_plugin.midi.velocity`.
        velocity_range: dB between velocities 127 and 1 on the ``log`` scale.
        reference: the level that gets velocity 127, in dB against full scale as
            :attr:`DrumHit.level` is; None for the loudest hit of each stem.

    Raises:
        InputError: no stem is a drum, a rate below 8 kHz, or unknown options.
        NonFiniteError: NaN or Inf in a stem.
        ModelNotFoundError: no such transcriber, or its weights are not on this machine.
        ModelFormatError: the model's settings, or the transcriber, are broken.
    """
    check_scale(velocity, velocity_range)
    chosen = _chosen(transcriber, model, settings is not None)
    if chosen is None and settings is None:
        settings = settings_for(model, drum_stems(stems, None))
    names = drum_stems(stems, None if chosen is not None else settings)
    waves = np.stack([stems[name] for name in names])
    if not np.isfinite(waves).all():
        raise NonFiniteError("the stems hold NaN or Inf; repair them first")
    if chosen is None:
        hits = find_hits(waves, stems.sample_rate, names, settings)
    else:
        heard = _hear(chosen, stems)
        hits = hits_in_stems(waves, stems.sample_rate, names, heard, chosen.thresholds)
    return with_velocities(hits, velocity, velocity_range, reference)


def _chosen(
    name: str | os.PathLike[str] | Transcriber,
    model: str | os.PathLike[str] | None,
    settings_given: bool,
) -> Transcriber | None:
    if isinstance(name, Transcriber):
        return name
    if name == "none" or (name == "auto" and (model is None or settings_given)):
        return None
    return load_transcriber(DEFAULT if name == "auto" else name)


def _hear(transcriber: Transcriber, stems: Stems) -> Activations:
    """What the sum of all stems says. Where it holds more than drums, the drums are heard, too.

    The recording has what the separation lost, the drums lack what it took away, so the mean of
    both is surer than either.
    """
    waves = list(stems.values())
    heard = transcriber.hear(np.sum(waves, axis=0), stems.sample_rate)
    drums = [wave for name, wave in stems.items() if name in DRUMS]
    if len(drums) == len(waves):
        return heard
    return mean_of(heard, transcriber.hear(np.sum(drums, axis=0), stems.sample_rate))


def transcribe_mixture(
    audio: NDArray[np.floating],
    sample_rate: float,
    *,
    transcriber: str | os.PathLike[str] | Transcriber = DEFAULT,
    velocity: VelocityScale = "log",
    velocity_range: float = DEFAULT_RANGE_DB,
) -> list[DrumHit]:
    """The strokes that are heard in a recording of drums or a whole song, without separating it.

    Args:
        audio: ``(channels, samples)``, nominal ±1.
        sample_rate: Hz, from 8 kHz.
        transcriber: a name, a folder or a loaded one.
        velocity: as for :func:`transcribe`, for transcribers that do not hear velocities; others'
            are what they heard.
        velocity_range: likewise.

    Returns:
        Hits in order of time. Levels are the recording's at each hit.

    Raises:
        InputError: another shape, or a rate below 8 kHz.
        NonFiniteError: NaN or Inf.
        ModelNotFoundError, ModelFormatError: there is no such transcriber, or it is broken.
    """
    check_scale(velocity, velocity_range)
    chosen = transcriber if isinstance(transcriber, Transcriber) else load_transcriber(transcriber)
    heard = chosen.hear(audio, sample_rate)
    wave = np.asarray(audio, np.float32)
    return hits_in_mixture(wave, sample_rate, heard, chosen.thresholds, velocity, velocity_range)


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
