# SPDX-License-Identifier: GPL-3.0-or-later
"""StemChains: a chain of plugins for each stem, all kept aligned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lars_plugin.chain.serial import Delayed
from lars_plugin.dsp.fifo import Aligned
from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import Stream

__all__ = ["StemChains"]


class StemChains:
    """Runs each stem through its chain; all come out as late as the slowest of them.

    Args:
        chains: by stem, in the order of the arrays.
        channels: of each stem.
    """

    def __init__(self, chains: Mapping[str, Stream], channels: int) -> None:
        self.stems = tuple(chains)
        self._chains = tuple(chains.values())
        self._ready = Aligned([(channels,)] * len(self._chains))
        self._delayed = Delayed(max(chain.latency_samples for chain in self._chains))

    @property
    def latency_samples(self) -> int:
        """That of the slowest chain."""
        return self._delayed.latency_samples

    def push(self, stems: Wave) -> Wave:
        """``(stems, channels, n)`` to what is through, ``(stems, channels, m)``, m <= n.

        Raises:
            NonFiniteError: a plugin returned NaN or Inf.
        """
        stems = stems.copy()  # a chain without plugins returns what it gets, which may wait here
        for index, (chain, stem) in enumerate(zip(self._chains, stems, strict=True)):
            self._ready.append(index, chain.push(stem))
        return self._take(self._delayed.due(stems.shape[2], self._ready.samples))

    def flush(self) -> Wave:
        """End the stream and return the rest; in all exactly as long as the input."""
        for index, chain in enumerate(self._chains):
            self._ready.append(index, chain.flush())
        return self._take(self._delayed.rest())

    def reset(self) -> None:
        """Forget all audio; the plugins' parameters stay."""
        for chain in self._chains:
            chain.reset()
        self._ready.clear()
        self._delayed.restart()

    def _take(self, count: int) -> Wave:
        return np.stack(self._ready.take(count))
