# SPDX-License-Identifier: GPL-3.0-or-later
"""Instruments of our own: a factory draws a patch, a patch plays notes.

``patch(pitch, seconds)`` is mono float32 at 44.1 kHz, peaking near 1. The factories of the two
splits differ in kind (:data:`FACTORIES`), so validation uses instruments that training never had.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.music.song import Split
from lars_plugin.training.sounds.tones import (
    band,
    frequency,
    harmonics,
    noise,
    play,
    pluck,
    ramp,
    spread,
    times,
    wavetable,
)

__all__ = ["FACTORIES", "Factory", "Patch"]

Wave = NDArray[np.float32]
Generator = np.random.Generator
Patch = Callable[[int, float], Wave]
Factory = Callable[[Generator], Patch]


def _swept(rng: Generator, kind: str, dark: float, bright: float, decay: float) -> Patch:
    """A wave table with a filter that opens at the attack and closes with a time constant."""
    amplitudes = harmonics(rng, kind)
    detune = rng.choice([0.0, 0.0, rng.uniform(3, 15)])
    attack, release = rng.uniform(0.001, 0.01), rng.uniform(0.01, 0.08)
    fall, sustain = rng.uniform(0.2, 2.0), rng.uniform(0.2, 0.9)

    def note(pitch: int, seconds: float) -> Wave:
        hertz, t = frequency(pitch), times(seconds)
        low = wavetable(amplitudes, hertz, rng, max(dark, hertz))
        phase = rng.random()
        high = wavetable(amplitudes, hertz, rng, max(bright, 2 * hertz))
        wave = play(low, hertz, len(t), phase)
        wave += (play(high, hertz, len(t), phase) - wave) * np.exp(-t / np.float32(decay))
        if detune:
            wave += play(low, hertz * 2 ** (detune / 1200), len(t))
        return wave * ramp(t, attack, release, fall, sustain)

    return note


def saw_bass(rng: Generator) -> Patch:
    """A subtractive synthesiser's bass."""
    kind = str(rng.choice(["saw", "square", "pulse"]))
    return _swept(rng, kind, rng.uniform(100, 500), rng.uniform(600, 4000), rng.uniform(0.03, 0.3))


def plucked_bass(rng: Generator) -> Patch:
    """An electric bass, fingered or with a plectrum."""
    bright, sustain, place = rng.uniform(0.0, 0.6), rng.uniform(1.5, 6), rng.uniform(0.08, 0.3)
    cut = rng.uniform(500, 4000)

    def note(pitch: int, seconds: float) -> Wave:
        wave = pluck(rng, frequency(pitch), seconds, bright, sustain, place)
        wave = band(wave, 0, cut)
        return wave / max(float(np.abs(wave).max()), 1e-3) * ramp(times(seconds), 0.001, 0.03)

    return note


def sub_bass(rng: Generator) -> Patch:
    """A sine, a little driven."""
    drive, click = rng.uniform(0.3, 3.0), rng.uniform(0, 0.4)
    attack, release = rng.uniform(0.002, 0.03), rng.uniform(0.02, 0.1)

    def note(pitch: int, seconds: float) -> Wave:
        t = times(seconds)
        bend = 1 + np.float32(click) * np.exp(-t / np.float32(0.012))
        turns = np.cumsum(frequency(pitch) * bend, dtype=np.float64) / SAMPLE_RATE
        wave = np.tanh(np.float32(drive) * np.sin(2 * np.pi * turns).astype(np.float32))
        return np.asarray(wave * ramp(t, attack, release, 2.0, 0.6), np.float32)

    return note


def slap_bass(rng: Generator) -> Patch:
    """A thumb on a string: a hard click, then a bright pluck."""
    sustain, place, click = rng.uniform(1, 4), rng.uniform(0.03, 0.12), rng.uniform(0.2, 0.8)

    def note(pitch: int, seconds: float) -> Wave:
        t = times(seconds)
        wave = pluck(rng, frequency(pitch), seconds, 0.95, sustain, place)
        knock = band(noise(rng, len(t)), 1200, 5000) * np.exp(-t / np.float32(0.004))
        return np.asarray((wave + np.float32(click) * knock) * ramp(t, 0.0005, 0.02), np.float32)

    return note


def growl_bass(rng: Generator) -> Patch:
    """Detuned saws that beat against each other under a slowly moving filter."""
    detune, speed = rng.uniform(8, 35), rng.uniform(0.5, 8)
    dark, bright = rng.uniform(150, 400), rng.uniform(800, 3000)
    amplitudes = harmonics(rng, "saw")

    def note(pitch: int, seconds: float) -> Wave:
        hertz, t = frequency(pitch), times(seconds)
        wave = np.zeros(len(t), np.float32)
        move = 0.5 - 0.5 * np.cos(2 * np.pi * np.float32(speed) * t)
        for cents in (-detune, 0, detune):
            tone, phase = hertz * 2 ** (cents / 1200), rng.random()
            low = play(wavetable(amplitudes, hertz, rng, dark), tone, len(t), phase)
            high = play(wavetable(amplitudes, hertz, rng, bright), tone, len(t), phase)
            wave += low + (high - low) * move
        return np.asarray(wave * np.float32(0.4) * ramp(t, 0.005, 0.03), np.float32)

    return note


