# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording loses on its way to the model's rate and back, given to the stems.

The lost band is the input less the same input converted there and back: what lies beyond the
lower rate's band, and the converters' slope just below its end. A model never hears it. It is
shared out among the stems so that the conversion takes nothing from their sum: stems that add up
to the recording at the model's rate do so at every rate, to float rounding.

Each stem's share is its part of the power at the top of the band that the model did hear, which
is where cymbals and the noise of snares are. Power is taken at points on a fixed grid, a
millisecond or so apart, from 16 samples (of the lower rate) around each, all channels together,
so that the stereo image stays as it is; shares go in straight lines from point to point. Where
every stem is exactly silent, each gets the same part.

Nothing is waited for: the converter that the stems go through needs the model's stems up to a
later sample than their shares do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.dsp.fifo import Fifo
from lars_plugin.model import Wave

__all__ = ["LostBand"]

# Samples of the lower rate from which a stem's power is taken; a power of two.
_WINDOW = 16
# Samples worked on at once: few enough to stay in the cache.
_PIECE = 1 << 13


class LostBand:
    """Sends the mixture through the stems' conversion, and gives them what it loses there.

    Args:
        rate: Hz, of the recording.
        inner: Hz, of the model.
        channels: of the recording and of each stem.
        heard: how many stems are measured.
        first: how many of them share first, among them the last one; the others share what that
            one got.
        keep: which of them are given something, by index.
        apart: samples of the lower rate from point to point.
    """

    def __init__(
        self,
        rate: float,
        inner: float,
        channels: int,
        *,
        heard: int,
        first: int,
        keep: Sequence[int],
        apart: int,
    ) -> None:
        self._block = max(apart, round(apart * rate / inner))  # at the recording's rate
        self._span = self._block * inner / rate  # the same at the model's
        # Samples so far apart hold the lower band; their second difference is greatest at its end.
        stride = max(1, round(inner / rate))
        self._reach = stride * (_WINDOW // 2 + 1)
        self._around = np.arange(-self._reach, self._reach, stride)[:, None]
        self._ramp = (np.arange(self._block) / self._block).astype(np.float32)
        self._shape, self._first, self._keep = (heard, channels), first, list(keep)
        self._all = self._keep == list(range(heard))
        self._input, self._inner = Fifo((channels,)), Fifo((channels,))
        self._waiting = Fifo((1 + len(self._keep), channels))
        self.reset()

    def reset(self) -> None:
        """Go back to the initial state."""
        for fifo in (self._input, self._inner, self._waiting):
            fifo.clear()
        self._tail = np.zeros((*self._shape, 2 * self._reach), np.float32)
        self._taken = 0  # samples measured, at the model's rate
        self._points = 0  # points measured
        self._shares = np.empty((len(self._keep), 0), np.float32)  # at the points still needed
        self._oldest = 0  # the first of these points
        self._given = 0  # samples, at the recording's rate

    @property
    def waves(self) -> int:
        """Waves of so many channels that are converted to the recording's rate."""
        return 1 + len(self._keep)

    def hear(self, wave: Wave, converted: Wave) -> None:
        """Take some of the recording, and of the same at the model's rate what is ready."""
        self._input.append(wave.copy())  # the caller may fill its block again
        self._inner.append(converted)

    def join(self, stems: Wave) -> Wave:
        """What is to be converted to the recording's rate.

        Args:
            stems: those heard, at the model's rate, ``(heard, channels, n)``.

        Returns:
            ``(waves, channels, n)``: the mixture, and the stems that are kept.
        """
        self._measure(stems)
        kept = stems if self._all else stems[self._keep]
        return np.concatenate([self._inner.take(stems.shape[2])[None], kept])

    def add(self, waves: Wave) -> Wave:
        """Take these converted, and return the stems ``(kept, channels, m)`` as far as their
        shares are known."""
        self._waiting.append(waves)
        known = max(0, (self._points - 1) * self._block - self._given)
        count = min(known, self._waiting.samples)
        waves, lost = self._waiting.take(count), self._input.take(count)
        stems = waves[1:]
        for start in range(0, count, _PIECE):
            part = slice(start, start + _PIECE)
            self._share_out(stems[..., part], lost[:, part] - waves[0, :, part])
        used = self._given // self._block - self._oldest
        self._shares, self._oldest = self._shares[:, used:], self._oldest + used
        return stems

    def finish(self, waves: Wave) -> Wave:
        """``add`` the last of them and return all the rest: silence follows."""
        samples = self._given + self._waiting.samples + waves.shape[2]
        needed = round((samples // self._block + 3) * self._span) + self._reach - self._taken
        self._measure(np.zeros((*self._shape, max(0, needed)), np.float32))
        return self.add(waves)

    def _measure(self, stems: Wave) -> None:
        for start in range(0, stems.shape[2], _PIECE):
            both = np.concatenate([self._tail, stems[..., start : start + _PIECE]], axis=2)
            self._tail = both[..., -2 * self._reach :].copy()
            self._taken += both.shape[2] - 2 * self._reach
            most = int(both.shape[2] // self._span) + 2
            points = np.floor(np.arange(self._points, self._points + most) * self._span)
            points = points[points + self._reach <= self._taken].astype(np.int64)
            if not len(points):
                continue
            self._points += len(points)
            begin = self._taken - both.shape[2]
            near = both.take(points - begin + self._around, axis=2)
            bent = near[:, :, 1:-1] * np.float32(-2)
            bent += near[:, :, 2:]
            bent += near[:, :, :-2]
            np.abs(bent, out=bent)
            # Halves added up: the same sums in the same order, however many points there are.
            while bent.shape[2] > 1:
                half = bent.shape[2] // 2
                bent = bent[:, :, :half] + bent[:, :, half:]
            levels = bent[:, :, 0].sum(axis=1)
            self._shares = np.concatenate([self._shares, self._of(levels)[self._keep]], axis=1)

    def _of(self, levels: Wave) -> Wave:
        """Shares of all heard stems; the sum of those that share first is one."""
        shares = _by_power(levels[: self._first])
        if self._first < len(levels):
            shares = np.concatenate([shares, shares[-1] * _by_power(levels[self._first :])])
        return shares.astype(np.float32)

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
