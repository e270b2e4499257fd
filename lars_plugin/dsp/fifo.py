# SPDX-License-Identifier: GPL-3.0-or-later
"""Fifo: blocks in, any number of samples out."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fifo"]

Wave = NDArray[np.float32]


class Fifo:
    """Keeps blocks ``(*shape, n)`` float32 until they are taken.

    Args:
        shape: of the blocks without their last axis.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._empty = np.empty((*shape, 0), np.float32)
        self._parts: deque[Wave] = deque()
        self.samples = 0

    def append(self, block: Wave) -> None:
        """Add a block at the end; it must not be changed afterwards."""
        if block.shape[-1]:
            self._parts.append(block)
            self.samples += block.shape[-1]

    def take(self, count: int) -> Wave:
        """The oldest ``count`` samples; there must be as many."""
        parts = [self._empty]
        self.samples -= count
        while count:
            part = self._parts.popleft()
            if part.shape[-1] > count:
                self._parts.appendleft(part[..., count:])
                part = part[..., :count]
            parts.append(part)
            count -= part.shape[-1]
        return parts[1] if len(parts) == 2 else np.concatenate(parts, axis=-1)

    def clear(self) -> None:
        """Forget all."""
        self._parts.clear()
        self.samples = 0
