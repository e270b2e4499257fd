# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of one wave in a row, each late by a fixed number of samples.

In a chain a stream that has taken t samples has given exactly ``max(0, t - latency_samples)``:
constant latency, as a host expects it from a plugin. So latencies add up along a chain, parallel
chains are aligned by waiting for the slowest, and no call returns more than it was given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import Stream

__all__ = ["Delayed", "Serial"]


class Delayed:
    """Counts what a stream took and gave, and so how much it may give now."""

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
    """Streams of one wave one after the other; none at all is a wire.

    Args:
        streams: the first of them first.
        channels: of input and output.
    """

    stems = ()

    def __init__(self, streams: Sequence[Stream], channels: int) -> None:
        self._streams = tuple(streams)
        self._channels = channels
        self._flushed = False

    @property
    def latency_samples(self) -> int:
        return sum(stream.latency_samples for stream in self._streams)

    def push(self, block: Wave) -> Wave:
        for stream in self._streams:
            block = stream.push(block)
        return block

    def flush(self) -> Wave:
        rest = np.empty((self._channels, 0), np.float32)
        if self._flushed:
            return rest
        self._flushed = True
        for stream in self._streams:
            rest = np.concatenate([stream.push(rest), stream.flush()], axis=1)
        return rest

    def reset(self) -> None:
        self._flushed = False
        for stream in self._streams:
            stream.reset()
