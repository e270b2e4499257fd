# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a transcriber heard to hits, with or without stems.

The transcriber says which drum was struck and about when. The stem, where there is one, says when
its attack begins and how loud it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.hits import DEFAULT_ARTICULATION, DrumHit
from lars_plugin.midi.levels import hit_level
from lars_plugin.midi.mel import FRAMES_PER_SECOND
from lars_plugin.midi.onsets import locate_attack
from lars_plugin.midi.transcriber import Activations
from lars_plugin.midi.velocity import DEFAULT_RANGE_DB, VelocityScale, with_velocities
from lars_plugin.networks.transcriber.config import GROUPS
from lars_plugin.networks.transcriber.kinds import around, kinds_at

__all__ = [
    "Heard",
    "confidence",
    "hits_in_mixture",
    "hits_in_stems",
    "stems_of",
    "strokes_heard",
    "struck_at",
    "velocity_heard",
]

# Seconds by which a stem's attack may differ from what was heard; what is farther is another, or
# the edge of the search where nothing rises.
_NEAR = 0.011

Floats = NDArray[np.float32]
# Seconds, stem, articulation, confidence, velocity in [0, 1].
Heard = tuple[float, str, str, float, float]


def strokes_heard(activations: Activations, thresholds: Mapping[str, float]) -> Iterator[Heard]:
    """The peaks that are hits.

    Args:
        activations: of a recording.
        thresholds: by group.

    Yields:
        Group by group, in order of time; confidence is 0.5 at the threshold, and velocity NaN
        where the transcriber does not hear it.
    """
    for index, group in enumerate(GROUPS):
        picked = activations.pick(activations.groups[:, index], thresholds[group])
        for frame, moment, height in zip(
            picked.frames, picked.moments, picked.heights, strict=True
        ):
            sure = confidence(float(height), thresholds[group])
            time = float(moment) / FRAMES_PER_SECOND
            for stem, articulation, velocity in struck_at(activations, index, int(frame)):
                yield time, stem, articulation, sure, velocity


def struck_at(activations: Activations, group: int, frame: int) -> Iterator[tuple[str, str, float]]:
    """What is struck at a peak of a group.

    Yields:
        Stem, articulation, velocity (NaN where the transcriber does not hear it).
    """
    velocity = float("nan")
    if activations.velocities is not None:
        velocity = float(activations.velocities[around(frame, activations.after), group].max())
    for kind in kinds_at(activations.strokes, group, frame, activations.after):
        yield *kind, velocity


def hits_in_stems(
    waves: Floats,
    sample_rate: float,
    names: tuple[str, ...],
    activations: Activations,
    thresholds: Mapping[str, float],
) -> list[DrumHit]:
    """Hits with times and levels of the stems ``(stems, channels, samples)``, all of one velocity.

    A stroke whose stem is not there is left out; ride and crash are found in a stem "cymbals".
    Where the transcriber does not tell ride from crash, the louder of the two stems gets the hit.
    """
    last = waves.shape[2] / sample_rate
    hits = []
    for time, drum, articulation, sure, _ in strokes_heard(activations, thresholds):
        near = round(time * sample_rate)
        found = stems_of(drum, names, activations.one_cymbal)
        if not found:
            continue
        stem = (
            max(found, key=lambda one: hit_level(waves[names.index(one)], sample_rate, near))
            if len(found) > 1
            else found[0]
        )
        if stem not in (drum, "cymbals"):
            articulation = DEFAULT_ARTICULATION[stem]
        wave = waves[names.index(stem)]
        attack = locate_attack(wave, sample_rate, near) / sample_rate
        if abs(attack - time) > _NEAR:
            attack = time
        attack = min(max(0.0, attack), last)
        level = hit_level(wave, sample_rate, round(attack * sample_rate))
        hits.append(DrumHit(attack, stem, articulation, level=level, confidence=sure))
    return sorted(hits)


def stems_of(drum: str, names: tuple[str, ...], one_cymbal: bool) -> list[str]:
    """The stems that a stroke may be in: those of the drum, or else that of all cymbals."""
    drums = ("ride", "crash") if one_cymbal and drum in ("ride", "crash") else (drum,)
    found = [name for name in drums if name in names]
    if not found and drum in ("ride", "crash") and "cymbals" in names:
        return ["cymbals"]
    return found


def hits_in_mixture(
    audio: Floats,
    sample_rate: float,
    activations: Activations,
    thresholds: Mapping[str, float],
    scale: VelocityScale = "log",
    range_db: float = DEFAULT_RANGE_DB,
) -> list[DrumHit]:
    """Hits without any stems: velocities are the transcriber's, levels those of the mixture.

    Where the transcriber hears no velocities, these come from the levels by scale and range, with
    127 for the loudest hit of each drum. What sounds at the same time counts too then.
    """
    last = audio.shape[1] / sample_rate
    hits = []
    for time, stem, articulation, sure, velocity in strokes_heard(activations, thresholds):
        moment = min(max(0.0, time), last)
        level = hit_level(audio, sample_rate, round(moment * sample_rate))
        value = velocity_heard(velocity)
        hits.append(DrumHit(moment, stem, articulation, value, level, sure))
    if activations.velocities is None:
        hits = with_velocities(hits, scale, range_db)
    return sorted(hits)


def velocity_heard(value: float) -> int:
    """1 to 127; 100 where none was heard."""
    return 100 if isnan(value) else min(127, max(1, round(127 * value)))


def confidence(chance: float, threshold: float) -> float:
    """0.5 at the threshold, 1 at 1, 0 at 0."""
    if chance >= threshold:
        return 0.5 + 0.5 * (chance - threshold) / (1 - threshold)
    return 0.5 * chance / threshold
