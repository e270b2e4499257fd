# SPDX-License-Identifier: GPL-3.0-or-later
"""Instruments of one voice whose pitch glides from note to note: leads, winds and singers.

A player takes all notes of a part at once and returns ``(samples,)`` float32 at 44.1 kHz. The
singers pronounce consonants: bursts of noise with the treble of a hi-hat, off the drums' grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.music.song import Event, Split
from lars_plugin.training.sounds.tones import band, harmonics, noise, play, wavetable

__all__ = ["PLAYERS", "Player"]

Wave = NDArray[np.float32]
Generator = np.random.Generator
Player = Callable[[Generator, Sequence[Event], int], Wave]

# Formants in Hz of vowels, and their levels in dB, as in any textbook of phonetics.
_VOWELS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "a": ((730, 1090, 2440, 3400), (0, -4, -16, -22)),
    "e": ((530, 1840, 2480, 3500), (0, -10, -15, -22)),
    "i": ((280, 2250, 2900, 3600), (0, -14, -16, -22)),
    "o": ((480, 840, 2410, 3300), (0, -6, -24, -28)),
    "u": ((310, 870, 2250, 3250), (0, -12, -28, -32)),
    "schwa": ((500, 1350, 2400, 3400), (0, -8, -16, -24)),
}

# Consonants: band in Hz (0: open), seconds, level against the vowel.
_CONSONANTS: dict[str, tuple[float, float, float, float]] = {
    "s": (5200, 12000, 0.12, 0.35),
    "sh": (2300, 6500, 0.12, 0.4),
    "f": (1500, 12000, 0.09, 0.12),
    "t": (3500, 9000, 0.03, 0.5),
    "k": (1400, 3500, 0.035, 0.5),
    "p": (300, 1500, 0.02, 0.4),
    "h": (600, 5000, 0.08, 0.12),
}


def _smooth(curve: Wave, seconds: float) -> Wave:
    """A one-pole low pass from its first value on."""
    pole = np.float32(np.exp(-1 / max(seconds * SAMPLE_RATE, 1e-3)))
    start = np.array([pole * curve[0]], np.float32)
    out, _ = signal.lfilter([1 - pole], [1, -pole], curve, zi=start)
    return np.asarray(out, np.float32)


def _curves(
    rng: Generator, events: Sequence[Event], samples: int, glide: float, transpose: int = 0
) -> tuple[Wave, Wave]:
    """Frequency in Hz and level of a line, ``(samples,)`` each; the vibrato sets in late."""
    pitch = np.full(samples, events[0].pitch + transpose, np.float32)
    level = np.zeros(samples, np.float32)
    depth = np.zeros(samples, np.float32)
    wide = rng.uniform(0.0, 0.5)
    for event in events:
        begin = max(0, int(event.onset * SAMPLE_RATE))
        end = min(samples, max(begin, int((event.onset + event.seconds) * SAMPLE_RATE)))
        pitch[begin:] = event.pitch + transpose
        level[begin:end] = event.level
        depth[min(end, begin + 8820) : end] = wide
    t = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    vibrato = np.sin(2 * np.pi * np.float32(rng.uniform(4.5, 6.8)) * t) * _smooth(depth, 0.08)
    pitch = _smooth(pitch, glide) + vibrato
    hertz = np.float32(440) * np.exp2((pitch - 69) / np.float32(12))
    return hertz.astype(np.float32), _smooth(level, rng.uniform(0.004, 0.03))


def _top(hertz: Wave) -> float:
    return float(hertz.max())


def lead(rng: Generator, events: Sequence[Event], samples: int) -> Wave:
    """A synthesiser's lead, sometimes with a glide."""
    hertz, level = _curves(rng, events, samples, rng.choice([0.002, 0.02, 0.06]))
    amplitudes = harmonics(rng, str(rng.choice(["saw", "square", "pulse"])))
    table = wavetable(amplitudes, _top(hertz), rng, rng.uniform(1500, 12000))
    wave = play(table, hertz, samples)
    if rng.random() < 0.5:
        wave += play(table, hertz * np.float32(2 ** (rng.uniform(4, 20) / 1200)), samples)
    return wave * level


def theremin(rng: Generator, events: Sequence[Event], samples: int) -> Wave:
    """A nearly pure tone that slides all the way."""
    hertz, level = _curves(rng, events, samples, rng.uniform(0.05, 0.15))
    table = wavetable(harmonics(rng, "soft"), _top(hertz), rng)
    return play(table, hertz, samples) * _smooth(level, 0.05)


def flute(rng: Generator, events: Sequence[Event], samples: int) -> Wave:
    """A soft tone in its breath."""
    hertz, level = _curves(rng, events, samples, 0.01, 12)
    tone = play(wavetable(harmonics(rng, "soft"), _top(hertz), rng), hertz, samples)
    breath = band(noise(rng, samples), 1500, 8000) * np.float32(rng.uniform(0.02, 0.2))
    return np.asarray((tone + breath) * level, np.float32)


