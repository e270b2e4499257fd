# SPDX-License-Identifier: GPL-3.0-or-later
"""A kit as a studio records it: close microphones, a pair of overheads, a pair in the room.

The overheads and the room are often as loud in a mix as the close microphones, and a room is often
compressed hard. All drums are then late, coloured and long, each in its own way.

Levels and delays are those of a room: direct sound falls with the distance, the diffuse field is as
loud everywhere, and both are equal at the critical distance (H. Kuttruff, Room Acoustics, chapter
5: 0.057 times the root of volume in m^3 over reverberation time in s). The floor's reflection
follows from the positions; all others are drawn, not computed from walls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.sounds.effects import compressor_gain

__all__ = ["add_microphones"]

Wave = NDArray[np.float32]
Position = NDArray[np.float64]

_SPEED = 343.0  # of sound, in m/s
# Kick, snare, toms, hi-hat, ride, crash: metres to the right of the stool, in front, above.
_PLACES = (
    (0.0, 0.8, 0.35), (-0.25, 0.4, 0.7), (0.15, 0.7, 0.85), (-0.7, 0.45, 0.95), (0.75, 0.5, 1.05),
    (0.1, 0.9, 1.35),
)  # fmt: skip
_CYMBALS = (3, 4, 5)
# Edges in Hz of the bands that die away at different rates, and how long against the middle.
_BANDS = ((60.0, 400.0, 0.7, 1.4), (400.0, 3000.0, 1.0, 1.0), (3000.0, 16000.0, 0.25, 0.8))


@dataclass(frozen=True)
class _Room:
    seconds: float  # of reverberation, in the middle
    ratios: tuple[float, ...]  # of it, by band
    critical: float  # distance in m
    walls: float  # how much of a reflection is left


def add_microphones(rng: np.random.Generator, stems: Wave) -> None:
    """Mix what overheads and room microphones hear to the close ones, in place.

    A drum keeps its energy, so the balance of drums stays as it was. Cymbals may have no close
    microphone, and silence stays silence.

    Args:
        rng: draws room, positions and levels.
        stems: ``(6, 2, samples)`` float32, in the order of the six stems.
    """
    heard = [index for index in range(len(stems)) if stems[index].any()]
    if not heard:
        return
    room = _draw_room(rng)
    places = [np.array(place) + rng.normal(0, 0.12, 3) for place in _PLACES]
    before = {index: _energy(stems[index]) for index in heard}
    close = {index: float(index not in _CYMBALS) for index in heard}
    if rng.random() < 0.5:
        close = dict.fromkeys(heard, 1.0)
    direct = sum(before.values())
    total = {index: close[index] * stems[index] for index in heard}
    pairs = [(_overheads(rng), rng.uniform(-12, 10), False)]
    if rng.random() < 0.75:
        pairs.append((_distant(rng), rng.uniform(-20, 6), rng.random() < 0.4))
    for pair, level_db, squashed in pairs:
        echoes = {index: _record(rng, stems[index], places[index], pair, room) for index in heard}
        if squashed:
            gain = _squash(rng, np.sum(list(echoes.values()), axis=0))
            echoes = {index: echo * gain for index, echo in echoes.items()}
        loud = sum(_energy(echo) for echo in echoes.values())
        gain_all = np.float32(np.sqrt(direct / (loud + 1e-20)) * 10 ** (level_db / 20))
        for index in heard:
            total[index] = total[index] + gain_all * echoes[index]
    for index in heard:
        after = _energy(total[index])
        if after > 0:
            stems[index] = total[index] * np.float32(np.sqrt(before[index] / after))


def _energy(wave: Wave) -> float:
    return float(np.square(wave).sum(dtype=np.float64))


def _draw_room(rng: np.random.Generator) -> _Room:
    volume = float(np.exp(rng.uniform(np.log(25), np.log(400))))  # a booth to a hall, in m^3
    seconds = float(np.clip(np.exp(rng.normal(np.log(0.45), 0.45)), 0.15, 1.6))
    ratios = tuple(rng.uniform(low, high) for _, _, low, high in _BANDS)
    critical = 0.057 * np.sqrt(volume / seconds)
    return _Room(seconds, ratios, float(critical), rng.uniform(0.3, 0.85))


def _overheads(rng: np.random.Generator) -> list[Position]:
    """Above the kit: spaced, coincident (told apart by level), or one."""
    kind, height = rng.random(), rng.uniform(1.6, 2.4)
    middle = np.array([rng.normal(0, 0.15), rng.uniform(0.1, 0.9), height])
    half = rng.uniform(0.25, 0.9) if kind < 0.55 else 0.1 if kind < 0.85 else 0.0
    return _pair(middle, half)


def _distant(rng: np.random.Generator) -> list[Position]:
    half = 0.0 if rng.random() < 0.3 else rng.uniform(0.2, 2.0)
    middle = np.array([rng.normal(0, 0.5), rng.uniform(2.0, 6.5), rng.uniform(0.4, 2.5)])
    return _pair(middle, half)


def _pair(middle: Position, half: float) -> list[Position]:
    aside = np.array([half, 0.0, 0.0])
    return [middle - aside, middle + aside]


def _record(
    rng: np.random.Generator, stem: Wave, place: Position, pair: list[Position], room: _Room
) -> Wave:
    """What two microphones hear of one drum ``(2, samples)``."""
    source = stem.mean(0)
    if not source.any():  # of inverted channels
        source = stem[0]
    if np.array_equal(pair[0], pair[1]):
        responses = np.repeat(_response(rng, place, pair[0], room)[None], 2, axis=0)
    else:
        near = _response(rng, place, pair[0], room), _response(rng, place, pair[1], room)
        responses = np.zeros((2, max(len(one) for one in near)), np.float32)
        for row, one in zip(responses, near, strict=True):
            row[: len(one)] = one
        if np.linalg.norm(pair[1] - pair[0]) < 0.3:
            # Coincident microphones point apart: 3 dB for 30 degrees.
            angle = np.arctan2(place[0] - pair[0][0], 1.0)
            responses *= np.float32(10 ** (6 * angle * np.array([[-1.0], [1.0]]) / 20))
    size = fft.next_fast_len(len(source) + responses.shape[1], real=True)
    spectrum = fft.rfft(source, size)[None] * fft.rfft(responses, size)
    return np.asarray(fft.irfft(spectrum, size)[:, : len(source)], np.float32)


def _response(rng: np.random.Generator, place: Position, microphone: Position, room: _Room) -> Wave:
    """Direct sound, the floor, a dozen reflections, and a tail that the bands leave in turn."""
    distance = max(0.4, float(np.linalg.norm(microphone - place)))
    length = int((room.seconds * max(room.ratios) + 0.05) * SAMPLE_RATE)
    response = np.zeros(length)
    mirrored = float(np.linalg.norm(microphone - place * [1, 1, -1]))
    taps = [(distance, 1.0), (mirrored, room.walls * rng.uniform(0.5, 1.0))]
    for _ in range(rng.integers(5, 13)):
        longer = distance + rng.uniform(0.6, 12.0)
        taps.append((longer, rng.choice([-0.5, 1.0]) * room.walls ** rng.uniform(1, 3)))
    for metres, gain in taps:
        at = metres / _SPEED * SAMPLE_RATE
        first, part = int(at), at % 1
        if first + 1 < length:
            # Between two samples, so that delays are not all whole ones.
            response[first] += gain / metres * (1 - part)
            response[first + 1] += gain / metres * part
    late = int((distance / _SPEED + rng.uniform(0.002, 0.015)) * SAMPLE_RATE)
    if late < length:
        response[late:] += _tail(rng, length - late, room)
    return np.asarray(response, np.float32)


def _tail(rng: np.random.Generator, length: int, room: _Room) -> NDArray[np.float64]:
    """Noise with the energy of the diffuse field: 1 over the critical distance squared."""
    t = np.arange(length) / SAMPLE_RATE
    tail = np.zeros(length)
    for (low, high, _, _), ratio in zip(_BANDS, room.ratios, strict=True):
        band = signal.butter(1, [low, high], "bandpass", fs=SAMPLE_RATE, output="sos")
        noise = signal.sosfilt(band, rng.standard_normal(length))
        tail += noise * np.exp(-6.9 * t / (room.seconds * ratio))
    return np.asarray(tail / (np.sqrt(np.square(tail).sum()) * room.critical + 1e-12))


def _squash(rng: np.random.Generator, mixture: Wave) -> Wave:
    """Gain ``(samples,)`` of a compressor that brings the room up between strokes."""
    return compressor_gain(
        mixture,
        attack=rng.uniform(0.0005, 0.01),
        release=rng.uniform(0.04, 0.3),
        threshold_db=rng.uniform(-36, -12),
        ratio=rng.uniform(4, 20),
    )
