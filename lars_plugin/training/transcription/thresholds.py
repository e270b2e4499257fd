# SPDX-License-Identifier: GPL-3.0-or-later
"""From which chance a peak is a hit: chosen on performances that training does not hear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.heard import strokes_heard
from lars_plugin.midi.mel import FRAMES_PER_SECOND, mel_levels
from lars_plugin.midi.picking import highest
from lars_plugin.midi.scoring import CLASSES, Stroke, add_scores, score_hits
from lars_plugin.midi.transcriber import Activations
from lars_plugin.networks.transcriber.config import GROUPS, STROKES
from lars_plugin.training.transcription.remix import Remixer
from lars_plugin.training.transcription.shards import Bytes, Performance, unpack

__all__ = ["choose_thresholds", "excerpts", "scores"]

Floats = NDArray[np.float32]

_TOLERANCE = 0.05
_CANDIDATES = np.round(np.arange(0.1, 0.81, 0.025), 3)


def excerpts(
    performances: Sequence[Performance], music: Sequence[Bytes], level_bands: int, seed: int
) -> Iterator[tuple[Floats, list[Stroke]]]:
    """Each performance as it was rendered, and as many mixed anew, with music and all.

    Yields:
        Levels ``(frames, bands)`` and what was played. Of what was mixed anew only the groups are
        known: a stroke of a cymbal is one of "cymbals".
    """
    for one in performances:
        truth = [
            Stroke(float(second), STROKES[int(kind)][0], float(velocity), STROKES[int(kind)][1])
            for second, kind, velocity in one.strokes
        ]
        yield mel_levels(unpack(one.stems).sum(axis=0)), truth
    frames = min(one.stems.shape[1] for one in performances)
    source = Remixer(performances, music, frames=frames, level_bands=level_bands, seed=seed)
    for _ in performances:
        item = source.draw()
        struck = np.argwhere(item.targets[:, len(STROKES) :] == 1)
        yield (
            item.levels,
            [
                Stroke(
                    frame / FRAMES_PER_SECOND, GROUPS[group], 127 * item.velocities[frame, group]
                )
                for frame, group in struck.tolist()
            ],
        )


def scores(
    heard: Sequence[Activations],
    truths: Sequence[Sequence[Stroke]],
    thresholds: Mapping[str, float],
) -> dict[str, float]:
    """F at 50 ms by class, and of all strokes alike ("all")."""
    found = []
    for number, (activations, truth) in enumerate(zip(heard, truths, strict=True)):
        hits = [
            Stroke(time, stem, 100.0, articulation)
            for time, stem, articulation, _, _ in strokes_heard(activations, thresholds)
        ]
        found.append(score_hits(truth, hits, _TOLERANCE, clip=number))
    values = {name: add_scores(one[name] for one in found) for name in CLASSES}
    values["all"] = add_scores(one[name] for one in found for name in CLASSES)
    return {name: round(value.f_measure, 4) for name, value in values.items()}


def choose_thresholds(
    heard: Sequence[Activations], truths: Sequence[Sequence[Stroke]]
) -> dict[str, float]:
    """By group, the threshold with the highest F at 50 ms; of equally good ones the middle.

    Args:
        heard: of each excerpt.
        truths: what was played in it.
    """
    chosen = {}
    for index, group in enumerate(GROUPS):
        scores = []
        for threshold in _CANDIDATES:
            found = []
            for number, (activations, truth) in enumerate(zip(heard, truths, strict=True)):
                picked = highest(activations.groups[:, index], float(threshold))
                times = picked.moments / FRAMES_PER_SECOND
                hits = [Stroke(float(time), group, 1.0) for time in times]
                found.append(score_hits(truth, hits, _TOLERANCE, clip=number)[group])
            scores.append(add_scores(found).f_measure)
        best = np.nanmax(scores) if not np.isnan(scores).all() else np.nan
        near = np.flatnonzero(np.asarray(scores) >= best - 0.002)
        middle = near[len(near) // 2] if len(near) else len(_CANDIDATES) // 2
        chosen[group] = float(_CANDIDATES[middle])
    return chosen
