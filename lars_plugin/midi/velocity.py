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
from typing import Literal, get_args

from lars_plugin.errors import InputError

__all__ = ["DEFAULT_RANGE_DB", "VelocityScale", "check_scale", "velocity_of"]

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
