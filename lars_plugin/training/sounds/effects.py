# SPDX-License-Identifier: GPL-3.0-or-later
"""Studio effects on drums, drawn at random: equaliser, rooms, tape, bus, low-pass.

Stems are ``(stems, 2, samples)`` float32 at 44.1 kHz. Non-linear effects act on one stem
only. Effects on the mixture are one linear operation, or one gain, for all stems, so their sum
stays exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from lars_plugin.synthesis import SAMPLE_RATE

__all__ = [
    "add_early_reflections",
    "add_overheads",
    "add_room",
    "bus_gain",
    "compressor_gain",
    "equalise",
    "equalise_mixture",
    "lowpass",
    "saturate",
    "tape",
]

Wave = NDArray[np.float32]


def equalise(rng: np.random.Generator, stem: Wave) -> None:
    """One to three filter sections on a stem, in place."""
    sections = [_peak_or_shelf(rng) for _ in range(rng.integers(1, 4))]
    stem[:] = signal.sosfilt(np.concatenate(sections), stem, axis=-1)


def saturate(rng: np.random.Generator, stem: Wave) -> None:
    """Soft clipping of a stem that keeps its peak, in place."""
    peak = float(np.abs(stem).max())
    if peak > 0:
        drive = rng.uniform(1, 5)
        stem[:] = np.tanh(stem * (drive / peak)) * (peak / drive)


def add_early_reflections(rng: np.random.Generator, stems: Wave) -> None:
    """Each drum as a pair of microphones hears it, spaced or coincident, in place.

    Both microphones have a delay and 2 to 10 reflections within 34 ms of their own for each drum.
    A spaced pair hears the drum in mono, up to 0.36 ms apart.
    """
    strength = rng.uniform(0.05, 0.45)
    for stem in stems:
        if not stem.any():
            continue
        side, spaced = rng.uniform(-0.6, 0.6), rng.random() < 0.6
        source = np.repeat(stem.mean(0, keepdims=True), 2, axis=0) if spaced else stem.copy()
        stem[:] = 0
        for channel, sign in ((0, -1), (1, 1)):
            direct = 0.0009 + (0.0006 * side * sign if spaced else 0.0)
            taps = [(direct, 1.0)]
            for _ in range(rng.integers(2, 10)):
                at = rng.uniform(0.0015, 0.034)
                taps.append((at, rng.uniform(-1, 1) * strength))
            # A dozen taps: cheaper one by one than by Fourier transforms.
            for seconds, gain in taps:
                late = int(seconds * SAMPLE_RATE)
                if late < stem.shape[1]:
                    part = source[channel, : stem.shape[1] - late]
                    stem[channel, late:] += np.float32(gain) * part


def add_overheads(rng: np.random.Generator, stems: Wave) -> None:
    """All drums a second time, as a pair of overheads hears them, in place.

    Each drum has its own distance, 0.6 to 2.5 m. A spaced pair hears it at two times and levels, a
    coincident one at one time. A drum's close microphone may have the other polarity.
    """
    level = 10 ** (rng.uniform(-15, 3) / 20)
    spaced = rng.random() < 0.5
    for stem in stems:
        if not stem.any():
            continue
        side, delay = rng.uniform(-1, 1), rng.uniform(0.6, 2.5) / 343
        polarity = -1.0 if rng.random() < 0.3 else 1.0
        source = stem.mean(0)
        if not source.any():  # of inverted channels
            source = stem[0].copy()
        for channel, sign in ((0, -1), (1, 1)):
            gain = level * 10 ** (sign * side * (4 if spaced else 6) / 20)
            late = delay + (0.0008 * sign * side if spaced else 0.0)
            at = int(late * SAMPLE_RATE)
            stem[channel] *= np.float32(polarity)
            stem[channel, at:] += np.float32(gain) * source[: len(source) - at]


def add_room(
    rng: np.random.Generator,
    stems: Wave,
    *,
    longest: float = 1.3,
    loudest_db: float = -4.0,
    response: Wave | None = None,
) -> None:
    """One room for all, each drum with its own distance, in place.

    Args:
        rng: what to draw with.
        stems: ``(S, 2, samples)`` float32.
        longest: seconds of the longest tail.
        loudest_db: level of the loudest room against the drums; the softest is 22 dB below it.
        response: of a real room ``(2, samples)``, energy 1 a channel; None: early taps and a
            decaying tail.
    """
    tail = _drawn_room(rng, longest) if response is None else response
    length = tail.shape[1]
    wet = 10 ** (rng.uniform(loudest_db - 22, loudest_db) / 20) * 10 ** (
        rng.normal(0, 4, len(stems)) / 20
    )
    size = fft.next_fast_len(stems.shape[2] + length, real=True)
    room = fft.rfft(tail.astype(np.float32), size)
    for index, stem in enumerate(stems):
        if stem.any():
            echo = fft.irfft(fft.rfft(stem, size) * room, size)[:, : stem.shape[1]]
            stem += np.float32(wet[index]) * echo


def _drawn_room(rng: np.random.Generator, longest: float) -> NDArray[np.float64]:
    """A response ``(2, samples)`` of noise that decays, energy 1 a channel."""
    seconds = rng.uniform(0.08, longest)
    length = int(seconds * SAMPLE_RATE)
    t = np.arange(length) / SAMPLE_RATE
    tail = rng.standard_normal((2, length)) * np.exp(-6.9 * t / seconds)
    damp = signal.butter(
        1, [rng.uniform(80, 400), rng.uniform(3000, 12000)], "bandpass",
        fs=SAMPLE_RATE, output="sos",
    )  # fmt: skip
    tail = signal.sosfilt(damp, tail, axis=-1)
    for _ in range(rng.integers(0, 8)):
        at = int(rng.uniform(0.001, 0.04) * SAMPLE_RATE)
        if at < length:
            tail[:, at] += rng.normal(0, 2.0, 2)
    return np.asarray(tail / (np.sqrt((tail**2).sum(1).mean()) + 1e-9))


def bus_gain(rng: np.random.Generator, mixture: Wave) -> Wave:
    """Gain curve ``(samples,)`` of a feed-forward bus compressor."""
    return compressor_gain(
        mixture,
        attack=rng.uniform(0.001, 0.03),
        release=rng.uniform(0.05, 0.4),
        threshold_db=rng.uniform(-24, -6),
        ratio=rng.uniform(1.5, 8),
    )


def compressor_gain(
    mixture: Wave, *, attack: float, release: float, threshold_db: float, ratio: float
) -> Wave:
    """Gain curve ``(samples,)`` of a feed-forward compressor.

    Args:
        mixture: ``(2, samples)``.
        attack: seconds.
        release: seconds.
        threshold_db: against the peak.
        ratio: 1 for none.
    """
    hop = 64
    level = np.abs(mixture).max(0)
    level = level[: len(level) // hop * hop].reshape(-1, hop).max(1)
    up = 1 - np.exp(-hop / SAMPLE_RATE / attack)
    down = 1 - np.exp(-hop / SAMPLE_RATE / release)
    envelope, state = np.empty_like(level), 0.0
    for index, value in enumerate(level.tolist()):
        state += (up if value > state else down) * (value - state)
        envelope[index] = state
    threshold = float(level.max()) * 10 ** (threshold_db / 20) + 1e-9
    over = np.maximum(envelope / threshold, 1.0)
    gain = over ** (1 / ratio - 1)
    at = np.arange(mixture.shape[1]) / hop
    return np.asarray(np.interp(at, np.arange(len(gain)), gain), np.float32)


def lowpass(rng: np.random.Generator, stems: Wave) -> Wave:
    """Old tapes and coarse MP3s: nothing above 4 to 17 kHz."""
    spectrum = fft.rfft(stems, axis=-1)
    frequencies = np.linspace(0, SAMPLE_RATE / 2, spectrum.shape[-1])
    edge = float(np.exp(rng.uniform(np.log(4000), np.log(17000))))
    spectrum *= 1 / (1 + np.exp((frequencies - edge) / 150.0).clip(max=1e6))
    return np.asarray(fft.irfft(spectrum, stems.shape[-1], axis=-1), np.float32)


def equalise_mixture(rng: np.random.Generator, stems: Wave) -> Wave:
    """One to three filter sections on all stems, perhaps without the bottom (new memory)."""
    sections = [_peak_or_shelf(rng) for _ in range(rng.integers(1, 4))]
    if rng.random() < 0.3:
        edge = rng.uniform(30, 150)
        sections.append(signal.butter(2, edge, "highpass", fs=SAMPLE_RATE, output="sos"))
    return np.asarray(signal.sosfilt(np.concatenate(sections), stems, axis=-1), np.float32)


def tape(rng: np.random.Generator, stems: Wave) -> Wave:
    """The mixture through a saturating tape, as one gain for all stems (new memory)."""
    mixture = stems.sum(0)
    peak = float(np.abs(mixture).max())
    if peak < 1e-5:
        return np.array(stems)
    driven = mixture * np.float32(rng.uniform(0.5, 4) / peak)
    small = np.abs(driven) < 1e-4
    gain = np.where(small, 1, np.tanh(driven) / np.where(small, 1, driven))
    return np.asarray(stems * gain[None], np.float32)


def _peak_or_shelf(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random equaliser section (R. Bristow-Johnson's cookbook), up to 8 dB."""
    frequency = float(np.exp(rng.uniform(np.log(60), np.log(12000))))
    gain = 10 ** (rng.uniform(-8, 8) / 40)
    w = 2 * np.pi * frequency / SAMPLE_RATE
    alpha = np.sin(w) / 2 / rng.uniform(0.5, 2.0)
    cos = np.cos(w)
    kind = rng.integers(3)
    if kind == 0:
        b = [1 + alpha * gain, -2 * cos, 1 - alpha * gain]
        a = [1 + alpha / gain, -2 * cos, 1 - alpha / gain]
    else:
        sign = 1 if kind == 1 else -1  # low shelf, high shelf
        root = 2 * np.sqrt(gain) * alpha
        b = [
            gain * ((gain + 1) - sign * (gain - 1) * cos + root),
            sign * 2 * gain * ((gain - 1) - sign * (gain + 1) * cos),
            gain * ((gain + 1) - sign * (gain - 1) * cos - root),
        ]
        a = [
            (gain + 1) + sign * (gain - 1) * cos + root,
            sign * -2 * ((gain - 1) + sign * (gain + 1) * cos),
            (gain + 1) + sign * (gain - 1) * cos - root,
        ]
    section = np.array([*b, *a]) / a[0]
    return np.asarray(section[None])
