# SPDX-License-Identifier: GPL-3.0-or-later
"""RateStream: a stream of one rate for audio of another."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import soxr

from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import ModelStream, Steps
from lars_plugin.separation.streams.lost_band import LostBand

__all__ = ["RateStream", "Resampler"]

# The resampler is fed blocks of this many samples, whatever the caller's blocks are: the
# result must not depend on them to the last bit.
_QUANTUM = 1024
# Stems that are finished at once are converted in pieces of this many samples.
_PIECE = 1 << 14


class Resampler(Protocol):
    """A streaming conversion, each channel by itself; sample n belongs to time n / rate."""

    def push(self, block: Wave) -> Wave:
        """``(channels, n)`` to what is ready, ``(channels, m)``; new memory."""
        ...

    def flush(self) -> Wave:
        """End the input and return the rest; a sample or two more or less than its length."""
        ...

    def reset(self) -> None:
        """Go back to the initial state."""
        ...


class _Soxr:
    """Streaming sample-rate conversion (soxr, HQ) with output of an exact length.

    soxr compensates its own delay: sample n of the output belongs to time n / rate. What it
    gives at the end can be a sample off the length asked for; it is cut or followed by silence.
    """

    def __init__(self, source: float, target: float, channels: int) -> None:
        self._rates = (source, target)
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        self._soxr = soxr.ResampleStream(
            *self._rates, self._channels, dtype="float32", quality="HQ"
        )
        self._waiting = np.empty((self._channels, 0), np.float32)

    def push(self, block: Wave) -> Wave:
        """``(channels, n)`` to what is ready, ``(channels, m)``."""
        parts = [np.empty((self._channels, 0), np.float32)]
        start = min(block.shape[1], _QUANTUM - self._waiting.shape[1])
        waiting = np.concatenate([self._waiting, block[:, :start]], axis=1)
        while waiting.shape[1] == _QUANTUM:
            parts.append(self._convert(waiting, False))
            waiting = block[:, start : start + _QUANTUM]
            start += _QUANTUM
        self._waiting = waiting.copy()  # the block is its owner's
        return np.concatenate(parts, axis=1)

    def flush(self) -> Wave:
        rest = self._convert(self._waiting, True)
        self._waiting = self._waiting[:, :0]
        return rest

    def _convert(self, block: Wave, last: bool) -> Wave:
        frames = np.ascontiguousarray(block.T)
        result = self._soxr.resample_chunk(frames, last=last)
        return np.ascontiguousarray(result.reshape(-1, self._channels).T)


@functools.lru_cache(maxsize=64)
def _lag(source: float, target: float) -> float:
    """Most seconds by which a resampler's output trails its input, measured on silence."""
    resampler = _Soxr(source, target, 1)
    block = np.zeros((1, _QUANTUM), np.float32)
    given, returned, worst = 0, 0, 0.0
    for _ in range(64):
        # Just before the quantum is whole, nothing of it has been returned.
        worst = max(worst, (given + _QUANTUM - 1) / source - returned / target)
        returned += resampler.push(block).shape[1]
        given += _QUANTUM
    return worst


class RateStream(ModelStream):
    """Blocks at one rate through a stream of another.

    The stems get back what the conversion takes from the recording, so that stems which add up at
    the inner rate add up here; see :mod:`lars_plugin.separation.streams.lost_band`. The shares
    depend on all stems that the inner stream gives.

    Args:
        inner: gives the stems wanted, and those that their shares depend on.
        sample_rate: Hz, of input and output; not that of the inner stream.
        stems: names of those that are returned, in this order; all for None.
        first: how many of the inner stems, the last of them included, share first what is lost;
            the others share what that one got. All share alike for None.
    """

    # Samples of the lower rate after which the shares of what is lost are measured again. The
    # converter back is late by more than these and half the measure, so nothing waits for them.
    _apart = 64

    def __init__(
        self,
        inner: ModelStream,
        sample_rate: float,
        *,
        stems: Sequence[str] | None = None,
        first: int | None = None,
    ) -> None:
        kept = inner.stems if stems is None else tuple(stems)
        super().__init__(kept, inner.channels, sample_rate)
        self._inner = inner
        self._in = self._resampler(sample_rate, inner.sample_rate, inner.channels)
        self._lost = LostBand(
            sample_rate,
            inner.sample_rate,
            inner.channels,
            heard=len(inner.stems),
            first=len(inner.stems) if first is None else first,
            keep=[inner.stems.index(stem) for stem in kept],
            apart=self._apart,
        )
        self._out = self._resampler(
            inner.sample_rate, sample_rate, self._lost.waves * inner.channels
        )
        self._taken = self._given = 0

    @property
    def model_latency(self) -> int:
        return math.ceil(self._inner.model_latency * (self.sample_rate / self._inner.sample_rate))

    @property
    def latency_samples(self) -> int:
        """The most samples, at this stream's rate, by which the output trails the input."""
        rate, inner = self.sample_rate, self._inner.sample_rate
        seconds = _lag(rate, inner) + self._inner.latency_samples / inner + _lag(inner, rate)
        return math.ceil(seconds * rate) + 2  # each conversion rounds by at most a sample

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        self._inner.reset()
        self._in.reset()
        self._out.reset()
        self._lost.reset()
        self._taken = self._given = 0

    def push_checked(self, wave: Wave) -> Steps:
        self._taken += wave.shape[1]
        converted = self._in.push(wave)
        self._lost.hear(wave, converted)
        return self._give((yield from self._inner.push_steps(converted)))

    def flush_steps(self) -> Steps:
        parts = []
        unfinished = self._taken > self._given
        if unfinished:
            rest = self._in.flush()
            self._lost.hear(np.empty((self.channels, 0), np.float32), rest)
            parts.append(self._give((yield from self._inner.push_steps(rest))))
        parts.append(self._give((yield from self._inner.flush_steps())))
        if unfinished:
            last = self._fit(self._unfold(self._out.flush()))
            missing = self._taken - self._given
            last = np.pad(last, ((0, 0), (0, 0), (0, missing)))
            self._given += missing
            parts.append(self._lost.finish(last))
        return self._joined(parts)

    def _resampler(self, source: float, target: float, channels: int) -> Resampler:
        return _Soxr(source, target, channels)

    def _give(self, stems: Wave) -> Wave:
        """From the inner rate to the stream's, in pieces: a window of stems is a lot of memory."""
        return self._joined(
            [
                self._give_piece(stems[..., start : start + _PIECE])
                for start in range(0, max(1, stems.shape[2]), _PIECE)
            ]
        )

    def _give_piece(self, stems: Wave) -> Wave:
        waves = self._lost.join(stems)
        folded = waves.reshape(self._lost.waves * self.channels, -1)
        return self._lost.add(self._fit(self._unfold(self._out.push(folded))))

    def _unfold(self, folded: Wave) -> Wave:
        return folded.reshape(len(folded) // self.channels, self.channels, folded.shape[1])

    def _fit(self, stems: Wave) -> Wave:
        """Never more in all than was taken."""
        stems = stems[..., : self._taken - self._given]
        self._given += stems.shape[2]
        return stems
