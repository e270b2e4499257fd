# SPDX-License-Identifier: GPL-3.0-or-later
"""From which chance a peak is a hit, and which kind of stroke it is then.

Both are chosen on performances that training does not hear.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.heard import strokes_heard
from lars_plugin.midi.mel import FRAMES_PER_SECOND
from lars_plugin.midi.scoring import CLASSES, Stroke, add_scores, score_hits
from lars_plugin.midi.transcriber import Activations, levels_for
from lars_plugin.networks.transcriber.config import (
    GROUP_OF,
    GROUPS,
    STROKES,
    TranscriberConfig,
)
from lars_plugin.networks.transcriber.kinds import around
from lars_plugin.training.transcription.remix import Remixer
from lars_plugin.training.transcription.shards import Bytes, Performance, unpack

__all__ = ["choose_biases", "choose_thresholds", "excerpts", "scores"]

Floats = NDArray[np.float32]

_TOLERANCE = 0.05
_CANDIDATES = np.round(np.arange(0.1, 0.81, 0.025), 3)


def excerpts(
    performances: Sequence[Performance],
    music: Sequence[Bytes],
    config: TranscriberConfig,
    seed: int,
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
        yield levels_for(config, unpack(one.stems).sum(axis=0)), truth
    frames = min(one.stems.shape[1] for one in performances)
    source = Remixer(
        performances,
        music,
        frames=frames,
        level_bands=config.level_bands,
        seed=seed,
        running=config.causal,
    )
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
                picked = activations.pick(activations.groups[:, index], float(threshold))
                times = picked.moments / FRAMES_PER_SECOND
                hits = [Stroke(float(time), group, 1.0) for time in times]
                found.append(score_hits(truth, hits, _TOLERANCE, clip=number)[group])
            scores.append(add_scores(found).f_measure)
        best = np.nanmax(scores) if not np.isnan(scores).all() else np.nan
        near = np.flatnonzero(np.asarray(scores) >= best - 0.002)
        middle = near[len(near) // 2] if len(near) else len(_CANDIDATES) // 2
        chosen[group] = float(_CANDIDATES[middle])
    return chosen


def choose_biases(
    heard: Sequence[Activations],
    truths: Sequence[Sequence[Stroke]],
    thresholds: Mapping[str, float],
) -> dict[tuple[str, str], float]:
    """Biases that name rare kinds of strokes more often right.

    The likeliest kind is nearly always the commonest: a side-stick, which one stroke in forty is,
    would never be heard. So the log odds are tilted to where the cross entropy of the kinds is
    lowest, with each kind weighted by one over the root of its number: half-way between every
    stroke counting alike and every kind counting alike.

    Args:
        heard: of each excerpt, without biases.
        truths: what was played in it; strokes without an articulation are left out.
        thresholds: strokes below are not heard, so they are left out.

    Returns:
        By stem and articulation, those of a group summing to 0; kinds that were not played have 0.
    """
    biases = dict.fromkeys(STROKES, 0.0)
    for index, group in enumerate(GROUPS):
        kinds = [one for one in STROKES if GROUP_OF[one[0]] == index]
        rows, played = [], []
        for activations, truth in zip(heard, truths, strict=True):
            for stroke in truth:
                kind = (stroke.stem, stroke.articulation)
                frame = round(stroke.time * FRAMES_PER_SECOND)
                near = around(frame, activations.after)
                if kind not in kinds or not len(activations.groups[near]):
                    continue
                if activations.groups[near, index].max() >= thresholds[group]:
                    rows.append(activations.strokes[near].max(axis=0))
                    played.append(kind)
        there = [kind for kind in kinds if kind in played]
        if len(there) > 1:
            columns = [STROKES.index(kind) for kind in there]
            chances = np.clip(np.stack(rows)[:, columns], 1e-6, 1 - 1e-6)
            found = _tilt(np.log(chances / (1 - chances)), [there.index(one) for one in played])
            biases.update(zip(there, found, strict=True))
    return biases


def _tilt(odds: Floats, kinds: Sequence[int]) -> list[float]:
    """Additions to log odds ``(strokes, kinds)`` after which the kinds are told apart best."""
    import torch

    values, truth = torch.from_numpy(odds), torch.tensor(kinds)
    weights = torch.bincount(truth).float().rsqrt()
    bias = torch.zeros(odds.shape[1], requires_grad=True)
    # How sharply the odds decide is fitted, too, so that it does not spoil the biases.
    scale = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias, scale], max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(values * scale + bias, truth, weight=weights)
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found = (bias / scale.clamp(min=0.1)).detach()
    return [round(float(value), 3) for value in found - found.mean()]
