# SPDX-License-Identifier: GPL-3.0-or-later
"""Cymbals made of shaped noise, closer to bronze than the electronic ones.

A struck cymbal soon rings in so many modes that it is noise with a spectral envelope, whose
bands decay at their own speeds and whose highest bands swell up only after the stroke (Rossing
2000, "Science of Percussion Instruments", chapter 9). So: noise of random phase in short frames,
an envelope per frequency and time, and a few partials that stand out. Few recorded kits have
cymbals; with these every excerpt can have its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from lars_plugin.synthesis import SAMPLE_RATE

__all__ = ["bronze_sounds"]

Wave = NDArray[np.float32]

_FRAME, _HOP = 1024, 256


def _curve(rng: np.random.Generator, frequencies: NDArray[np.float64], points: int, spread: float
           ) -> NDArray[np.float64]:  # fmt: skip
    """A smooth random curve in dB over log frequency, standard deviation ``spread``."""
    knots = np.linspace(np.log(80.0), np.log(20000.0), points)
    at = np.log(np.maximum(frequencies, 80.0))
    return np.interp(at, knots, rng.normal(0, spread, points))


def _shaped_noise(
    rng: np.random.Generator,
    seconds: float,
    level_db: NDArray[np.float64],
    decay: NDArray[np.float64],
    rise: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Noise whose bins (``_FRAME // 2 + 1`` of them) have a level (dB), decay and rise (s)."""
    frames = int(seconds * SAMPLE_RATE / _HOP) + _FRAME // _HOP + 1
    t = (np.arange(frames) * _HOP / SAMPLE_RATE)[None]
    envelope = np.exp(-t / decay[:, None]) * (1 - 0.8 * np.exp(-t / rise[:, None]))
    phase = rng.uniform(0, 2 * np.pi, (len(decay), frames))
    grain = rng.rayleigh(1.0, (len(decay), frames))
    spectrum = 10 ** (level_db[:, None] / 20) * envelope * grain * np.exp(1j * phase)
    frame_waves = np.fft.irfft(spectrum, axis=0) * np.hanning(_FRAME)[:, None]
    wave = np.zeros(frames * _HOP + _FRAME)
    for index in range(frames):
        wave[index * _HOP : index * _HOP + _FRAME] += frame_waves[:, index]
    # The first frame is centred on the stroke: the cut makes the attack sharp.
    return np.asarray(wave[_FRAME // 2 : _FRAME // 2 + int(seconds * SAMPLE_RATE)])


def _partials(
    rng: np.random.Generator, seconds: float, count: int, low: float, high: float, decay: float
) -> NDArray[np.float64]:
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = np.zeros(len(t))
    for frequency in np.exp(rng.uniform(np.log(low), np.log(high), count)):
        fall = decay * rng.uniform(0.4, 1.4) * (1500.0 / max(frequency, 400.0)) ** 0.4
        wave += (
            rng.rayleigh(1.0)
            * np.exp(-t / fall)
            * np.sin(2 * np.pi * (frequency * t + rng.uniform()))
        )
    return wave / max(float(np.sqrt(np.mean(wave[:4410] ** 2))), 1e-9)


def _cymbal(
    rng: np.random.Generator,
    *,
    seconds: float,
    decay: float,
    bright: tuple[float, float],
    body_db: float,
    rise_ms: tuple[float, float],
    partials: int,
    partial_range: tuple[float, float],
    partial_db: tuple[float, float],
    stick_db: tuple[float, float],
) -> Wave:
    frequencies = np.asarray(np.fft.rfftfreq(_FRAME, 1 / SAMPLE_RATE), np.float64)
    corner = np.exp(rng.uniform(*np.log(bright)))
    octaves = np.log2(np.maximum(frequencies, 40.0) / corner)
    level = np.where(octaves < 0, body_db * -octaves, -rng.uniform(1, 7) * octaves)
    level = np.maximum(level, -70.0) + _curve(rng, frequencies, 9, 3.5)
    # High bands die first, and swell up late.
    tilt = rng.uniform(0.1, 0.6)
    falls = decay * (4000.0 / np.clip(frequencies, 300.0, None)) ** tilt
    falls = np.minimum(falls, 2.5 * decay) * 10 ** (_curve(rng, frequencies, 6, 2.0) / 20)
    swell = rng.uniform(*rise_ms) * 1e-3 * np.clip(frequencies / 5000.0, 0.2, 2.0) + 1e-4
    wave = _shaped_noise(rng, seconds, level, falls, swell)
    wave /= max(float(np.sqrt(np.mean(wave[:4410] ** 2))), 1e-9)
    if partials:
        tone = _partials(rng, seconds, partials, *partial_range, decay)
        wave += tone * 10 ** (rng.uniform(*partial_db) / 20)
    stick = rng.standard_normal(len(wave)) * np.exp(-np.arange(len(wave)) / (SAMPLE_RATE * 0.003))
    stick = signal.lfilter([1, -0.7], [1, -rng.uniform(0, 0.6)], stick)
    wave += stick * 10 ** (rng.uniform(*stick_db) / 20)
    wave[-882:] *= np.linspace(1, 0, 882)
    return (wave / max(float(np.abs(wave).max()), 1e-9)).astype(np.float32)


def _hat(rng: np.random.Generator, decay: float, sizzle: float) -> Wave:
    return _cymbal(
        rng, seconds=min(2.5, 7 * decay), decay=decay, bright=(5000, 11000),
        body_db=-rng.uniform(5, 14), rise_ms=(0.1, 1 + 8 * sizzle),
        partials=int(rng.integers(0, 14)), partial_range=(600, 9000),
        partial_db=(-24, -4), stick_db=(-20, 3),
    )  # fmt: skip


def bronze_sounds(rng: np.random.Generator) -> dict[str, dict[str, Wave]]:
    """Hi-hat, ride and crash of one imaginary kit.

    Returns:
        ``sounds[stem][articulation]``: mono float32 at 44.1 kHz, peaking at 1, attack first.
    """
    state = int(rng.integers(1 << 31))
    closed, opened = rng.uniform(0.015, 0.06), rng.uniform(0.2, 0.7)

    def hat(decay: float, sizzle: float) -> Wave:
        # The same pair of cymbals each time; only the foot moves.
        return _hat(np.random.default_rng(state), decay, sizzle)

    def ride(bell: bool) -> Wave:
        local = np.random.default_rng(state + 1)
        decay = local.uniform(0.5, 1.3)
        return _cymbal(
            local, seconds=3.5, decay=decay, bright=(900, 7000), body_db=-local.uniform(1, 8),
            rise_ms=(2, 40), partials=int(local.integers(4, 30)),
            partial_range=(400, 6000) if bell else (700, 9000),
            partial_db=(0, 12) if bell else (-14, 5), stick_db=(2, 16),
        )  # fmt: skip

    def crash(kind: str) -> Wave:
        short = {"crash": 1.0, "splash": 0.4, "china": 0.7}[kind]
        return _cymbal(
            rng, seconds=4.0 * max(short, 0.5), decay=rng.uniform(0.35, 1.1) * short,
            bright=(300, 7000), body_db=-rng.uniform(0.5, 6), rise_ms=(1, 60),
            partials=int(rng.integers(0, 20)), partial_range=(150, 5000), partial_db=(-26, -2),
            stick_db=(-16, 4),
        )  # fmt: skip

    return {
        "hihat": {
            "closed": hat(closed, 0.0),
            "pedal": hat(closed * 0.8, 0.3),
            "half": hat((closed * opened) ** 0.5, 0.6),
            "open": hat(opened, 1.0),
        },
        "ride": {"bow": ride(False), "bell": ride(True)},
        "crash": {"crash": crash("crash"), "splash": crash("splash"), "china": crash("china")},
    }
