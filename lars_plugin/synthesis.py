# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic drum sounds: electronic kits for training and for the demo.

Every sound is mono float32 at :data:`SAMPLE_RATE`, starts at its attack, and peaks at 1.
The recipes are the textbook ones: swept sines for kick and toms, a tone plus filtered noise
for the snare, sums of inharmonic partials plus high-passed noise for the cymbals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

__all__ = ["SAMPLE_RATE", "SynthKit", "random_kit"]

SAMPLE_RATE = 44100

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class SynthKit:
    """One kit: ``sounds[stem][articulation]`` is a mono float32 wave peaking at 1."""

    sounds: dict[str, dict[str, Wave]]


def _finish(wave: NDArray[np.float64]) -> Wave:
    fade = min(len(wave), 441)
    wave[-fade:] *= np.linspace(1.0, 0.0, fade)
    return (wave / max(float(np.abs(wave).max()), 1e-9)).astype(np.float32)


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _sweep(t: NDArray[np.float64], start: float, end: float, speed: float) -> NDArray[np.float64]:
    """Sine whose frequency falls from start to end (Hz) with time constant speed (s)."""
    phase = end * t + (start - end) * speed * (1 - np.exp(-t / speed))
    return np.asarray(np.sin(2 * np.pi * phase))


def _band(noise: NDArray[np.float64], low: float, high: float | None = None) -> NDArray[np.float64]:
    kind, edges = ("highpass", low) if high is None else ("bandpass", [low, high])
    sos = signal.butter(2, edges, kind, fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(sos, noise))


def kick(rng: np.random.Generator) -> Wave:
    decay = rng.uniform(0.05, 0.35)
    t = _time(min(1.2, decay * 6))
    end = rng.uniform(38, 75)
    body = _sweep(t, end * rng.uniform(2, 6), end, rng.uniform(0.008, 0.05)) * np.exp(-t / decay)
    click = _band(rng.standard_normal(len(t)), rng.uniform(800, 3000)) * np.exp(-t / 0.004)
    return _finish(np.tanh(body * rng.uniform(1, 3)) + click * rng.uniform(0, 0.5))


def snare(rng: np.random.Generator) -> Wave:
    decay = rng.uniform(0.05, 0.22)
    t = _time(decay * 6)
    pitch = rng.uniform(140, 280)
    tone = sum(
        _sweep(t, pitch * k * rng.uniform(1.0, 1.6), pitch * k, 0.01)
        * np.exp(-t / (decay * rng.uniform(0.3, 0.9)))
        * rng.uniform(0.2, 1.0)
        for k in (1.0, 1.59, 2.3)
    )
    noise = _band(rng.standard_normal(len(t)), rng.uniform(500, 2500)) * np.exp(-t / decay)
    return _finish(tone * rng.uniform(0.2, 0.8) + noise * rng.uniform(0.3, 1.0))


def sidestick(rng: np.random.Generator) -> Wave:
    t = _time(0.12)
    tone = sum(
        np.sin(2 * np.pi * f * t) * np.exp(-t / rng.uniform(0.006, 0.02))
        for f in (rng.uniform(350, 600), rng.uniform(1400, 2000), rng.uniform(2500, 3500))
    )
    click = _band(rng.standard_normal(len(t)), 1500) * np.exp(-t / 0.005)
    return _finish(np.asarray(tone) + click * rng.uniform(0.2, 1))


def tom(rng: np.random.Generator, register: float) -> Wave:
    """A tom; register 0 is the lowest drum, 1 the highest."""
    end = 65 * 2 ** (1.6 * register) * rng.uniform(0.85, 1.2)
    decay = rng.uniform(0.12, 0.45)
    t = _time(min(2.0, decay * 6))
    body = _sweep(t, end * rng.uniform(1.1, 1.8), end, rng.uniform(0.02, 0.08))
    over = _sweep(t, end * 1.8, end * 1.59, 0.03) * np.exp(-t / (decay * 0.5))
    stick = _band(rng.standard_normal(len(t)), 400, 4000) * np.exp(-t / 0.008)
    wave = body * np.exp(-t / decay) + over * rng.uniform(0, 0.4) + stick * rng.uniform(0, 0.4)
    return _finish(wave)


def _metal(
    rng: np.random.Generator, t: NDArray[np.float64], low: float, high: float, partials: int
) -> NDArray[np.float64]:
    wave = np.zeros(len(t))
    for frequency in rng.uniform(low, high, partials):
        wave += np.sin(2 * np.pi * (frequency * t + rng.uniform())) * np.exp(
            -t * rng.uniform(0.5, 2.5) * (frequency / 4000) ** 0.5
        )
    return np.asarray(wave / partials**0.5)


def hihat(rng: np.random.Generator, seconds: float) -> Wave:
    """A hi-hat that decays by 60 dB in about the given time."""
    decay = seconds / 6.9
    t = _time(seconds)
    noise = _band(rng.standard_normal(len(t)), rng.uniform(4000, 8000))
    metal = _band(_metal(rng, t, 3000, 12000, 12), 5000)
    return _finish((noise * 0.5 + metal * rng.uniform(0, 1.2)) * np.exp(-t / decay))


def ride(rng: np.random.Generator, bell: bool) -> Wave:
    decay = rng.uniform(0.35, 0.9)
    t = _time(min(3.5, decay * 5))
    ping = _metal(rng, t, 500 if bell else 2200, 4500 if bell else 7000, 6 if bell else 10)
    wash = _band(rng.standard_normal(len(t)), rng.uniform(4000, 7000))
    attack = np.exp(-t / 0.02)
    wave = ping * rng.uniform(0.6, 1.2) + wash * (0.15 * rng.uniform(0.3, 1) + 0.4 * attack)
    return _finish(wave * np.exp(-t / decay))


def crash(rng: np.random.Generator) -> Wave:
    decay = rng.uniform(0.3, 1.1)
    t = _time(min(4.0, decay * 5))
    noise = rng.standard_normal(len(t))
    body = _band(noise, rng.uniform(250, 900)) * np.exp(-t / (decay * 0.4))
    top = _band(noise, rng.uniform(2500, 6000)) * np.exp(-t / decay)
    metal = _metal(rng, t, 400, 9000, 24)
    swell = 1 - 0.7 * np.exp(-t / rng.uniform(0.002, 0.03))
    return _finish((body * 0.5 + top + metal * rng.uniform(0.1, 0.6)) * swell * np.exp(-t / decay))


def random_kit(rng: np.random.Generator) -> SynthKit:
    """A random kit; the same generator state gives the same kit."""
    closed, opened = rng.uniform(0.04, 0.2), rng.uniform(0.4, 1.5)
    recipes: dict[str, dict[str, Callable[[], Wave]]] = {
        "kick": {"kick": lambda: kick(rng)},
        "snare": {"center": lambda: snare(rng), "sidestick": lambda: sidestick(rng)},
        "toms": {
            "high": lambda: tom(rng, 1.0),
            "mid": lambda: tom(rng, 0.5),
            "low": lambda: tom(rng, 0.0),
        },
        "hihat": {
            "closed": lambda: hihat(rng, closed),
            "pedal": lambda: hihat(rng, closed * 0.7),
            "half": lambda: hihat(rng, (closed + opened) / 2),
            "open": lambda: hihat(rng, opened),
        },
        "ride": {"bow": lambda: ride(rng, False), "bell": lambda: ride(rng, True)},
        "crash": {"crash": lambda: crash(rng)},
    }
    return SynthKit(
        {stem: {name: make() for name, make in sounds.items()} for stem, sounds in recipes.items()}
    )
