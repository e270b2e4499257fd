# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps on short-time spectra: the Wiener filter and the redistribution of the rest.

Frames of about 93 ms (4096 samples at 44.1 kHz, as in LarsNet), a quarter of that apart,
Hann windows before and after the transform, silence before the start and after the end. Frames
lie on a fixed grid and are computed one by one, so the result does not depend on the blocks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lars_plugin.model import SAMPLE_RATE

__all__ = ["Redistribution", "WienerFilter", "frame_length", "shares"]

Wave = NDArray[np.float32]
Spectra = NDArray[np.complex64]  # (waves, channels, bins)

_SECONDS = 4096 / SAMPLE_RATE
_OVERLAP = 4
# The sum of squares of a periodic Hann window over frames a quarter of it apart.
_SQUARES = 1.5


def frame_length(sample_rate: float) -> int:
    """Samples of a frame: the power of two nearest to 93 ms."""
    return int(2 ** round(math.log2(_SECONDS * sample_rate)))


def shares(magnitudes: Wave, exponent: float) -> Wave:
    """``m^a / sum m^a`` along the first axis, float32; zeros where all magnitudes are zero."""
    most = magnitudes.max(axis=0)
    # Relative to the largest, so that powers stay within float32.
    powers: Wave = np.divide(magnitudes, most, out=np.zeros_like(magnitudes), where=most > 0)
    np.power(powers, np.float32(exponent), out=powers)
    powers /= np.maximum(powers.sum(axis=0), 1)  # the largest is 1 where any is above 0
    return powers


class _SpectralStage(ABC):
    """Overlapping frames of mixture and stems in; changed stems and the same mixture out.

    Args:
        stems: their names.
        channels: of each.
        sample_rate: Hz.
    """

    def __init__(self, stems: Sequence[str], channels: int, sample_rate: float) -> None:
        self._size = frame_length(sample_rate)
        self._hop = self._size // _OVERLAP
        ramp = np.arange(self._size, dtype=np.float64) / self._size
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * ramp)).astype(np.float32)
        self.stems = ("mixture", *stems)  # along the first axis of the output
        self._shape = (1 + len(stems), channels)
        self.reset()

    @property
    def latency_samples(self) -> int:
        """A frame less a sample."""
        return self._size - 1

    def reset(self) -> None:
        """Back to the initial state."""
        lead = self._size - self._hop
        # The newest frame so far; silence precedes the input.
        self._frame = np.zeros((*self._shape, self._size), np.float32)
        self._filled = lead
        self._sum = np.zeros((self._shape[0] - 1, self._shape[1], self._size), np.float32)
        self._skip = lead  # of the output, which belong to the silence
        self._taken = self._given = 0

    def push(self, block: Wave) -> Wave:
        """Take ``(1 + stems, channels, n)`` and return the finished samples."""
        self._taken += block.shape[2]
        return self._run(block)

    def flush(self) -> Wave:
        """End the input and return the rest; the total is as long as the input."""
        missing = max(0, self._taken - self._given)  # nothing is left for a second flush
        rest = self._run(np.zeros((*self._shape, missing + self._size), np.float32))
        return rest[..., :missing]

    def _run(self, block: Wave) -> Wave:
        done = [np.empty((*self._shape, 0), np.float32)]
        start = 0
        while start < block.shape[2]:
            take = min(block.shape[2] - start, self._size - self._filled)
            self._frame[..., self._filled : self._filled + take] = block[..., start : start + take]
            self._filled += take
            start += take
            if self._filled == self._size:
                done.append(self._step())
        return np.concatenate(done, axis=2)

    def _step(self) -> Wave:
        """Process a whole frame and return the samples that no later frame changes."""
        hop, keep = self._hop, self._size - self._hop
        spectra: Spectra = fft.rfft(self._frame * self._window, axis=2)
        result = fft.irfft(self.change(spectra), self._size, axis=2)
        self._sum += result * (self._window / np.float32(_SQUARES))
        out = np.concatenate([self._frame[:1, :, :hop], self._finish(self._frame, hop)])
        self._frame[..., :keep] = self._frame[..., hop:].copy()
        self._sum[..., :keep] = self._sum[..., hop:].copy()
        self._sum[..., keep:] = 0
        self._filled = keep
        skip = min(self._skip, hop)
        self._skip -= skip
        self._given += hop - skip
        return out[..., skip:]

    def _finish(self, frame: Wave, hop: int) -> Wave:
        """The stems' first ``hop`` samples of the frame, all overlapping frames summed."""
        del frame
        return self._sum[..., :hop]

    @abstractmethod
    def change(self, spectra: Spectra) -> Spectra:
        """From spectra of mixture and stems to the new spectra of the stems."""


class WienerFilter(_SpectralStage):
    """Each stem becomes its share ``|S|^alpha / sum |S|^alpha`` of the mixture's spectrum.

    Where all stems are exactly silent, they stay silent.

    Args:
        exponent: alpha.
        stems, channels, sample_rate: see above.
    """

    def __init__(
        self, exponent: float, stems: Sequence[str], channels: int, sample_rate: float
    ) -> None:
        super().__init__(stems, channels, sample_rate)
        self._exponent = exponent

    def change(self, spectra: Spectra) -> Spectra:
        result: Spectra = spectra[:1] * shares(np.abs(spectra[1:]), self._exponent)
        return result


class Redistribution(_SpectralStage):
    """Adds the rest of the mixture to the stems, by their power at each frequency.

    Where all stems are exactly silent, each gets an equal part, so the sum is always the mixture.
    """

    def change(self, spectra: Spectra) -> Spectra:
        part = shares(np.abs(spectra[1:]), 2.0)
        part[:, part.sum(axis=0) == 0] = 1 / len(part)
        rest = spectra[0] - spectra[1:].sum(axis=0)
        result: Spectra = rest * part
        return result

    def _finish(self, frame: Wave, hop: int) -> Wave:
        result: Wave = frame[1:, :, :hop] + self._sum[..., :hop]
        return result
