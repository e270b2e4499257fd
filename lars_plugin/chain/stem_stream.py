# SPDX-License-Identifier: GPL-3.0-or-later
"""StemStream: a separation with its strips, block by block, late by a constant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.chain.stages import Delayed, Fifo, Stage
from lars_plugin.chain.strips import Strips
from lars_plugin.separation.streams.rate import RateStream

__all__ = ["MixedStream", "StemStream"]

Wave = NDArray[np.float32]


class StemStream:
    """Blocks ``(channels, n)`` in, stems as they go into the mix out, all equally late.

    Used as :class:`~lars_plugin.separation.streams.rate.RateStream` is, with one difference: its
    latency is constant. After t samples in it has given ``max(0, t - latency_samples)``,
    however the network's chunks lie.

    Args:
        before: what the mixture passes through first.
        stream: the separation.
        strips: where the gains come from.
        chains: what each stem passes through, in the order of the stems.
    """

    def __init__(
        self, before: Stage, stream: RateStream, strips: Strips, chains: Sequence[Stage]
    ) -> None:
        self._before = before
        self._stream = stream
        self._strips = strips
        self._chains = chains
        self._ready = [Fifo(stream.channels) for _ in chains]
        self._delayed = Delayed(
            before.latency_samples
            + stream.latency_samples
            + max(chain.latency_samples for chain in chains)
        )

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
        self._distribute(self._stream.push(self._before.push(block)))
        available = min(fifo.samples for fifo in self._ready)
        return self._take(self._delayed.due(block.shape[1], available))

    def flush(self) -> Wave:
        """End the stream and return the rest; in all exactly as long as the input."""
        self._distribute(self._stream.push(self._before.flush()))
        self._distribute(self._stream.flush())
        for chain, fifo in zip(self._chains, self._ready, strict=True):
            fifo.append(chain.flush())
        return self._take(self._delayed.rest())

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._before.reset()
        self._stream.reset()
        for chain, fifo in zip(self._chains, self._ready, strict=True):
            chain.reset()
            fifo.clear()
        self._delayed.restart()

    def _distribute(self, stems: Wave) -> None:
        for chain, fifo, wave in zip(self._chains, self._ready, stems, strict=True):
            fifo.append(chain.push(wave))

    def _take(self, count: int) -> Wave:
        """``count`` samples of each stem, with the gains of this moment."""
        stems = np.stack([fifo.take(count) for fifo in self._ready])
        for wave, factor in zip(stems, self._strips.factors(), strict=True):
            if factor != 1:
                wave *= np.float32(factor)
        return stems


class MixedStream:
    """A stem stream with its stems added up: a stage."""

    def __init__(self, stems: StemStream) -> None:
        self._stems = stems

    @property
    def latency_samples(self) -> int:
        return self._stems.latency_samples

    def push(self, block: Wave) -> Wave:
        return _sum(self._stems.push(block))

    def flush(self) -> Wave:
        return _sum(self._stems.flush())

    def reset(self) -> None:
        self._stems.reset()


def _sum(stems: Wave) -> Wave:
    mix: Wave = stems.sum(axis=0, dtype=np.float64).astype(np.float32)
    return mix
