# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transcriber hears: levels in mel bands, a hundred times a second."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError

__all__ = [
    "BANDS",
    "FIRST_REFERENCE_DB",
    "FRAMES_PER_SECOND",
    "HOP",
    "N_FFT",
    "SAMPLE_RATE",
    "frame_powers",
    "mel_filters",
    "mel_levels",
    "mel_powers",
    "running_levels",
]

SAMPLE_RATE = 44100
FRAMES_PER_SECOND = 100
HOP = SAMPLE_RATE // FRAMES_PER_SECOND
N_FFT = 2048
BANDS = 84
_LOW, _HIGH = 20.0, 20000.0

# Below this against the loudest frame nothing is heard; levels are given in units of 20 dB.
_FLOOR_DB, _UNIT_DB = -80.0, 20.0
# Live, the loudest frame so far is the reference: this one at the start, and it falls by so many
# decibels a second.
FIRST_REFERENCE_DB = -30.0
_FALL_DB = 0.5
# It stays in this range, so that noise in a pause is not raised, nor one absurd sample makes the
# rest of a stream silent.
_QUIETEST_DB, _LOUDEST_DB = -60.0, 20.0
# Powers count no more than this: far above full scale, where sums would overflow.
_MOST = np.float32(1e8)
# The filters are averaged over this many points of a bin: the lowest are as narrow as one.
_POINTS = 16
# Seconds whose loudest frames are compared, to find how loud a recording is where it is loud.
_WINDOW = 5
# Frames transformed at once: bounds memory.
_GROUP = 2048

Floats = NDArray[np.float32]


def _mel(hertz: float) -> float:
    """O'Shaughnessy's scale (D. O'Shaughnessy, "Speech communication", 1987)."""
    return float(2595 * np.log10(1 + hertz / 700))


@functools.cache
def mel_filters() -> Floats:
    """Triangles of equal height on the mel scale, ``(BANDS, N_FFT // 2 + 1)``.

    Each value is the mean of the triangle over the width of a bin, so no band is empty.
    """
    edges = 700 * (10 ** (np.linspace(_mel(_LOW), _mel(_HIGH), BANDS + 2) / 2595) - 1)
    bins = N_FFT // 2 + 1
    points = (np.arange(bins * _POINTS) + 0.5) / _POINTS - 0.5
    hertz = points * SAMPLE_RATE / N_FFT
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (hertz - low) / (centre - low), (high - hertz) / (high - centre)
    triangles = np.maximum(np.minimum(rising, falling), 0)
    return np.asarray(triangles.reshape(BANDS, bins, _POINTS).mean(axis=2), np.float32)


@functools.cache
def _window() -> Floats:
    """A Hann window after which a sine of amplitude 1 has power 1 in its bin."""
    return np.asarray(np.hanning(N_FFT + 1)[:-1] / (N_FFT / 4), np.float32)


def mel_powers(wave: NDArray[np.floating]) -> Floats:
    """Powers ``(frames, BANDS)`` of a recording at 44.1 kHz, the mean of its channels'.

    The mean of powers hears a signal that is inverted in one channel, which a sum would cancel.

    Args:
        wave: ``(channels, samples)``.

    Returns:
        float32, a frame for every :data:`HOP` samples begun; frame k is centred on ``k * HOP``.

    Raises:
        InputError: another shape.
    """
    if wave.ndim != 2 or not wave.shape[0]:
        raise InputError(f"a recording is (channels, samples), got {wave.shape}")
    channels, samples = wave.shape
    count = -(-samples // HOP)
    powers = np.zeros((count, BANDS), np.float32)
    if not count:
        return powers
    room = max(0, (count - 1) * HOP + N_FFT - samples - N_FFT // 2)
    for channel in wave:
        padded = np.pad(np.asarray(channel, np.float32), (N_FFT // 2, room))
        frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
        for begin in range(0, count, _GROUP):
            powers[begin : begin + _GROUP] += frame_powers(frames[:count][begin : begin + _GROUP])
    powers /= channels
    return powers


def frame_powers(frames: Floats) -> Floats:
    """Powers ``(n, BANDS)`` of pieces ``(n, N_FFT)`` of one channel."""
    # Only when told to divide by the length does NumPy stay in single precision.
    spectra = np.fft.rfft(frames * (N_FFT * _window()), axis=1, norm="forward")
    with np.errstate(over="ignore"):
        energy = np.minimum(spectra.real**2 + spectra.imag**2, _MOST)
    return np.asarray(energy @ mel_filters().T, np.float32)


def loudness(powers: Floats) -> float:
    """The power of the loudest frames: the upper fifth of the loudest frames of each five seconds.

    A single click in a minute that is louder than all drums does not count, and after a short
    passage the noise of a long pause is not taken for the loud part: nothing below -40 dB is.
    """
    totals = powers.sum(axis=1)
    if not len(totals):
        return 0.0
    width = _WINDOW * FRAMES_PER_SECOND
    loudest = [float(totals[begin : begin + width].max()) for begin in range(0, len(totals), width)]
    return max(float(np.quantile(loudest, 0.8, method="higher")), 1e-4 * max(loudest))


def mel_levels(powers: Floats) -> Floats:
    """Levels as the network takes them: 2 is as loud as the loudest frames, -2 is silence.

    Args:
        powers: ``(frames, BANDS)`` of :func:`mel_powers`.

    Returns:
        ``(frames, BANDS)`` float32 in [-2, about 2.5]; silence is -2 everywhere.
    """
    reference = max(loudness(powers), 1e-30)
    decibels = 10 * np.log10(powers / reference + 10 ** (_FLOOR_DB / 10))
    return np.asarray(np.maximum(decibels, _FLOOR_DB) / _UNIT_DB + 2, np.float32)


def running_levels(powers: Floats, reference: float) -> tuple[Floats, float]:
    """The same levels for live use: against the loudest frame so far, which fades by 0.5 dB/s.

    It counts as at least -60 dB, where a sine of full scale has 0: softer drums are missed.

    Args:
        powers: ``(frames, BANDS)``, the next of a stream.
        reference: dB; the loudest frame up to now, as returned before.

    Returns:
        Levels as of :func:`mel_levels`, and the reference for the frames that come next. Many
        calls give what one gives.
    """
    fall = _FALL_DB / FRAMES_PER_SECOND
    totals = 10 * np.log10(powers.sum(axis=1, dtype=np.float64) + 1e-30)
    references = np.empty(len(powers))
    for index, total in enumerate(totals):
        loudest = max(float(total), reference - fall, _QUIETEST_DB)
        reference = references[index] = min(loudest, _LOUDEST_DB)
    relative = powers / (10 ** (references[:, None] / 10)) + 10 ** (_FLOOR_DB / 10)
    levels = np.maximum(10 * np.log10(relative), _FLOOR_DB) / _UNIT_DB + 2
    return np.asarray(levels, np.float32), reference
