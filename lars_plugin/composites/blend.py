# SPDX-License-Identifier: GPL-3.0-or-later
"""Stems of several models become one's, by shares that are judged window by window.

Windows lie half a window apart on a fixed grid. Shares change linearly from the middle of one
window to the middle of the next. If all models have the same sum, the blended stems have it too:
what they lack of the mean of the sums, they get back by their power at each frequency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lars_plugin.composites.confidence import WINDOW, shares_of
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.model import Wave

__all__ = ["Blend", "Judge"]

# Mixture (channels, n), stems (models, stems, channels, n) and sample rate to shares (models,
# stems), which add up to 1 over the models.
Judge = Callable[[Wave, Wave, float], Wave]


class Blend:
    """Blocks of a mixture and of all models' stems in, blended stems out.

    Args:
        models: how many.
        stems: names.
        channels: of each.
        sample_rate: Hz.
        judge: decides the shares; called for one window after the other, each half a window on.
    """

    def __init__(
        self,
        models: int,
        stems: Sequence[str],
        channels: int,
        sample_rate: float,
        judge: Judge = shares_of,
    ) -> None:
        from lars_plugin.refine.spectral import Redistribution  # brings in scipy

        self.hop = max(1, round(WINDOW * sample_rate / 2))
        self._models, self._stems, self._channels = models, len(stems), channels
        self._rate, self._judge = sample_rate, judge
        self._waiting = Fifo((1 + models * self._stems, channels))
        self._rest = Redistribution(stems, channels, sample_rate)
        self.reset()

    @property
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant."""
        return 2 * self.hop + self._rest.latency_samples

    def reset(self) -> None:
        """Go back to the initial state."""
        self._waiting.clear()
        self._rest.reset()
        # From the middle of the window that was judged last: the mixture, then each model's stems.
        self._held = self._waiting.take(0)
        self._shares: Wave | None = None

    def push(self, mixture: Wave, stems: Wave) -> Wave:
        """Take a block and return what is finished.

        Args:
            mixture: ``(channels, n)``; must not be changed afterwards.
            stems: ``(models, stems, channels, n)``; likewise.

        Returns:
            ``(stems, channels, m)``.
        """
        rows = stems.reshape(self._models * self._stems, self._channels, stems.shape[3])
        self._waiting.append(np.concatenate([mixture[None], rows]))
        done = [np.empty((1 + self._stems, self._channels, 0), np.float32)]
        window = 2 * self.hop
        while self._held.shape[2] + self._waiting.samples >= window:
            self._hold(window - self._held.shape[2])
            done.append(self._to_the_middle(self._judged()))
        out: Wave = self._rest.push(np.concatenate(done, axis=2))[1:]
        return out

    def flush(self) -> Wave:
        """End the input and return the rest; in all as long as the input."""
        self._hold(self._waiting.samples)
        done = [np.empty((1 + self._stems, self._channels, 0), np.float32)]
        if self._held.shape[2]:
            shares = self._shares
            # What is behind the middle of a window belongs to it.
            if shares is None or self._held.shape[2] > self.hop:
                shares = self._judged()
            done.append(self._to_the_middle(shares))
            done.append(self._mixed(self._held, shares, shares))
            self._held = self._held[..., :0]
        done = [self._rest.push(np.concatenate(done, axis=2)), self._rest.flush()]
        out: Wave = np.concatenate(done, axis=2)[1:]
        return out

    def _hold(self, count: int) -> None:
        self._held = np.concatenate([self._held, self._waiting.take(count)], axis=2)

    def _judged(self) -> Wave:
        return self._judge(self._held[0], self._each(self._held), self._rate)

    def _each(self, rows: Wave) -> Wave:
        return rows[1:].reshape(self._models, self._stems, *rows.shape[1:])

    def _to_the_middle(self, shares: Wave) -> Wave:
        """What lies before the middle of a window; what is held begins there afterwards."""
        here, self._held = self._held[..., : self.hop], self._held[..., self.hop :].copy()
        before = shares if self._shares is None else self._shares
        self._shares = shares
        return self._mixed(here, before, shares)

    def _mixed(self, rows: Wave, before: Wave, after: Wave) -> Wave:
        """The mean of the models' sums, then the blended stems.

        Args:
            rows: at most half a window.
            before, after: shares at its beginning, and half a window on.
        """
        models = self._each(rows)
        at = np.arange(rows.shape[2], dtype=np.float32) + np.float32(0.5)
        rising = at / np.float32(self.hop)
        out = np.zeros((1 + self._stems, *rows.shape[1:]), np.float32)
        for stems, first, last in zip(models, before, after, strict=True):
            for stem, wave in enumerate(stems):
                out[0] += wave
                out[1 + stem] += (first[stem] + (last[stem] - first[stem]) * rising) * wave
        out[0] /= np.float32(self._models)
        return out
