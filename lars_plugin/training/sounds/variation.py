# SPDX-License-Identifier: GPL-3.0-or-later
"""Variations of recorded drums, so that a network does not memorise the kits.

Five recorded kits are few. For each instrument of each excerpt a :class:`Timbre` is drawn: its
pitch, a rough equaliser curve that reweights its partials, how fast its high and low bands
die, how hard its attack is. All hits of the instrument share it, as they would share a drum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from lars_plugin.synthesis import SAMPLE_RATE

__all__ = ["Timbre", "draw_timbre"]

Wave = NDArray[np.float32]

_CYMBALS = ("hihat", "ride", "crash")
_TAPS = 1024


@dataclass(frozen=True)
class Timbre:
    """How an instrument differs from its recording.

    Attributes:
        rate: resampling factor; 2 is an octave up and half as long.
        damping: extra decay of the low and the high band, in nepers per second.
        attack_db: gain of the first milliseconds.
        attack_seconds: how fast that gain fades.
        colour: impulse response ``(taps,)`` of the equaliser, or None.
    """

    rate: float = 1.0
    damping: tuple[float, float] = (0.0, 0.0)
    attack_db: float = 0.0
    attack_seconds: float = 0.01
    colour: NDArray[np.float32] | None = None

    def apply(self, wave: Wave) -> Wave:
        """A hit ``(channels, samples)`` float32 as this instrument would play it (new memory)."""
        wave = np.array(wave, np.float32)
        if abs(self.rate - 1.0) > 1e-3:
            length = max(2, int(wave.shape[1] / self.rate))
            at = np.arange(length) * self.rate
            grid = np.arange(wave.shape[1])
            wave = np.stack([np.interp(at, grid, row) for row in wave]).astype(np.float32)
        t = np.arange(wave.shape[1], dtype=np.float32) / SAMPLE_RATE
        low, high = self.damping
        if low or high:
            if low == high:
                wave *= np.exp(-low * t)
            else:
                sos = signal.butter(1, 1500, "lowpass", fs=SAMPLE_RATE, output="sos")
                bottom = signal.sosfilt(sos, wave, axis=-1).astype(np.float32)
                wave = bottom * np.exp(-low * t) + (wave - bottom) * np.exp(-high * t)
        if self.attack_db:
            gain = 10 ** (self.attack_db / 20) - 1
            wave *= 1 + np.float32(gain) * np.exp(-t / np.float32(self.attack_seconds))
        if self.colour is not None:
            size = fft.next_fast_len(wave.shape[1] + len(self.colour), real=True)
            spectrum = fft.rfft(wave, size) * fft.rfft(self.colour, size)
            wave = fft.irfft(spectrum, size)[:, : wave.shape[1]].astype(np.float32)
        return wave


def draw_timbre(rng: np.random.Generator, stem: str, semitones: float) -> Timbre:
    """A random instrument of this stem, up to ``semitones`` higher or lower."""
    cymbal = stem in _CYMBALS
    rate = 1.0 if rng.random() < 0.15 else 2 ** (rng.uniform(-semitones, semitones) / 12)
    # Floor toms reach as low as kicks, and kicks as high as toms; only their shapes differ.
    if stem == "toms" and rng.random() < 0.15:
        rate = 2 ** (rng.uniform(-11, -4) / 12)
    elif stem == "kick" and rng.random() < 0.08:
        rate = 2 ** (rng.uniform(3, 8) / 12)
    damping = (0.0, 0.0)
    if rng.random() < 0.5:
        # Only shorter decays are drawn, because longer ones would raise the noise floor.
        low, high = rng.gamma(1.0, 3.0 if cymbal else 4.0, 2)
        damping = (float(low), float(high))
    attack = float(rng.normal(0, 4.0)) if rng.random() < 0.5 else 0.0
    seconds = float(rng.uniform(0.003, 0.03))
    colour = None
    if rng.random() < 0.75:
        # Cymbals differ most between bright and dark: by bronze, microphone and distance.
        tilt = rng.normal(-1.0, 2.2) if cymbal else rng.normal(0, 1.0)
        colour = _colour(rng, tilt, points=int(rng.integers(8, 26 if cymbal else 14)))
    return Timbre(float(rate), damping, attack, seconds, colour)


def _colour(rng: np.random.Generator, tilt: float, points: int) -> NDArray[np.float32]:
    """Minimum-phase impulse response of a random curve over log frequency.

    Args:
        rng: what to draw with.
        tilt: dB per octave, about 1 kHz, besides the curve.
        points: of the curve, over nine octaves.
    """
    frequencies = fft.rfftfreq(2 * _TAPS, 1 / SAMPLE_RATE)
    knots = np.linspace(np.log(40.0), np.log(20000.0), points)
    gains = np.clip(rng.normal(0, 3.5, points), -9, 9)
    audible = np.log(np.clip(frequencies, 40.0, 20000.0))
    decibels = np.interp(audible, knots, gains) + tilt * (audible - np.log(1000.0)) / np.log(2.0)
    # Minimum phase by folding the real cepstrum (Oppenheim and Schafer, section 12.3).
    cepstrum = fft.irfft(decibels * (np.log(10.0) / 20))
    cepstrum[1:_TAPS] *= 2
    cepstrum[_TAPS + 1 :] = 0
    response = fft.irfft(np.exp(fft.rfft(cepstrum)))[:_TAPS]
    return np.asarray(response / np.sqrt(np.mean(10 ** (decibels / 10))), np.float32)
