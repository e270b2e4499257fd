# SPDX-License-Identifier: GPL-3.0-or-later
"""A band of our own instruments: arrange a song, play it, mix it.

Shakers, tambourines and hand-held noise are part of it: they are "other", not drums, here. Claps
are not, because most people count them as drums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.music import song as music
from lars_plugin.training.music.song import Event, Song, Split, draw_song
from lars_plugin.training.sounds.effects import equalise, saturate
from lars_plugin.training.sounds.instruments import FACTORIES, Patch
from lars_plugin.training.sounds.tones import band, frequency, noise, pluck
from lars_plugin.training.sounds.voices import PLAYERS

__all__ = ["perform"]

Wave = NDArray[np.float32]
Generator = np.random.Generator

_LONGEST = 4.0  # seconds of one note


def _perform_notes(patch: Patch, events: Sequence[Event], samples: int) -> Wave:
    """Play notes; each pitch is rendered once, as long as its longest note."""
    lengths: dict[int, float] = {}
    for event in events:
        longest = min(_LONGEST, max(lengths.get(event.pitch, 0), event.seconds))
        lengths[event.pitch] = longest
    result = {pitch: patch(pitch, seconds) for pitch, seconds in lengths.items()}
    out = np.zeros(samples, np.float32)
    fade = np.linspace(1, 0, 441, dtype=np.float32)
    for event in events:
        wave = result[event.pitch]
        length = min(len(wave), int(event.seconds * SAMPLE_RATE) + 441)
        begin = int(event.onset * SAMPLE_RATE)
        first, stop = max(0, -begin), min(length, samples - begin)
        if stop <= first:
            continue
        piece = wave[first:stop] * np.float32(event.level)
        if stop == length and length < len(wave):
            tail = min(441, len(piece))
            piece[-tail:] *= fade[-tail:]
        out[begin + first : begin + stop] += piece
    return out


def _pan(rng: Generator, mono: Wave, spread: float) -> Wave:
    """Mono at a random place, ``(2, samples)``."""
    angle = (np.clip(rng.normal(0, spread), -1, 1) + 1) * np.pi / 4
    return np.stack([mono * np.float32(np.cos(angle)), mono * np.float32(np.sin(angle))])


def _chorus(rng: Generator, mono: Wave) -> Wave:
    """Two delayed copies whose delays move in opposite directions, ``(2, samples)``."""
    t = np.arange(len(mono), dtype=np.float32)
    sway = np.sin(t * np.float32(2 * np.pi * rng.uniform(0.2, 1.2) / SAMPLE_RATE))
    amount = np.float32(rng.uniform(40, 200))
    grid = t.astype(np.float64)
    left = np.interp(grid - 300 - amount * sway, grid, mono)
    right = np.interp(grid - 350 + amount * sway, grid, mono)
    return np.asarray(
        np.stack([mono + left, mono + right]).astype(np.float32) * np.float32(0.6), np.float32
    )


def _bass(rng: Generator, song: Song, split: Split, samples: int) -> Wave:
    choices = FACTORIES[split]["bass"]
    patch = choices[rng.integers(len(choices))](rng)
    events = music.bass(song, rng, samples / SAMPLE_RATE)
    return _pan(rng, _perform_notes(patch, events, samples), 0.05)


def _chords(rng: Generator, song: Song, split: Split, samples: int) -> Wave:
    choices = FACTORIES[split]["chords"]
    patch = choices[rng.integers(len(choices))](rng)
    part = music.pads if rng.random() < 0.45 else music.comping
    mono = _perform_notes(patch, part(song, rng, samples / SAMPLE_RATE), samples)
    return _chorus(rng, mono) if rng.random() < 0.6 else _pan(rng, mono, 0.4)


def _plucked(rng: Generator, song: Song, split: Split, samples: int) -> Wave:
    choices = FACTORIES[split]["plucked"]
    patch = choices[rng.integers(len(choices))](rng)
    part = music.strums if rng.random() < 0.5 else music.arpeggio
    mono = _perform_notes(patch, part(song, rng, samples / SAMPLE_RATE), samples)
    return _pan(rng, mono, 0.4)


def _line(rng: Generator, song: Song, split: Split, samples: int) -> Wave:
    players = PLAYERS[split]
    player = players[rng.integers(len(players))]
    events = music.melody(song, rng, samples / SAMPLE_RATE)
    if not events:
        return np.zeros((2, samples), np.float32)
    wave = _pan(rng, player(rng, events, samples), 0.15)
    if rng.random() < 0.2:
        wave += _pan(rng, player(rng, events, samples), 0.6) * np.float32(0.5)
    return wave


def _distorted(rng: Generator, song: Song, split: Split, samples: int) -> Wave:
    """A guitar through an overdriven amplifier; twice, left and right, more often than not."""
    events = music.riff(song, rng, samples / SAMPLE_RATE)
    # The splits differ in the loudspeaker: the box's resonance and its upper edge.
    train = split == "train"
    edge = rng.uniform(3500, 5500) if train else rng.uniform(5800, 7500)
    drive = 10 ** rng.uniform(0.6, 2.0)
    tone, ring = rng.uniform(0.5, 1.0), rng.uniform(2.0, 8.0)

    def patch(pitch: int, seconds: float) -> Wave:
        damped = 0.25 if seconds < 0.1 else ring
        return pluck(rng, frequency(pitch), seconds + 0.05, tone, damped, 0.15)

    def take() -> Wave:
        dry = _perform_notes(patch, events, samples)
        dry = band(dry, rng.uniform(60, 250), 6000, 1)
        hot = np.tanh(np.float32(drive) * dry / max(float(np.abs(dry).max()), 1e-4))
        return band(hot, 75, edge, 2 if train else 3)

    if rng.random() < 0.6:
        return np.stack([take(), take()])
    return _pan(rng, take(), 0.5)


def _shaker(rng: Generator, song: Song, split: Split, samples: int) -> Wave:
    """A shaker (noise) or, with jingles on top, a tambourine; never on a drum kit."""
    events = music.pulse(song, rng, samples / SAMPLE_RATE)
    train = split == "train"
    low = rng.uniform(3000, 6000) if train else rng.uniform(6200, 8000)
    grain = band(noise(rng, 8820), low, rng.uniform(9000, 15000))
    t = np.arange(8820, dtype=np.float32) / SAMPLE_RATE
    swell, decay = rng.uniform(0.005, 0.03), rng.uniform(0.01, 0.05)
    hit = grain * np.minimum(1, t / np.float32(swell)) ** 2 * np.exp(-t / np.float32(decay))
    if rng.random() < 0.5:
        for hertz in rng.uniform(4500, 13000, 8 if train else 5):
            jingle = np.sin(2 * np.pi * np.float32(hertz) * t + np.float32(rng.uniform(0, 6)))
            hit = hit + np.float32(0.12) * jingle * np.exp(-t / np.float32(0.06))
    hit = (hit / np.abs(hit).max()).astype(np.float32)
    return _pan(rng, _perform_notes(lambda *_: hit, events, samples), 0.5)


def _texture(rng: Generator, song: Song, split: Split, samples: int) -> Wave:
    """Noise that rises over some bars, crackles like a record, or just hisses."""
    t = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    kind = rng.choice(["riser", "crackle", "hiss"])
    if kind == "crackle":
        wave = np.zeros((2, samples), np.float32)
        count = int(rng.uniform(5, 60) * samples / SAMPLE_RATE)
        wave[:, rng.integers(0, samples, count)] = rng.standard_normal(count, dtype=np.float32) ** 3
        return band(wave, 800, rng.uniform(4000, 12000), 1)
    white = rng.standard_normal((2, samples), dtype=np.float32)
    if kind == "hiss":
        return band(white, rng.uniform(200, 5000), rng.uniform(7000, 16000), 1)
    period = 240.0 / song.tempo * float(rng.choice([1, 2, 4]))
    rise = np.mod((t - np.float32(song.start)) / np.float32(period), 1.0)
    low, high = band(white, 300, 2000), band(white, 2500, 12000)
    if split == "validation":
        rise = 1 - rise  # a fall
    return np.asarray(rise**2 * (low * (1 - rise) + high * rise), np.float32)


Role = Callable[[Generator, Song, Split, int], Wave]

# Role, how often it plays, level in dB against the bass.
_ROLES: tuple[tuple[Role, float, float], ...] = (
    (_bass, 0.75, 0.0),
    (_chords, 0.65, -5.0),
    (_plucked, 0.45, -5.0),
    (_line, 0.6, -3.0),
    (_distorted, 0.3, -3.0),
    (_shaker, 0.2, -14.0),
    (_texture, 0.12, -16.0),
)


def _echo(rng: Generator, song: Song, wave: Wave) -> None:
    """Repeats in the tempo, in place."""
    delay = int(15.0 / song.tempo * float(rng.choice([2, 3, 4, 6])) * SAMPLE_RATE)
    gain = np.float32(rng.uniform(0.1, 0.45))
    for _ in range(3):
        if delay >= wave.shape[1]:
            return
        wave[:, delay:] += gain * wave[::-1, :-delay].copy()
        delay, gain = 2 * delay, gain * gain


def _reverb(rng: Generator, layers: Wave) -> Wave:
    """One hall for all layers ``(n, 2, samples)`` with a send for each; returns their sum."""
    seconds = float(rng.uniform(0.3, 2.8))
    t = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    tail = rng.standard_normal((2, len(t)), dtype=np.float32)
    tail *= np.exp(np.float32(-6.9 / seconds) * t)
    tail = band(tail, rng.uniform(100, 400), rng.uniform(3000, 10000), 1)
    tail /= np.sqrt((tail**2).sum() / 2)
    sends = (10 ** (rng.uniform(-26, -6, len(layers)) / 20)).astype(np.float32)
    sent = np.einsum("n,ncl->cl", sends, layers)
    size = fft.next_fast_len(layers.shape[2] + len(t), real=True)
    wet = fft.irfft(fft.rfft(sent, size) * fft.rfft(tail, size), size)[:, : layers.shape[2]]
    return np.asarray(layers.sum(0) + wet, np.float32)


def _pump(rng: Generator, song: Song, wave: Wave) -> None:
    """The dips of a side chain on every beat, without the kick that causes them."""
    t = np.arange(wave.shape[1], dtype=np.float32) / SAMPLE_RATE
    beat = np.mod((t - np.float32(song.start)) * np.float32(song.tempo / 60), 1.0)
    depth = np.float32(rng.uniform(0.3, 0.95))
    wave *= 1 - depth * np.exp(-beat * np.float32(rng.uniform(3, 8)))


def perform(rng: Generator, split: Split, samples: int) -> Wave:
    """A random excerpt of a random song, ``(2, samples)`` float32 peaking at 1; never silent."""
    song = draw_song(rng, split)
    chosen = [entry for entry in _ROLES if rng.random() < entry[1]]
    if not chosen or all(role in (_shaker, _texture) for role, _, _ in chosen):
        chosen.append(_ROLES[rng.integers(5)])
    layers = []
    for role, _, level in chosen:
        wave = role(rng, song, split, samples)
        power = float(np.sqrt(np.mean(wave**2)))
        if power < 1e-6:
            continue
        if rng.random() < 0.5:
            equalise(rng, wave)
        if rng.random() < 0.15:
            saturate(rng, wave)
        if rng.random() < 0.2:
            _echo(rng, song, wave)
        gain = 10 ** ((level + rng.normal(0, 4)) / 20) / power
        layers.append(wave * np.float32(gain))
    if not layers:  # a melody of rests alone
        return perform(rng, split, samples)
    mixed = _reverb(rng, np.stack(layers)) if rng.random() < 0.7 else np.sum(layers, axis=0)
    if rng.random() < 0.15:
        _pump(rng, song, mixed)
    # Chorus and tables may leave a constant behind.
    mixed = signal.lfilter([1, -1], [1, -0.998], mixed, axis=-1)
    return np.asarray(mixed / float(np.abs(mixed).max()), np.float32)
