# SPDX-License-Identifier: GPL-3.0-or-later
"""Live streams at another rate than the model's, a millisecond late for each conversion.

soxr, which ``RateStream`` uses, converts better and in larger pieces: it is 40 to 80 ms late.
Here a linear-phase filter is applied sample by sample, polyphase, and its delay is its half
length. Each output sample is one sum in one order, so the block sizes do not matter to the bit.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np

from lars_plugin.model import Wave
from lars_plugin.separation.streams.rate import RateStream, Resampler

__all__ = ["LiveRateStream", "LiveResampler", "can_convert"]

# Half the filter, in samples of the lower rate, and what lies beyond it in dB: 90 dB from half
# the lower rate on, flat up to 0.88 of that (19.4 of 22.05 kHz).
_HALF = 48
_STOP_DB = 90.0
# Phases of the filter: 147 for 48 to 44.1 kHz. Rates without a common measure need too many.
_MOST_PHASES = 1024


def can_convert(one: float, other: float) -> bool:
    """Whether these two rates are in a ratio of small enough numbers, and sensible at all."""
    if not (1000 <= one <= 768000 and 1000 <= other <= 768000):
        return False
    ratio = Fraction(one) / Fraction(other)
    return max(ratio.numerator, ratio.denominator) <= _MOST_PHASES


@functools.lru_cache(maxsize=32)
def _filter(up: int, down: int) -> tuple[Wave, int]:
    """Taps at ``up`` times the source's rate, and half their span in samples of the source."""
    half = math.ceil(_HALF * max(1.0, down / up))
    # Kaiser's rule for the width, in cycles per sample of the lower rate. SciPy's kaiserord has
    # 7.95 in place of 8: its cutoff would change every tap.
    width = (_STOP_DB - 8) / (2.285 * 2 * _HALF) / (2 * math.pi)
    cutoff = (1 - width) / max(up, down)  # against the Nyquist frequency of the fine grid
    from scipy.signal import firwin, kaiser_beta  # takes a third of a second; most need none

    window = ("kaiser", kaiser_beta(_STOP_DB))
    # Not scaled: the gain at 0 Hz is 1 within the filter's ripple anyway.
    taps = (up * firwin(2 * half * up + 1, cutoff, window=window, scale=False)).astype(np.float32)
    taps.flags.writeable = False
    return taps, half


def _half(source: float, target: float) -> int:
    """Half the filter from one rate to another, in samples of the source: its delay."""
    ratio = Fraction(target) / Fraction(source)
    return _filter(ratio.numerator, ratio.denominator)[1]


class LiveResampler:
    """Streaming conversion; sample n of the output belongs to time n / rate.

    Args:
        source, target: Hz; ``can_convert``.
        channels: of input and output.
    """

    def __init__(self, source: float, target: float, channels: int) -> None:
        ratio = Fraction(target) / Fraction(source)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._taps, self._half = _filter(self._up, self._down)
        self._channels = channels
        self.reset()

    @property
    def latency_samples(self) -> int:
        """Samples of the source after which the one that belongs to them is known."""
        return self._half

    def reset(self) -> None:
        """Forget everything: silence before the start."""
        self._waiting = np.zeros((self._channels, self._half), np.float32)
        self._begin = -self._half  # position of its first sample
        self._given = 0

    def push(self, block: Wave) -> Wave:
        """``(channels, n)`` to what is ready, ``(channels, m)``."""
        self._waiting = np.concatenate([self._waiting, block], axis=1)
        up, down, half = self._up, self._down, self._half
        # Output n needs the input up to n * down / up + half.
        known = self._begin + self._waiting.shape[1] - half
        count = max(0, -(-known * up // down)) - self._given
        if count <= 0:
            return np.empty((self._channels, 0), np.float32)
        # In steps of the fine grid, from the first waiting sample to the first output.
        first = self._given * down + (half - self._begin) * up
        skip, lead = divmod(first, down)
        taps = np.concatenate([np.zeros(-lead % down, np.float32), self._taps])
        skip += lead > 0
        from scipy.signal import upfirdn  # there since the filter was made

        result = upfirdn(taps, self._waiting, up, down, axis=1)[:, skip : skip + count]
        self._given += count
        # The next output begins its sum here.
        used = self._given * down // up - half - self._begin
        if used > 0:
            self._waiting, self._begin = self._waiting[:, used:].copy(), self._begin + used
        return np.ascontiguousarray(result, np.float32)

    def flush(self) -> Wave:
        """The rest, as if silence followed; in all the input's length at the other rate."""
        return self.push(np.zeros((self._channels, self._half), np.float32))


class LiveRateStream(RateStream):
    """A ``RateStream`` for live use: the same, but the conversions' delay and quality.

    Args:
        inner, sample_rate, stems, first: see ``RateStream``; ``can_convert`` to the inner rate.
    """

    _apart = 32

    @property
    def latency_samples(self) -> int:
        """The most samples, at this stream's rate, by which the output trails the input."""
        outer, inner = self.sample_rate, self._inner.sample_rate
        # A sample at either rate for what lies between two samples of the other.
        inside = self._inner.latency_samples + 1 + _half(inner, outer)
        return math.ceil(_half(outer, inner) + inside * (outer / inner)) + 1

    def _resampler(self, source: float, target: float, channels: int) -> Resampler:
        return LiveResampler(source, target, channels)
