# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording loses on its way to the model's rate and back, given to the stems.

The lost band is the input less the same input converted there and back: what lies beyond the
lower rate's band, and the converters' slope just below its end. A model never hears it. It is
shared out among the stems so that the conversion takes nothing from their sum: stems that add up
to the recording at the model's rate do so at every rate, to float rounding.

Each stem's share is its part of the power at the top of the band that the model did hear, which
is where cymbals and the noise of snares are. Power is measured in blocks of 16 samples of the
lower rate, all channels together, so that the stereo image stays as it is; shares go in straight
lines from block to block. Where every stem is exactly silent, each gets the same part.

Blocks lie on a fixed grid, and nothing is waited for: the converter that the stems go through
needs the model's stems up to a later sample than their shares do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends import Model
from lars_plugin.separation.fifo import Fifo
from lars_plugin.zoo.composites import Cascade
from lars_plugin.zoo.drum_sum import DRUMS

__all__ = ["LostBand", "Resampler", "heard_stems"]

Wave = NDArray[np.float32]

# Samples of the lower rate for which a stem's power is taken as one.
_BLOCK = 16
# Samples worked on at once: few enough to stay in the cache.
_PIECE = 1 << 13


class Resampler(Protocol):
    """A streaming conversion; sample n of the output belongs to time n / rate."""

    def push(self, block: Wave) -> Wave:
        """``(channels, n)`` to what is ready, ``(channels, m)``; new memory."""
        ...

    def flush(self) -> Wave:
        """End the input and return the rest; a sample or two more or less than its length."""
        ...

    def reset(self) -> None:
        """Forget everything, as if new."""
        ...


def heard_stems(model: Model, wanted: Sequence[str], *, apart: bool) -> tuple[tuple[str, ...], int]:
    """Which stems the shares of those wanted depend on.

    That is all of them, but for a cascade of two streams: there the music stage's stems and its
    drums share first, then the drum stage's stems what the drums got. So a drum stage that
    nobody wants anything of is not needed.

    Args:
        model: of any kind.
        wanted: names of its stems.
        apart: whether a cascade runs as two streams even if it is fused.

    Returns:
        Names, as a :class:`~lars_plugin.separation.cascade.CascadeStream` knows them, and how
        many of them, from the first, share first. The last of these shares with the rest.
    """
    names = model.config.stems
    if not isinstance(model, Cascade) or (model.fused and not apart) or DRUMS in names:
        return names, len(names)
    inner = model.drums.config.stems
    above = (*(name for name in names if name not in inner), DRUMS)
    below = inner if any(name in inner for name in wanted) else ()
    return (*above, *below), len(above)


