# SPDX-License-Identifier: GPL-3.0-or-later
"""StemStream: a separation with its strips, block by block, late by a constant."""

from __future__ import annotations

import numpy as np

from lars_plugin.chain.serial import Delayed
from lars_plugin.chain.stem_chains import StemChains
from lars_plugin.chain.strips import Strips
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import ModelStream, Stream

__all__ = ["MixedStream", "StemStream"]


class StemStream:
    """Blocks ``(channels, n)`` in, stems as they go into the mix out, all equally late.

    Used as any stream, but its latency is constant: after t samples in it has given
    ``max(0, t - latency_samples)``, however the network's chunks lie.

    Args:
        before: what the mixture passes through first.
        stream: the separation.
        chains: what its stems pass through.
        strips: where the gains come from.
    """

    def __init__(
        self, before: Stream, stream: ModelStream, chains: StemChains, strips: Strips
    ) -> None:
        self._before = before
        self._stream = stream
        self._chains = chains
        self._strips = strips
        self._ready = Fifo((len(stream.stems), stream.channels))
        self._delayed = Delayed(sum(part.latency_samples for part in (before, stream, chains)))
        self._flushed = False

    @property
    def stems(self) -> tuple[str, ...]:
        """Names along the first axis of the output."""
        return self._stream.stems

    @property
    def channels(self) -> int:
        """Channels of the input and of each stem."""
        return self._stream.channels

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self._stream.sample_rate

    @property
    def latency_samples(self) -> int:
        """Before, separation, and the slowest strip, for which the others wait."""
        return self._delayed.latency_samples

    def push(self, block: Wave) -> Wave:
        """Take ``(channels, n)``, return ``(stems, channels, m)``, m <= n."""
        self._ready.append(self._chains.push(self._stream.push(self._before.push(block))))
        return self._take(self._delayed.due(block.shape[1], self._ready.samples))

    def flush(self) -> Wave:
        """End the stream and return the rest; in all exactly as long as the input."""
        if not self._flushed:
            self._flushed = True
            for stems in (self._stream.push(self._before.flush()), self._stream.flush()):
                self._ready.append(self._chains.push(stems))
            self._ready.append(self._chains.flush())
        return self._take(self._delayed.rest())

    def reset(self) -> None:
        """Go back to the initial state."""
        self._before.reset()
        self._stream.reset()
        self._chains.reset()
        self._ready.clear()
        self._delayed.restart()
        self._flushed = False

    def _take(self, count: int) -> Wave:
        """``count`` samples of each stem, with the gains of this moment."""
        stems = np.array(self._ready.take(count))  # the fifo's may be part of what it keeps
        for wave, factor in zip(stems, self._strips.factors(), strict=True):
            if factor != 1:
                wave *= np.float32(factor)
        return stems


class MixedStream:
    """A stem stream with its stems added up: one wave."""

    stems = ()

    def __init__(self, inner: StemStream) -> None:
        self._inner = inner

    @property
    def latency_samples(self) -> int:
        return self._inner.latency_samples

    def push(self, block: Wave) -> Wave:
        return _sum(self._inner.push(block))

    def flush(self) -> Wave:
        return _sum(self._inner.flush())

    def reset(self) -> None:
        self._inner.reset()


def _sum(stems: Wave) -> Wave:
    mix: Wave = stems.sum(axis=0, dtype=np.float64).astype(np.float32)
    return mix
