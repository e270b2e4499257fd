# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps on short-time spectra: the Wiener filter and the redistribution of what is left.

Frames of about 93 ms (4096 samples at 44.1 kHz, as LarsNet has them), a quarter of that apart,
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
    # Against the largest, so that no power is too small or too large for float32.
    powers: Wave = np.divide(magnitudes, most, out=np.zeros_like(magnitudes), where=most > 0)
    np.power(powers, np.float32(exponent), out=powers)
    powers /= np.maximum(powers.sum(axis=0), 1)  # the largest counts 1 wherever there is any
    return powers


class _SpectralStage(ABC):
    """Overlapping frames of mixture and stems in, changed stems out, the mixture as it was.

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
        """Forget everything, as if new."""
        lead = self._size - self._hop
        # The newest frame so far: silence stands before the input.
        self._frame = np.zeros((*self._shape, self._size), np.float32)
        self._filled = lead
        self._sum = np.zeros((self._shape[0] - 1, self._shape[1], self._size), np.float32)
        self._skip = lead  # of the output: it belongs to the silence
        self._taken = self._given = 0

    def push(self, block: Wave) -> Wave:
        """Take ``(1 + stems, channels, n)``, return what is finished."""
        self._taken += block.shape[2]
        return self._run(block)

    def flush(self) -> Wave:
        """End the input and return the rest; in all as long as the input."""
        missing = self._taken - self._given
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
        """Work on a whole frame and give the samples that no later frame changes."""
        hop, keep = self._hop, self._size - self._hop
        spectra: Spectra = fft.rfft(self._frame * self._window, axis=2)
        made = fft.irfft(self.change(spectra), self._size, axis=2)
        self._sum += made * (self._window / np.float32(_SQUARES))
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
        """Spectra of mixture and stems to those that are returned for the stems."""


class WienerFilter(_SpectralStage):
    """Each stem becomes its share ``|S|^alpha / sum |S|^alpha`` of the mixture's spectrum.

    Where every stem is exactly silent, nobody gets anything of the mixture.

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
        made: Spectra = spectra[:1] * shares(np.abs(spectra[1:]), self._exponent)
        return made


class Redistribution(_SpectralStage):
    """What the stems leave of the mixture is added to them, by their power at each frequency.

    Where every stem is exactly silent, each gets the same part: the sum is the mixture always.
    """

    def change(self, spectra: Spectra) -> Spectra:
        part = shares(np.abs(spectra[1:]), 2.0)
        part[:, part.sum(axis=0) == 0] = 1 / len(part)
        rest = spectra[0] - spectra[1:].sum(axis=0)
        made: Spectra = rest * part
        return made

    def _finish(self, frame: Wave, hop: int) -> Wave:
        made: Wave = frame[1:, :, :hop] + self._sum[..., :hop]
        return made
