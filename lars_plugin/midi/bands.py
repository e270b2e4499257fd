# SPDX-License-Identifier: GPL-3.0-or-later
"""Energies in bands, frame by frame, the same for every block split.

Frame k is centred ``k * hop`` samples after the start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError

__all__ = ["BANDS", "EDGES", "FINE_BANDS", "FRAME_RATE", "BandStream", "coarse"]

# Frames per second, nearly: the hop is a whole number of samples.
FRAME_RATE = 200

# Hz; every second is an edge of the coarse bands. Kicks are in the lowest, cymbals in the highest.
EDGES = (
    25.0, 60.0, 90.0, 130.0, 180.0, 260.0, 350.0, 500.0, 700.0, 1000.0, 1400.0, 2000.0, 2800.0,
    4000.0, 5600.0, 7500.0, 9000.0, 11000.0, 13000.0, 16000.0, 20000.0,
)  # fmt: skip
FINE_BANDS = len(EDGES) - 1
# Coarse bands of two fine ones each, for uses that need few numbers.
BANDS = FINE_BANDS // 2

_WINDOW_SECONDS = 0.02
# Frames per call of the FFT: bounds memory.
_GROUP = 512

Energies = NDArray[np.float32]


class BandStream:
    """Turns blocks of several waves into band energies.

    Args:
        signals: how many waves run in parallel.
        channels: of each; their energies are added, so opposite phases do not cancel.
        sample_rate: Hz.

    Raises:
        InputError: a rate below 8 kHz.
    """

    def __init__(self, signals: int, channels: int, sample_rate: float) -> None:
        if sample_rate < 8000:
            raise InputError(f"hits need a rate of 8000 Hz or more, got {sample_rate:g}")
        self.hop = round(sample_rate / FRAME_RATE)
        self.window = 1 << (round(_WINDOW_SECONDS * sample_rate) - 1).bit_length()
        self.sample_rate = sample_rate
        self._shape = (signals, channels)
        self._hann = np.hanning(self.window + 1)[:-1].astype(np.float32)
        bins = np.arange(self.window // 2 + 1) * sample_rate / self.window
        self._starts = np.searchsorted(bins, EDGES)
        self.reset()

    @property
    def latency_samples(self) -> int:
        """A frame is complete when this many samples after its centre have been pushed."""
        return self.window // 2

    def reset(self) -> None:
        """Back to the initial state."""
        self._held = np.zeros((*self._shape, self.window // 2), np.float32)

    def push(self, block: NDArray[np.float32]) -> Energies:
        """Take ``(signals, channels, n)`` and return the frames that are complete.

        Returns:
            ``(signals, m, FINE_BANDS)`` float32: mean square of the wave in each band, about.
        """
        wave = np.concatenate([self._held, block], axis=2)
        count = max(0, (wave.shape[2] - self.window) // self.hop + 1)
        out = np.empty((self._shape[0], count, FINE_BANDS), np.float32)
        if not count:
            self._held = wave
            return out
        view = np.lib.stride_tricks.sliding_window_view(wave, self.window, axis=2)
        for start in range(0, count, _GROUP):
            stop = min(count, start + _GROUP)
            frames = view[:, :, start * self.hop : (stop - 1) * self.hop + 1 : self.hop]
            # Only when told to divide by the length does NumPy stay in single precision.
            spectra = np.fft.rfft(frames * (self.window * self._hann), axis=-1, norm="forward")
            power = (spectra.real**2 + spectra.imag**2).sum(axis=1)
            out[:, start:stop] = self._sums(power)
        self._held = wave[:, :, count * self.hop :].copy()
        return out

    def flush(self) -> Energies:
        """The frames whose windows reach beyond the end, followed by silence."""
        return self.push(np.zeros((*self._shape, self.window // 2), np.float32))

    def _sums(self, power: NDArray[np.floating]) -> Energies:
        sums = np.zeros((*power.shape[:-1], FINE_BANDS), np.float64)
        for band, (low, high) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            sums[..., band] = power[..., low:high].sum(axis=-1)
        sums /= self.window * self._hann.sum()
        return sums.astype(np.float32)


def coarse(energies: Energies) -> Energies:
    """Energies ``(..., BANDS)`` of fine ones ``(..., FINE_BANDS)``."""
    return np.asarray(energies[..., ::2] + energies[..., 1::2])
