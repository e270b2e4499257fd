# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages: the parts of a running chain, each late by a fixed number of samples.

A stage that has taken t samples has given exactly ``max(0, t - latency_samples)``: constant
latency, as a host expects it from a plugin. So latencies add up along a chain, parallel chains
are aligned by waiting for the slowest, and no call returns more than it was given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Delayed", "Fifo", "Serial", "Stage"]

Wave = NDArray[np.float32]


class Stage(Protocol):
    """One running part of a chain, for one stream of ``(channels, n)`` float32 blocks."""

    @property
    def latency_samples(self) -> int:
        """Samples by which the output trails the input."""
        ...

    def push(self, block: Wave) -> Wave:
        """Take ``(channels, n)``, return ``(channels, m)`` with m <= n."""
        ...

    def flush(self) -> Wave:
        """End the stream and return the rest; in all exactly as long as the input."""
        ...

    def reset(self) -> None:
        """Forget everything, as if new."""
        ...


class Fifo:
    """Blocks ``(channels, n)`` in, any number of samples out."""

    def __init__(self, channels: int) -> None:
        self._empty = np.empty((channels, 0), np.float32)
        self._parts: deque[Wave] = deque()
        self.samples = 0

    def append(self, block: Wave) -> None:
        if block.shape[1]:
            self._parts.append(block)
            self.samples += block.shape[1]

    def take(self, count: int) -> Wave:
        """The oldest ``count`` samples; there must be as many."""
        parts = [self._empty]
        self.samples -= count
        while count:
            part = self._parts.popleft()
            if part.shape[1] > count:
                self._parts.appendleft(part[:, count:])
                part = part[:, :count]
            parts.append(part)
            count -= part.shape[1]
        return np.concatenate(parts, axis=1)

    def clear(self) -> None:
        self._parts.clear()
        self.samples = 0


class Delayed:
    """Counts what a stage took and gave, and so how much it may give now."""

    def __init__(self, latency_samples: int) -> None:
        self.latency_samples = latency_samples
        self.taken = self.given = 0

    def due(self, block: int, available: int) -> int:
        """Samples to give after a block of ``block`` was taken and ``available`` are ready.

        Never more than the block: should a plugin be later than it was when measured, that
        delays the stream by as much from here on, and nothing else.
        """
        self.taken += block
        count = max(0, min(block, available, self.taken - self.latency_samples - self.given))
        self.given += count
        return count

    def rest(self) -> int:
        """Samples still owed when the input has ended."""
        count, self.given = self.taken - self.given, self.taken
        return count

    def restart(self) -> None:
        self.taken = self.given = 0


class Serial:
    """Stages one after the other; none at all is a wire."""

    def __init__(self, stages: Sequence[Stage], channels: int) -> None:
        self._stages = tuple(stages)
        self._channels = channels

    @property
    def latency_samples(self) -> int:
        return sum(stage.latency_samples for stage in self._stages)

    def push(self, block: Wave) -> Wave:
        for stage in self._stages:
            block = stage.push(block)
        return block

    def flush(self) -> Wave:
        rest = np.empty((self._channels, 0), np.float32)
        for stage in self._stages:
            rest = np.concatenate([stage.push(rest), stage.flush()], axis=1)
        return rest

    def reset(self) -> None:
        for stage in self._stages:
            stage.reset()