def _fm(rng: Generator, ratio: float, index: float, decay: float, ring: float) -> Patch:
    """Two-operator FM whose index falls with the note."""
    attack, release = rng.uniform(0.001, 0.006), rng.uniform(0.03, 0.25)

    def note(pitch: int, seconds: float) -> Wave:
        hertz, t = frequency(pitch), times(seconds)
        turn = np.float32(2 * np.pi)
        depth = np.float32(index * min(1.0, 500 / hertz)) * (
            np.float32(0.15) + np.float32(0.85) * np.exp(-t / np.float32(decay))
        )
        inner = depth * np.sin(turn * np.mod(np.float64(hertz * ratio) * t, 1.0))
        wave = np.sin(turn * np.mod(np.float64(hertz) * t, 1.0) + inner).astype(np.float32)
        return np.asarray(
            wave * np.exp(-t / np.float32(ring)) * ramp(t, attack, release), np.float32
        )

    return note


def fm_bass(rng: Generator) -> Patch:
    """The hard electronic bass of the eighties."""
    return _fm(rng, float(rng.choice([0.5, 1, 1, 2])), rng.uniform(1, 6), rng.uniform(0.05, 0.4), 3)


def electric_piano(rng: Generator) -> Patch:
    """Tines: a soft tone and a bell that dies at once."""
    body = _fm(rng, 1.0, rng.uniform(0.3, 2), rng.uniform(0.3, 1.2), rng.uniform(0.6, 2.0))
    bell = _fm(rng, 14.0, rng.uniform(0.3, 1), 0.1, rng.uniform(0.05, 0.3))
    amount = np.float32(rng.uniform(0, 0.35))
    return lambda pitch, seconds: body(pitch, seconds) + amount * bell(pitch, seconds)


def bells(rng: Generator) -> Patch:
    """FM at a ratio that is not an integer."""
    ratio = float(rng.choice([1.41, 2.76, 3.5, 5.19, 7.13])) * rng.uniform(0.98, 1.02)
    return _fm(rng, ratio, rng.uniform(0.5, 4), rng.uniform(0.2, 1.0), rng.uniform(0.3, 1.5))


def piano(rng: Generator) -> Patch:
    """Stretched partials, the high ones die first; a felt thump at the start."""
    stretch, bright = rng.uniform(1e-4, 6e-4), rng.uniform(0.8, 1.8)
    ring, thump = rng.uniform(0.6, 3.0), rng.uniform(0.0, 0.12)

    def note(pitch: int, seconds: float) -> Wave:
        hertz, t = frequency(pitch), times(min(seconds, 2.5))
        wave = np.zeros(len(t), np.float32)
        for k in range(1, int(min(14, 9000 / hertz)) + 1):
            tone = hertz * k * np.sqrt(1 + stretch * k * k)
            turns = np.mod(tone * t.astype(np.float64) + rng.random(), 1.0).astype(np.float32)
            fade = np.exp(-t * np.float32((0.6 + 0.5 * k) / ring * (hertz / 260) ** 0.5))
            wave += np.float32(k**-bright) * np.sin(np.float32(2 * np.pi) * turns) * fade
        wave += np.float32(thump) * band(noise(rng, len(t)), 150, 1500) * np.exp(-t * 60)
        return np.asarray(wave * np.float32(0.5) * ramp(t, 0.001, 0.08), np.float32)

    return note


def organ(rng: Generator) -> Patch:
    """Drawbars with a key click and a rotating speaker."""
    amplitudes = harmonics(rng, "drawbars", 16)
    speed, depth, click = rng.choice([0.8, 6.5]), rng.uniform(0, 0.3), rng.uniform(0, 0.3)

    def note(pitch: int, seconds: float) -> Wave:
        hertz, t = frequency(pitch), times(seconds)
        sway = np.sin(2 * np.pi * np.float32(speed) * t)
        curve = np.float32(hertz) * (1 + np.float32(0.003 * depth) * sway)
        wave = play(wavetable(amplitudes, hertz, rng), curve.astype(np.float32), len(t))
        wave *= 1 - np.float32(depth) * (0.5 + 0.5 * sway)
        wave += np.float32(click) * band(noise(rng, len(t)), 2000) * np.exp(-t * 250)
        return wave * ramp(t, 0.004, 0.03)

    return note


def _ensemble(rng: Generator, kind: str, cents: float, cut: float, attack: float) -> Patch:
    amplitudes = harmonics(rng, kind, 80)
    release = rng.uniform(0.05, 0.4)

    def note(pitch: int, seconds: float) -> Wave:
        t = times(seconds)
        wave = spread(rng, amplitudes, frequency(pitch), len(t), cents, cut)
        return wave * ramp(t, attack, release)

    return note


def pad(rng: Generator) -> Patch:
    """A soft synthesiser pad."""
    kind = str(rng.choice(["saw", "soft", "pulse"]))
    attack = rng.uniform(0.05, 0.6)
    return _ensemble(rng, kind, rng.uniform(5, 40), rng.uniform(400, 5000), attack)


