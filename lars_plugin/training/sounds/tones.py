# SPDX-License-Identifier: GPL-3.0-or-later
"""Pitched sound from arithmetic, fast: wave tables, spread spectra, plucked strings, FM.

Everything is mono float32 at 44.1 kHz. A note takes a few milliseconds, so an excerpt with
a hundred notes is rendered much faster than real time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from lars_plugin.synthesis import SAMPLE_RATE

__all__ = [
    "band",
    "frequency",
    "harmonics",
    "noise",
    "play",
    "pluck",
    "ramp",
    "spread",
    "times",
    "wavetable",
]

Wave = NDArray[np.float32]
Generator = np.random.Generator

_TABLE = 2048


def frequency(pitch: float) -> float:
    """Hz of a MIDI pitch."""
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def times(seconds: float) -> Wave:
    """Sample times in seconds from 0."""
    samples = max(64, int(seconds * SAMPLE_RATE))
    return np.asarray(np.arange(samples, dtype=np.float32) / np.float32(SAMPLE_RATE))


def noise(rng: Generator, samples: int) -> Wave:
    """White noise of unit variance."""
    return np.asarray(rng.standard_normal(samples, dtype=np.float32))


def band(wave: Wave, low: float, high: float | None = None, order: int = 2) -> Wave:
    """A Butterworth band pass in Hz; a high pass without ``high``, a low pass with low 0."""
    if high is None:
        sos = signal.butter(order, low, "highpass", fs=SAMPLE_RATE, output="sos")
    elif low <= 0:
        sos = signal.butter(order, high, "lowpass", fs=SAMPLE_RATE, output="sos")
    else:
        sos = signal.butter(order, [low, high], "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(sos.astype(np.float32), wave, axis=-1), np.float32)


def ramp(t: Wave, attack: float, release: float, decay: float = 0.0, sustain: float = 1.0) -> Wave:
    """Envelope over the times of a note: rise, fall towards a level, and an end without click."""
    level: Wave = np.minimum(1.0, t / np.float32(max(attack, 1e-4))).astype(np.float32)
    if decay > 0:
        level *= np.float32(sustain) + np.float32(1 - sustain) * np.exp(-t / np.float32(decay))
    tail = min(len(t), max(2, int(release * SAMPLE_RATE)))
    level[-tail:] *= np.linspace(1, 0, tail, dtype=np.float32)
    return level


def harmonics(rng: Generator, kind: str, count: int = 400) -> Wave:
    """Amplitudes of the partials 1, 2, ... of a textbook wave, a little detuned from the book.

    Args:
        rng: draws the deviations.
        kind: "saw", "square", "pulse", "soft" (a flute's or a sine's) or "drawbars".
        count: partials.
    """
    k = np.arange(1, count + 1, dtype=np.float32)
    if kind == "square":
        amplitudes = (k % 2) / k
    elif kind == "pulse":
        amplitudes = np.abs(np.sin(np.pi * k * rng.uniform(0.05, 0.45))) / k
    elif kind == "soft":
        amplitudes = k ** -rng.uniform(2.2, 4.0)
    elif kind == "drawbars":
        amplitudes = np.zeros(count)
        for partial in (1, 2, 3, 4, 6, 8, 10, 12, 16):
            amplitudes[partial - 1] = rng.random() ** 1.5 / partial**0.3
        amplitudes[0] += 0.5
    else:
        amplitudes = 1 / k
    wobble = np.exp(rng.normal(0, 0.25, count))
    return np.asarray(amplitudes * wobble, np.float32)


def wavetable(amplitudes: Wave, hertz: float, rng: Generator, cut: float = 18000.0) -> Wave:
    """One period of a wave whose highest partial stays below ``cut`` Hz, peaking at 1.

    Args:
        amplitudes: of the partials 1, 2, ...
        hertz: the highest frequency it will be played at.
        rng: draws the phases.
        cut: Hz; partials above it fade.
    """
    count = int(min(len(amplitudes), _TABLE // 2 - 1, max(1, 18000 / hertz)))
    k = np.arange(1, count + 1)
    weight = amplitudes[:count] / np.sqrt(1 + (k * hertz / cut) ** 6)
    spectrum = np.zeros(_TABLE // 2 + 1, np.complex64)
    spectrum[1 : count + 1] = weight * np.exp(2j * np.pi * rng.random(count))
    table = fft.irfft(spectrum)
    return np.asarray(table / max(float(np.abs(table).max()), 1e-9), np.float32)


def play(table: Wave, hertz: float | Wave, samples: int, phase: float = 0.0) -> Wave:
    """A wave table at a frequency, or along a curve of frequencies ``(samples,)``."""
    if isinstance(hertz, np.ndarray):
        turns = np.asarray(np.cumsum(hertz, dtype=np.float64) / SAMPLE_RATE + phase)
    else:
        turns = np.arange(samples, dtype=np.float64) * (hertz / SAMPLE_RATE) + phase
    at = ((turns - np.floor(turns)) * _TABLE).astype(np.float32)
    whole = at.astype(np.int32)
    part = at - whole
    whole &= _TABLE - 1
    following = np.roll(table, -1)
    return np.asarray(table[whole] * (1 - part) + following[whole] * part, np.float32)


def spread(
    rng: Generator, amplitudes: Wave, hertz: float, samples: int, cents: float, cut: float
) -> Wave:
    """Many players at once: each partial is a narrow band with random phases, one inverse FFT.

    Args:
        rng: draws the phases.
        amplitudes: of the partials 1, 2, ...
        hertz: of the first partial.
        samples: length; the wave repeats without a seam.
        cents: standard deviation of a partial's band.
        cut: Hz; partials above it fade.
    """
    size = fft.next_fast_len(samples, real=True)
    spectrum = np.zeros(size // 2 + 1, np.complex64)
    bin_hertz = SAMPLE_RATE / size
    for index, amplitude in enumerate(amplitudes[: int(max(1, 16000 / hertz))]):
        centre = hertz * (index + 1)
        width = max(1.0, centre * (2 ** (cents / 1200) - 1) / bin_hertz)
        reach = int(3 * width) + 1
        middle = centre / bin_hertz
        first = max(1, round(middle) - reach)
        bins = np.arange(first, min(round(middle) + reach + 1, len(spectrum)))
        weight = amplitude / np.sqrt(1 + (centre / cut) ** 4) / np.sqrt(width)
        shape = weight * np.exp(-0.5 * ((bins - middle) / width) ** 2)
        spectrum[bins] += shape * np.exp(2j * np.pi * rng.random(len(bins)))
    wave = fft.irfft(spectrum, size)[:samples]
    return np.asarray(wave / max(float(np.abs(wave).max()), 1e-9), np.float32)


def pluck(
    rng: Generator, hertz: float, seconds: float, bright: float, sustain: float, place: float
) -> Wave:
    """A plucked string after Karplus and Strong, peaking at about 1.

    Args:
        rng: draws the pluck.
        hertz: the note.
        seconds: its length.
        bright: 0 to 1, how sharp the plectrum is.
        sustain: seconds in which it decays by 60 dB, roughly.
        place: where it is plucked, as a part of the string.
    """
    samples = max(64, int(seconds * SAMPLE_RATE))
    # The averaging filter delays by half a sample; the rest of the tuning is resampling.
    exact = SAMPLE_RATE / hertz - 0.5
    period = max(8, int(exact))
    rows = int(samples * (period + 0.5) / (exact + 0.5)) // period + 3
    line = noise(rng, period)
    smooth = max(1, int((1 - bright) * period / 12))
    if smooth > 1:
        kernel = np.ones(smooth, np.float32) / smooth
        line = np.convolve(np.concatenate([line, line[: smooth - 1]]), kernel, "valid")
    line = line - np.roll(line, max(1, int(place * period)))
    line -= line.mean()
    line = (line / max(float(np.abs(line).max()), 1e-6)).astype(np.float32)
    loss = np.float32(0.5 * 0.001 ** (1 / (hertz * sustain)))
    out = np.empty((rows, period), np.float32)
    last = np.float32(0.0)
    for row in range(rows):
        out[row] = line
        # y[n] = loss * (y[n - P] + y[n - P - 1])
        following = line * loss
        following[1:] += line[:-1] * loss
        following[0] += last * loss
        last = line[-1]
        line = following
    flat = out.reshape(-1)
    step = (period + 0.5) / (exact + 0.5)
    at = np.arange(samples) * step
    return np.asarray(np.interp(at, np.arange(len(flat)), flat), np.float32)
