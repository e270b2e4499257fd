# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kind of stroke it was, by the chances around a peak; without PyTorch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.networks.transcriber.config import GROUP_OF, STROKES

__all__ = ["around", "kinds_at"]

# Frames before a peak in which the kind of stroke is looked for.
_BEFORE = 2
# A second cymbal at the same moment is a stroke of its own from this chance on.
_BOTH = 0.5


def around(frame: int, after: int) -> slice:
    """The frames in which a stroke's kind and velocity are looked for."""
    return slice(max(0, frame - _BEFORE), frame + after + 1)


def kinds_at(
    strokes: NDArray[np.float32], group: int, frame: int, after: int
) -> list[tuple[str, str]]:
    """What is struck at a peak of a group: the likeliest kind of stroke, and a second cymbal.

    Args:
        strokes: chances ``(frames, 12)`` in the order of ``STROKES``.
        group: its index in ``GROUPS``.
        frame: of the peak.
        after: frames behind it that count.

    Returns:
        Stem and articulation, one or two.
    """
    mine = [place for place, (stem, _) in enumerate(STROKES) if GROUP_OF[stem] == group]
    found = strokes[around(frame, after), mine].max(axis=0)
    first = STROKES[mine[int(found.argmax())]]
    others = [
        place
        for place, chance in enumerate(found)
        if STROKES[mine[place]][0] != first[0] and chance >= _BOTH
    ]
    if not others:
        return [first]
    return [first, STROKES[mine[max(others, key=lambda place: found[place])]]]