def strings(rng: Generator) -> Patch:
    """A string section."""
    return _ensemble(
        rng, "saw", rng.uniform(8, 20), rng.uniform(2000, 6000), rng.uniform(0.03, 0.25)
    )


def wide_saws(rng: Generator) -> Patch:
    """The bright stack of dance music."""
    return _ensemble(rng, "saw", rng.uniform(10, 30), rng.uniform(6000, 16000), 0.004)


def choir(rng: Generator) -> Patch:
    """Voices that hold a vowel: an ensemble through two formants."""
    first, second = rng.uniform(350, 800), rng.uniform(900, 2300)
    amplitudes = harmonics(rng, "saw", 80)

    def note(pitch: int, seconds: float) -> Wave:
        t, hertz = times(seconds), frequency(pitch)
        partials = hertz * np.arange(1, 81)
        gain = sum(1 / (1 + ((partials - f) / (0.12 * f + 60)) ** 2) for f in (first, second, 2900))
        weight = (amplitudes * (gain + 0.02)).astype(np.float32)
        return spread(rng, weight, hertz, len(t), 25, 9000) * ramp(t, 0.1, 0.2)

    return note


def brass(rng: Generator) -> Patch:
    """Saws whose brightness swells with the attack."""
    amplitudes, cut = harmonics(rng, "saw", 60), rng.uniform(1500, 5000)
    swell = rng.uniform(0.03, 0.15)

    def note(pitch: int, seconds: float) -> Wave:
        hertz, t = frequency(pitch), times(seconds)
        dull = play(wavetable(amplitudes, hertz, rng, 600), hertz, len(t))
        sharp = play(wavetable(amplitudes, hertz, rng, cut), hertz * 1.003, len(t))
        rise = 1 - np.exp(-t / np.float32(swell))
        return np.asarray(
            (dull * np.float32(0.4) + sharp * rise) * ramp(t, 0.02, 0.05, 0.4, 0.7), np.float32
        )

    return note


def _guitar(rng: Generator, bright: tuple[float, float], sustain: tuple[float, float]) -> Patch:
    edge, ring, place = rng.uniform(*bright), rng.uniform(*sustain), rng.uniform(0.05, 0.35)
    scratch = rng.uniform(0, 0.25)

    def note(pitch: int, seconds: float) -> Wave:
        t = times(seconds)
        wave = pluck(rng, frequency(pitch), seconds, edge, ring, place)
        pick = band(noise(rng, min(len(t), 2205)), 2500)
        wave[: len(pick)] += (
            np.float32(scratch) * pick * np.exp(-t[: len(pick)] / np.float32(0.006))
        )
        return wave * ramp(t, 0.0005, 0.03)

    return note


def steel_guitar(rng: Generator) -> Patch:
    """Steel strings with the plectrum's scratch, which has the treble of a hi-hat."""
    return _guitar(rng, (0.6, 1.0), (1.5, 6.0))


def nylon_guitar(rng: Generator) -> Patch:
    """Nylon strings, plucked by fingers."""
    return _guitar(rng, (0.1, 0.6), (0.8, 3.0))


def clavinet(rng: Generator) -> Patch:
    """Short bright strings under hammers."""
    return _guitar(rng, (0.9, 1.0), (0.3, 1.0))


def mallets(rng: Generator) -> Patch:
    """Wooden or metal bars: a tone, a fourth harmonic, a knock."""
    ring, knock = rng.uniform(0.08, 0.8), rng.uniform(0.05, 0.4)
    over = float(rng.choice([3.9, 2.75, 4.0]))

    def note(pitch: int, seconds: float) -> Wave:
        hertz, t = frequency(pitch), times(min(seconds + 0.2, 5 * ring + 0.1))
        wave = np.sin(2 * np.pi * np.mod(np.float64(hertz) * t, 1)) * np.exp(-t / ring)
        wave += 0.4 * np.sin(2 * np.pi * np.float64(hertz * over) * t) * np.exp(-t * 5 / ring)
        wave += knock * band(noise(rng, len(t)), 500, 4000) * np.exp(-t / 0.004)
        return np.asarray(wave, np.float32) * ramp(t, 0.0005, 0.03)

    return note


def stab(rng: Generator) -> Patch:
    """A short subtractive chord or arpeggio sound."""
    kind = str(rng.choice(["saw", "square", "pulse"]))
    return _swept(
        rng, kind, rng.uniform(200, 1500), rng.uniform(1500, 9000), rng.uniform(0.03, 0.5)
    )


FACTORIES: dict[Split, dict[str, tuple[Factory, ...]]] = {
    "train": {
        "bass": (saw_bass, plucked_bass, plucked_bass, sub_bass, slap_bass),
        "chords": (electric_piano, organ, pad, strings, wide_saws, stab, piano),
        "plucked": (steel_guitar, piano, bells, stab, electric_piano),
    },
    "validation": {
        "bass": (fm_bass, growl_bass),
        "chords": (choir, brass, clavinet),
        "plucked": (nylon_guitar, mallets, clavinet),
    },
}
