# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of each drum between left and right.

Most mixes place drums in the same way: kick and snare in the middle, the hi-hat to one side and the
ride to the other, toms across, crashes left and right. The side signal then holds neither kick nor
snare, which is the best clue to a quiet hi-hat. Other mixes differ, so other placements are drawn
too, and some mixtures are mono.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Place", "draw_stage"]


@dataclass(frozen=True)
class Place:
    """A stem's place.

    Attributes:
        pan: -1 left to 1 right, constant power.
        spread: standard deviation of the pans of its instruments around that.
        width: of stereo recordings; 0 mono, 1 as recorded.
    """

    pan: float
    spread: float
    width: float


def draw_stage(rng: np.random.Generator, studio: bool) -> dict[str, Place]:
    """A place for each stem.

    Args:
        rng: what to draw with.
        studio: placed as most mixes have it; else anywhere.
    """
    if not studio:
        return {
            stem: Place(
                float(
                    np.clip(rng.normal(0, 0.14 if stem in ("kick", "snare") else 0.35), -0.9, 0.9)
                ),
                0.5 if stem in ("toms", "crash") else 0.1,
                rng.uniform(0.0, 1.3),
            )
            for stem in ("kick", "snare", "toms", "hihat", "ride", "crash")
        }
    # Close microphones are mono; with overheads in it a stem is as wide as recorded.
    wide = 0.0 if rng.random() < 0.6 else rng.uniform(0.0, 1.0)
    side = rng.choice([-1.0, 1.0])  # the drummer's or the audience's view
    off = 0.0 if rng.random() < 0.7 else rng.normal(0, 0.05)
    return {
        "kick": Place(0.0, 0.0, wide),
        "snare": Place(off, 0.0, wide),
        "toms": Place(0.0, rng.uniform(0.1, 0.5), wide),
        "hihat": Place(side * rng.uniform(0.1, 0.7), 0.0, wide),
        "ride": Place(-side * rng.uniform(0.1, 0.7), 0.0, wide),
        "crash": Place(0.0, rng.uniform(0.2, 0.6), wide),
    }
