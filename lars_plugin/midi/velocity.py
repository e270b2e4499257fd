# SPDX-License-Identifier: GPL-3.0-or-later
"""From the level of a hit to its velocity.

The reference is the level that gets 127: by default that of the stem's loudest hit.

``log``     ``127 + 126 * (level - reference) / range``: every dB counts the same; a hit that is
            ``range`` dB (40 by default) below the reference gets 1.
``linear``  ``127 * 10 ** ((level - reference) / 20)``: proportional to the amplitude; half the
            amplitude gets 64.

Both are rounded and limited to 1 to 127.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from lars_plugin.errors import InputError
from lars_plugin.midi.hits import DrumHit

__all__ = ["DEFAULT_RANGE_DB", "VelocityScale", "check_scale", "velocity_of", "with_velocities"]

VelocityScale = Literal["log", "linear"]

DEFAULT_RANGE_DB = 40.0


def check_scale(scale: str, range_db: float) -> None:
    """Raises:
    InputError: unknown scale, or a range that is not positive.
    """
    if scale not in get_args(VelocityScale):
        raise InputError(f"unknown velocity scale {scale!r}; use log or linear")
    if not (math.isfinite(range_db) and range_db > 0):
        raise InputError(f"the range of velocities must be a positive number of dB, got {range_db}")


def velocity_of(
    level: float,
    reference: float,
    *,
    scale: VelocityScale = "log",
    range_db: float = DEFAULT_RANGE_DB,
) -> int:
    """1 to 127 for a level and a reference in dB; never falls when the level rises."""
    below = level - reference
    linear = 127 * 10 ** (min(below, 0.0) / 20)
    value = linear if scale == "linear" else 127 + 126 * below / range_db
    return int(min(127, max(1, round(value))))


def with_velocities(
    hits: Sequence[DrumHit],
    scale: VelocityScale = "log",
    range_db: float = DEFAULT_RANGE_DB,
    reference: float | None = None,
) -> list[DrumHit]:
    """The same hits with velocities for their levels.

    Args:
        hits: of any stems.
        scale: see the module.
        range_db: likewise.
        reference: the level that gets 127; None for that of the loudest hit of each stem.
    """
    loudest = {
        stem: max(hit.level for hit in hits if hit.stem == stem)
        for stem in {hit.stem for hit in hits}
    }
    return [
        replace(
            hit,
            velocity=velocity_of(
                hit.level,
                loudest[hit.stem] if reference is None else reference,
                scale=scale,
                range_db=range_db,
            ),
        )
        for hit in hits
    ]
