# SPDX-License-Identifier: GPL-3.0-or-later
"""What ADTOF hears: a spectrogram in twelve bands an octave, a hundred times a second.

Magnitudes, not powers; of the mean of all channels; not normalised: the network was trained on
records as they are, and a quiet recording is a quiet one to it.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError

__all__ = ["BANDS", "log_filters", "log_spectrum"]

SAMPLE_RATE = 44100
HOP = 441
N_FFT = 2048
BANDS = 84
_LOW, _HIGH, _PER_OCTAVE = 20.0, 20000.0, 12
# Frames transformed at once: bounds memory.
_GROUP = 2048

Floats = NDArray[np.float32]


@functools.cache
def log_filters() -> Floats:
    """Triangles of sum 1 around the bins nearest to the notes of a scale, ``(BANDS, N_FFT / 2)``.

    In the bass several notes have the same bin, which counts once.
    """
    count = int(np.log2(_HIGH / _LOW) * _PER_OCTAVE) + 1
    notes = _LOW * 2 ** (np.arange(count) / _PER_OCTAVE)
    corners = np.unique(np.rint(notes * N_FFT / SAMPLE_RATE))
    bins = np.arange(N_FFT // 2)
    rows = [
        np.interp(bins, corners[first : first + 3], (0.0, 1.0, 0.0))
        for first in range(len(corners) - 2)
    ]
    return np.asarray([row / row.sum() for row in rows], np.float32)


def log_spectrum(wave: NDArray[np.floating]) -> Floats:
    """The spectrogram of a recording at 44.1 kHz.

    Args:
        wave: ``(channels, samples)``, nominal ±1.

    Returns:
        ``(frames, BANDS)`` float32, ``log10(1 + magnitude)``; frame k is centred on ``k * HOP``,
        and the last lies at the end of the recording or just before; none for no samples.

    Raises:
        InputError: another shape.
    """
    if wave.ndim != 2 or not wave.shape[0]:
        raise InputError(f"a recording is (channels, samples), got {wave.shape}")
    samples = wave.shape[1]
    if not samples:
        return np.zeros((0, BANDS), np.float32)
    count = 1 + samples // HOP
    mono = np.asarray(wave, np.float32).mean(axis=0)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mono, N_FFT // 2), N_FFT)[::HOP]
    window = np.hanning(N_FFT).astype(np.float32)
    filters = log_filters().T
    levels = np.empty((count, BANDS), np.float32)
    for begin in range(0, count, _GROUP):
        spectra = np.fft.rfft(frames[begin : begin + _GROUP] * window, axis=1)
        magnitudes = np.abs(spectra[:, : N_FFT // 2]).astype(np.float32)
        levels[begin : begin + _GROUP] = np.log10(1 + magnitudes @ filters)
    return levels