class LostBand:
    """Takes the input, the model's stems and the converted stems; gives these what was lost.

    Args:
        back: a conversion like that of the stems, of ``channels`` channels.
        rate: Hz, of the recording.
        inner: Hz, of the model.
        channels: of the recording and of each stem.
        heard: how many stems are measured.
        first: how many of them share first; see ``heard_stems``.
        keep: which of them are given something, by index.
    """

    def __init__(
        self,
        back: Resampler,
        rate: float,
        inner: float,
        channels: int,
        heard: int,
        first: int,
        keep: Sequence[int],
    ) -> None:
        self._back = back
        self._block = max(_BLOCK, round(_BLOCK * rate / inner))  # at the recording's rate
        self._span = self._block * inner / rate  # the same at the model's
        # The second difference over so many samples is greatest at the end of the lower band.
        self._stride = max(1, round(inner / rate))
        self._ramp = (np.arange(self._block) / self._block).astype(np.float32)
        self._shape, self._first, self._keep = (heard, channels), first, list(keep)
        self._input, self._lost = Fifo((channels,)), Fifo((channels,))
        self._waiting = Fifo((len(self._keep), channels))
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._back.reset()
        for fifo in (self._input, self._lost, self._waiting):
            fifo.clear()
        heard = self._shape[0]
        self._before = np.zeros((*self._shape, 2 * self._stride), np.float32)
        self._open = np.empty((heard, 0), np.float32)  # levels from the last whole block on
        self._last = np.zeros((heard, 1), np.float32)  # the last whole block's
        self._taken = 0  # samples measured, at the model's rate
        self._blocks = 0  # whole blocks among them
        self._shares = np.empty((len(self._keep), 0), np.float32)  # where blocks begin
        self._oldest = 0  # the block that the first of them belongs to
        self._given = 0  # samples, at the recording's rate

    def hear(self, wave: Wave, converted: Wave) -> None:
        """Take a block of the recording, and what is ready of it at the model's rate."""
        self._input.append(wave.copy())  # the caller may fill its block again
        self._subtract(self._back.push(converted))

    def end(self, converted: Wave) -> None:
        """The recording ends; take the rest of it at the model's rate."""
        self._subtract(self._back.push(converted))
        self._subtract(self._back.flush())
        self._lost.append(self._input.take(self._input.samples))

    def measure(self, stems: Wave) -> None:
        """Take the heard stems at the model's rate, ``(heard, channels, n)``."""
        for start in range(0, stems.shape[2], _PIECE):
            self._measure(stems[..., start : start + _PIECE])

    def add(self, stems: Wave) -> Wave:
        """Take the kept stems at the recording's rate, and return those whose shares are known.

        Args:
            stems: ``(kept, channels, n)``; changed.
        """
        self._waiting.append(stems)
        known = max(0, (self._blocks - 1) * self._block - self._given)
        count = min(known, self._waiting.samples, self._lost.samples)
        made, lost = self._waiting.take(count), self._lost.take(count)
        for start in range(0, count, _PIECE):
            part = slice(start, start + _PIECE)
            self._share_out(made[..., part], lost[:, part])
        used = self._given // self._block - self._oldest
        self._shares, self._oldest = self._shares[:, used:], self._oldest + used
        return made

    def finish(self, stems: Wave) -> Wave:
        """``add`` the last of the stems and return all the rest: silence follows them."""
        samples = self._given + self._waiting.samples + stems.shape[2]
        needed = round((samples // self._block + 3) * self._span) - self._taken
        self.measure(np.zeros((*self._shape, max(0, needed)), np.float32))
        return self.add(stems)

    def _subtract(self, back: Wave) -> None:
        wave = self._input.take(min(back.shape[1], self._input.samples))
        self._lost.append(wave - back[:, : wave.shape[1]])

    def _measure(self, stems: Wave) -> None:
        stride = self._stride
        both = np.concatenate([self._before, stems], axis=2)
        self._before = both[..., -2 * stride :].copy()
        bent = both[..., stride:-stride] * np.float32(-2)
        bent += both[..., 2 * stride :]
        bent += both[..., : -2 * stride]
        levels = np.abs(bent, out=bent).sum(axis=1)
        self._open = np.concatenate([self._open, levels], axis=1)
        self._taken += stems.shape[2]
        most = int(self._open.shape[1] // self._span) + 2
        edges = (np.arange(self._blocks, self._blocks + most) * self._span).astype(np.int64)
        edges = edges[edges <= self._taken]
        whole = len(edges) - 1
        if whole < 1:
            return
        edges -= edges[0]
        sums = np.add.reduceat(self._open[:, : edges[-1]], edges[:-1], axis=1)
        self._open = self._open[:, edges[-1] :].copy()
        # Where a block begins, it counts as much as the one before it.
        around = sums + np.concatenate([self._last, sums[:, :-1]], axis=1)
        self._last = sums[:, -1:]
        shares = self._of(around)[self._keep]
        self._shares = np.concatenate([self._shares, shares], axis=1)
        self._blocks += whole

    def _of(self, levels: Wave) -> Wave:
        """Shares of all heard stems; the sum of those that share first is one."""
        made = _by_power(levels[: self._first])
        if self._first < len(levels):
            made = np.concatenate([made, made[-1] * _by_power(levels[self._first :])])
        return made.astype(np.float32)

    def _share_out(self, stems: Wave, lost: Wave) -> None:
        """Add its share of what was lost to each stem, in place."""
        samples = lost.shape[1]
        first, offset = divmod(self._given, self._block)
        end = -(-(self._given + samples) // self._block) + 1
        shares = self._shares[:, first - self._oldest : end - self._oldest]
        steps = np.diff(shares, axis=1)[..., None]
        lines = (shares[:, :-1, None] + steps * self._ramp).reshape(len(shares), -1)
        stems += lines[:, None, offset : offset + samples] * lost
        self._given += samples


def _by_power(levels: Wave) -> NDArray[np.float64]:
    """Parts of one in proportion to the squares; alike where there is nothing to go by."""
    powers = levels.astype(np.float64)
    most = powers.max(axis=0)
    usable = np.isfinite(most) & (most > 0)
    np.divide(powers, most, out=powers, where=usable)  # no square is too small or too large
    powers[:, ~usable] = 1
    np.square(powers, out=powers)
    powers /= powers.sum(axis=0)
    return powers
