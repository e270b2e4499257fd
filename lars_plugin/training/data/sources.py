# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of training excerpts, and two sources that take turns."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError

__all__ = ["Alternating", "Source"]

Wave = NDArray[np.float32]


class Source(Protocol):
    """Anything that renders excerpts ``(stems, 2, samples)`` float32 at 44.1 kHz."""

    def render(self, samples: int) -> Wave:
        """A new excerpt."""


class Alternating:
    """Two sources that take turns at random.

    Args:
        one: gives the rest.
        other: gives the share.
        share: 0 to 1.
        seed: of the turns.

    Raises:
        InputError: a share outside 0 to 1.
    """

    def __init__(self, one: Source, other: Source, share: float, seed: int) -> None:
        if not 0 <= share <= 1:
            raise InputError(f"the share must lie in 0 to 1, got {share}")
        self.sources = (one, other)
        self.share = share
        self.rng = np.random.default_rng(seed)

    def render(self, samples: int) -> Wave:
        """A new excerpt of one of the sources."""
        return self.sources[int(self.rng.random() < self.share)].render(samples)