def reed(rng: Generator, events: Sequence[Event], samples: int) -> Wave:
    """A saxophone, roughly: brightness and growl follow the level."""
    hertz, level = _curves(rng, events, samples, 0.015)
    shape = harmonics(rng, "pulse", 60)
    dull = play(wavetable(shape, _top(hertz), rng, 900), hertz, samples)
    sharp = play(wavetable(shape, _top(hertz), rng, 4500), hertz, samples)
    breath = band(noise(rng, samples), 1000, 6000) * np.float32(rng.uniform(0.02, 0.12))
    return np.asarray((dull + sharp * level * level + breath) * level, np.float32)


def _sing(
    rng: Generator, events: Sequence[Event], samples: int, size: float, low: int, high: int
) -> Wave:
    """Sing the notes, moved by octaves into a range, with formants scaled by ``size``."""
    middle = sum(event.pitch for event in events) / len(events)
    transpose = 12 * round(((low + high) / 2 - middle) / 12)
    hertz, level = _curves(rng, events, samples, rng.uniform(0.015, 0.05), transpose)
    jitter = _smooth(noise(rng, samples), 0.01) * np.float32(0.15)
    tilt = np.arange(1, 200, dtype=np.float32) ** -rng.uniform(1.2, 1.9)
    source = play(wavetable(tilt, _top(hertz), rng), hertz * (1 + jitter), samples)
    source += noise(rng, samples) * np.float32(rng.uniform(0.003, 0.04))
    vowels = [str(v) for v in rng.choice(list(_VOWELS), 3, replace=False)]
    spoken = rng.integers(0, 3, len(events))
    wave = np.zeros(samples, np.float32)
    for index, vowel in enumerate(vowels):
        weight = np.zeros(samples, np.float32)
        for event, choice in zip(events, spoken, strict=True):
            begin = max(0, int(event.onset * SAMPLE_RATE))
            weight[begin:] = choice == index
        if weight.any():
            wave += _formants(source, vowel, size) * _smooth(weight, 0.03)
    wave *= level
    scale = float(np.abs(wave).max())
    if scale > 0:
        wave /= scale
    _pronounce(rng, wave, events)
    return wave


def _formants(source: Wave, vowel: str, size: float) -> Wave:
    """A vowel: resonators side by side."""
    out = np.zeros_like(source)
    for hertz, decibels in zip(*_VOWELS[vowel], strict=True):
        centre = hertz * size
        width = 50 + 0.06 * centre
        b, a = signal.iirpeak(centre, centre / width, fs=SAMPLE_RATE)
        part = signal.lfilter(b.astype(np.float32), a.astype(np.float32), source)
        out += np.float32(10 ** (decibels / 20)) * part
    return out


def _pronounce(rng: Generator, wave: Wave, events: Sequence[Event]) -> None:
    """Put consonants before notes, and some after, in place."""
    loudness = rng.uniform(0.4, 1.6)
    rate = rng.uniform(0.4, 0.95)
    result: dict[str, Wave] = {}
    for event in events:
        for after in (False, True):
            if rng.random() > (rate * 0.4 if after else rate):
                continue
            name = str(rng.choice(list(_CONSONANTS)))
            low, high, seconds, level = _CONSONANTS[name]
            length = int(seconds * rng.uniform(0.7, 1.4) * SAMPLE_RATE)
            if name not in result:
                result[name] = band(noise(rng, 8820), low * rng.uniform(0.85, 1.15), high)
            x = np.linspace(0, 1, length, dtype=np.float32)
            # Plosives start at once, fricatives swell.
            shape = np.exp(-5 * x) if seconds < 0.05 else np.sqrt(np.maximum(np.sin(np.pi * x), 0))
            burst = result[name][600 : 600 + length] * shape * np.float32(level * loudness * 0.5)
            at = event.onset + (event.seconds if after else -0.6 * seconds)
            begin = int(at * SAMPLE_RATE)
            first = max(0, -begin)
            stop = min(length, len(wave) - begin)
            if stop > first:
                wave[begin + first : begin + stop] += burst[first:stop] * np.float32(event.level)


def deep_singer(rng: Generator, events: Sequence[Event], samples: int) -> Wave:
    """A long vocal tract: tenor or alto."""
    return _sing(rng, events, samples, rng.uniform(0.88, 1.06), 48, 64)


def high_singer(rng: Generator, events: Sequence[Event], samples: int) -> Wave:
    """A short vocal tract: soprano or child."""
    return _sing(rng, events, samples, rng.uniform(1.12, 1.3), 62, 79)


def speaker(rng: Generator, events: Sequence[Event], samples: int) -> Wave:
    """Rapid speech on a falling pitch: syllables twice as dense as the notes."""
    syllables: list[Event] = []
    for event in events:
        count = int(rng.integers(1, 4))
        for index in range(count):
            part = event.seconds / count
            pitch = 48 + int(rng.integers(-3, 4)) - 2 * index
            syllables.append(Event(event.onset + index * part, part * 0.85, pitch, event.level))
    return _sing(rng, syllables, samples, rng.uniform(0.9, 1.1), 42, 56)


PLAYERS: dict[Split, tuple[Player, ...]] = {
    "train": (lead, lead, theremin, deep_singer, deep_singer, deep_singer, speaker),
    "validation": (flute, reed, high_singer, high_singer),
}
