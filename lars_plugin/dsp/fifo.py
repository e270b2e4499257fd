# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks in, any number of samples out; the only fifo in the package."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Aligned", "Fifo"]

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


class Aligned:
    """Several fifos whose samples belong together: each waits for the same one of the others.

    Args:
        shapes: of the blocks of each, without their last axis.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self._fifos = [Fifo(shape) for shape in shapes]

    @property
    def samples(self) -> int:
        """How many all of them have."""
        return min(fifo.samples for fifo in self._fifos)

    def append(self, index: int, block: Wave) -> None:
        """Add a block at the end of one; it must not be changed afterwards."""
        self._fifos[index].append(block)

    def take(self, count: int | None = None) -> list[Wave]:
        """The oldest ``count`` samples of each, as many as all have for None."""
        samples = self.samples if count is None else count
        return [fifo.take(samples) for fifo in self._fifos]

    def clear(self) -> None:
        """Forget all."""
        for fifo in self._fifos:
            fifo.clear()
