# SPDX-License-Identifier: GPL-3.0-or-later
"""From which chance a peak is a hit: chosen on performances that training does not hear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.midi.heard import moments, peaks
from lars_plugin.midi.mel import FRAMES_PER_SECOND
from lars_plugin.midi.scoring import Stroke, add_scores, score_hits
from lars_plugin.midi.transcriber import Activations
from lars_plugin.networks.transcriber.config import GROUPS, STROKES

__all__ = ["choose_thresholds", "truth_of"]

_TOLERANCE = 0.05
_CANDIDATES = np.round(np.arange(0.1, 0.81, 0.025), 3)


def truth_of(strokes: NDArray[np.float32]) -> list[Stroke]:
    """``(n, 3)`` rows of second, kind and velocity as strokes to be scored."""
    return [
        Stroke(float(second), STROKES[int(kind)][0], float(velocity), STROKES[int(kind)][1])
        for second, kind, velocity in strokes
    ]


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
                chances = activations.groups[:, index]
                times = moments(chances, peaks(chances, float(threshold))) / FRAMES_PER_SECOND
                hits = [Stroke(float(time), group, 1.0) for time in times]
                found.append(score_hits(truth, hits, _TOLERANCE, clip=number)[group])
            scores.append(add_scores(found).f_measure)
        best = np.nanmax(scores) if not np.isnan(scores).all() else np.nan
        near = np.flatnonzero(np.asarray(scores) >= best - 0.002)
        middle = near[len(near) // 2] if len(near) else len(_CANDIDATES) // 2
        chosen[group] = float(_CANDIDATES[middle])
    return chosen
