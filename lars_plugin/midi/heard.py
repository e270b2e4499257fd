# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a transcriber heard to hits, with or without stems.

The transcriber says which drum was struck, and to about 5 ms when. The stem, where there is one,
says when to the sample and how loud.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.levels import hit_level
from lars_plugin.midi.mel import FRAMES_PER_SECOND
from lars_plugin.midi.onsets import locate_attack
from lars_plugin.midi.transcriber import Activations
from lars_plugin.networks.transcriber.config import GROUP_OF, GROUPS, STROKES

__all__ = ["Heard", "hits_in_mixture", "hits_in_stems", "strokes_heard"]

# Frames to either side in which a chance must be the highest, and whose centre is the moment.
_APART, _AROUND = 3, 2
# Seconds by which a stem's attack may differ from what was heard; what is farther is another, or
# the edge of the search where nothing rises.
_NEAR = 0.011
# A second cymbal at the same moment is a stroke of its own from this chance on.
_BOTH = 0.5

Floats = NDArray[np.float32]
Heard = tuple[float, str, str, float, float]


def strokes_heard(
    activations: Activations, thresholds: Mapping[str, float]
) -> Iterator[tuple[float, str, str, float, float]]:
    """The peaks that are hits: seconds, stem, articulation, confidence, velocity in [0, 1].

    Args:
        activations: of a recording.
        thresholds: by group.

    Yields:
        Group by group, in order of time; confidence is 0.5 at the threshold.
    """
    for index, group in enumerate(GROUPS):
        chances = activations.groups[:, index]
        frames = peaks(chances, thresholds[group])
        times = moments(chances, frames) / FRAMES_PER_SECOND
        mine = [place for place, (stem, _) in enumerate(STROKES) if GROUP_OF[stem] == index]
        for frame, time in zip(frames, times, strict=True):
            around = slice(max(0, frame - _AROUND), frame + _AROUND + 1)
            found = activations.strokes[around, mine].max(axis=0)
            velocity = float(activations.velocities[around, index].max())
            sure = _confidence(float(chances[frame]), thresholds[group])
            best = int(found.argmax())
            stem, articulation = STROKES[mine[best]]
            yield float(time), stem, articulation, sure, velocity
            others = [
                place
                for place, chance in enumerate(found)
                if STROKES[mine[place]][0] != stem and chance >= _BOTH
            ]
            if others:
                stem, articulation = STROKES[mine[max(others, key=lambda place: found[place])]]
                yield float(time), stem, articulation, sure, velocity


def hits_in_stems(
    waves: Floats,
    sample_rate: float,
    names: tuple[str, ...],
    activations: Activations,
    thresholds: Mapping[str, float],
) -> list[DrumHit]:
    """Hits with times and levels of the stems ``(stems, channels, samples)``, all of one velocity.

    A stroke whose stem is not there is left out; ride and crash are found in a stem "cymbals".
    """
    last = waves.shape[2] / sample_rate
    hits = []
    for time, drum, articulation, sure, _ in strokes_heard(activations, thresholds):
        stem = drum if drum in names else "cymbals"
        if stem not in names or (stem == "cymbals" and drum not in ("ride", "crash")):
            continue
        wave = waves[names.index(stem)]
        attack = locate_attack(wave, sample_rate, round(time * sample_rate)) / sample_rate
        if abs(attack - time) > _NEAR:
            attack = time
        attack = min(max(0.0, attack), last)
        level = hit_level(wave, sample_rate, round(attack * sample_rate))
        hits.append(DrumHit(attack, stem, articulation, level=level, confidence=sure))
    return sorted(hits)


def hits_in_mixture(
    audio: Floats, sample_rate: float, activations: Activations, thresholds: Mapping[str, float]
) -> list[DrumHit]:
    """Hits without any stems: velocities are the transcriber's, levels those of the mixture."""
    last = audio.shape[1] / sample_rate
    hits = []
    for time, stem, articulation, sure, velocity in strokes_heard(activations, thresholds):
        moment = min(max(0.0, time), last)
        level = hit_level(audio, sample_rate, round(moment * sample_rate))
        value = min(127, max(1, round(127 * velocity)))
        hits.append(DrumHit(moment, stem, articulation, value, level, sure))
    return sorted(hits)


def peaks(chances: Floats, threshold: float) -> NDArray[np.intp]:
    """Frames where one group's chances ``(n,)`` are highest within 30 ms, in rising order."""
    if not len(chances):
        return np.empty(0, np.intp)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(chances, _APART, constant_values=-1.0), 2 * _APART + 1
    )
    earlier = windows[:, :_APART].max(axis=1) < chances
    later = windows[:, _APART + 1 :].max(axis=1) <= chances
    return np.flatnonzero(earlier & later & (chances >= threshold))


def moments(chances: Floats, frames: NDArray[np.intp]) -> NDArray[np.float64]:
    """When exactly, in frames: the centre of one group's chances ``(n,)`` around each peak."""
    around = frames[:, None] + np.arange(-_AROUND, _AROUND + 1)
    inside = (around >= 0) & (around < len(chances))
    weights = chances[np.clip(around, 0, max(0, len(chances) - 1))] * inside
    return np.asarray((weights * around).sum(axis=1) / weights.sum(axis=1), np.float64)


def _confidence(chance: float, threshold: float) -> float:
    """0.5 at the threshold, 1 at 1, 0 at 0."""
    if chance >= threshold:
        return 0.5 + 0.5 * (chance - threshold) / (1 - threshold)
    return 0.5 * chance / threshold
