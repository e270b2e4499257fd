# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a finished mixture on its way to a listener, drawn at random.

Stems are ``(stems, 2, samples)`` float32 at 44.1 kHz; results are new memory. Every effect is one
gain or one linear filter for all stems, so they still add up to the mixture: a limiter multiplies
all of them by the gain that it has for their sum.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import ndimage, signal

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.sounds.effects import compressor_gain

__all__ = ["clip", "compress_beside", "flutter", "limit", "noise_of_tape", "resampled_once"]

Wave = NDArray[np.float32]

# Distance between two values of a limiter's gain, in samples.
_HOP = 32


def limit(rng: np.random.Generator, stems: Wave) -> Wave:
    """A limiter that looks ahead, 6 to 12 dB below the peak; the mixture never exceeds it."""
    mixture = stems.sum(0)
    level = np.abs(mixture).max(0)
    peak = float(level.max())
    if peak < 1e-5:
        return np.array(stems)
    most = peak * 10 ** (-rng.uniform(6, 12) / 20)
    coarse = np.pad(level, (0, -len(level) % _HOP)).reshape(-1, _HOP).max(1)
    needed = np.minimum(1.0, most / np.maximum(coarse, 1e-9))
    ahead = 2 * int(rng.integers(1, 5)) + 1  # blocks of 0.7 ms
    held = ndimage.minimum_filter1d(needed, 2 * ahead + 1)
    release = np.exp(-_HOP / SAMPLE_RATE / np.exp(rng.uniform(np.log(0.01), np.log(0.3))))
    gain, state = np.empty_like(held), 1.0
    for index, value in enumerate(held.tolist()):
        state = min(value, 1 - release * (1 - state))
        gain[index] = state
    smooth = ndimage.uniform_filter1d(gain, ahead)
    at = np.arange(len(level)) / _HOP
    whole = np.interp(at, np.arange(len(smooth)) + 0.5, smooth)
    whole = np.minimum(whole, most / np.maximum(level, 1e-9))
    return np.asarray(stems * whole.astype(np.float32), np.float32)


def clip(rng: np.random.Generator, stems: Wave) -> Wave:
    """Hard clipping of the mixture, 1 to 8 dB below its peak."""
    mixture: Wave = np.abs(stems.sum(0))
    most = np.float32(mixture.max() * 10 ** (-rng.uniform(1, 8) / 20))
    gain = np.minimum(np.float32(1), most / np.maximum(mixture, np.float32(1e-9)))
    return np.asarray(stems * gain, np.float32)


def compress_beside(rng: np.random.Generator, stems: Wave) -> Wave:
    """Parallel compression: the mixture plus itself, compressed hard and made louder."""
    gain = compressor_gain(
        stems.sum(0),
        attack=rng.uniform(0.0005, 0.02),
        release=rng.uniform(0.05, 0.3),
        threshold_db=rng.uniform(-40, -24),
        ratio=rng.uniform(6, 20),
    )
    loudest = float(gain.max())
    amount = rng.uniform(0.3, 1.0) / max(float(np.quantile(gain, 0.2)) / loudest, 0.05)
    return np.asarray(stems * (1 + np.float32(amount / loudest) * gain), np.float32)


def flutter(rng: np.random.Generator, stems: Wave) -> Wave:
    """Speed that wavers: slow wow up to 0.3 %, fast flutter up to 0.1 %.

    All stems are read at the same wavering times, by cubic interpolation (Catmull-Rom).
    """
    samples = stems.shape[2]
    t = np.arange(samples) / SAMPLE_RATE
    late = np.zeros(samples)
    for low, high, depth in ((0.4, 2.0, 0.003), (5.0, 14.0, 0.001)):
        rate = 2 * np.pi * rng.uniform(low, high)
        late += rng.uniform(0.1, 1) * depth / rate * np.sin(rate * t + rng.uniform(0, 2 * np.pi))
    at = np.clip(np.arange(samples) + late * SAMPLE_RATE, 0, samples - 1)
    base = at.astype(np.int64)
    x = (at - base).astype(np.float32)
    padded = np.pad(stems, ((0, 0), (0, 0), (1, 2)), mode="edge")
    before, here, after, last = (padded[:, :, base + shift] for shift in range(4))
    slope = (after - before) * np.float32(0.5)
    next_slope = (last - here) * np.float32(0.5)
    rise = after - here
    curve = (slope + next_slope - 2 * rise) * x + (3 * rise - 2 * slope - next_slope)
    return np.asarray(here + x * (slope + x * curve), np.float32)


def noise_of_tape(rng: np.random.Generator, mixture: Wave) -> Wave:
    """Hiss 35 to 70 dB below the mixture's peak, at times with hum ``(2, samples)``.

    In the channels it is as the mixture: the same in both of a mono record, silent in a silent one.
    """
    samples = mixture.shape[1]
    peak = float(np.abs(mixture).max())
    sides = np.asarray(np.any(mixture, axis=1), np.float32)
    mono = bool(np.array_equal(mixture[0], mixture[1]))
    hiss = rng.standard_normal((1 if mono else 2, samples)).astype(np.float32)
    edge = rng.uniform(500, 6000)
    kind = signal.butter(1, edge, "highpass", fs=SAMPLE_RATE, output="sos")
    share = np.float32(rng.uniform(0, 1))
    hiss = share * hiss + (1 - share) * signal.sosfilt(kind, hiss, axis=-1).astype(np.float32)
    hiss *= np.float32(10 ** (-rng.uniform(35, 70) / 20) * peak / (hiss.std() + 1e-9) / 3)
    if rng.random() < 0.3:
        mains = rng.choice([50.0, 60.0])
        t = np.arange(samples) / SAMPLE_RATE
        hum = sum(
            rng.uniform(0, 1) / n * np.sin(2 * np.pi * mains * n * t + rng.uniform(0, 6.28))
            for n in (1, 2, 3, 5)
        )
        hiss += np.asarray(hum * peak * 10 ** (-rng.uniform(40, 65) / 20), np.float32)
    return np.asarray(np.broadcast_to(hiss, (2, samples)) * sides[:, None], np.float32)


def resampled_once(rng: np.random.Generator, stems: Wave) -> Wave:
    """A past at 22.05 or 32 kHz: nothing above, by a real converter."""
    rate = rng.choice([22050.0, 32000.0])
    samples = stems.shape[2]
    rows = stems.reshape(-1, samples).T
    there = soxr.resample(rows, SAMPLE_RATE, rate, quality="HQ")
    back = soxr.resample(there, rate, SAMPLE_RATE, quality="HQ")[:samples]
    result = np.zeros_like(stems)
    result.reshape(-1, samples)[:, : len(back)] = back.T
    return result
