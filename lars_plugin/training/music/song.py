# SPDX-License-Identifier: GPL-3.0-or-later
"""Music without drums, as notes: a key, a tempo, chords, and parts that follow them.

A :class:`Song` is drawn from a random generator, and every part of it is a list of
:class:`Event`. Two consumers play them: our own instruments, and a MIDI file for a synthesiser.
The two splits share no chord progression (not even rotated) and no exotic scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lars_plugin.errors import InputError

__all__ = ["PROGRESSIONS", "SPLITS", "Event", "Song", "Split", "draw_song"]

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")

# Semitones of the seven degrees over the key's root.
_SCALES: dict[Split, tuple[tuple[int, ...], ...]] = {
    "train": (
        (0, 2, 4, 5, 7, 9, 11),  # major
        (0, 2, 3, 5, 7, 8, 10),  # minor
        (0, 2, 3, 5, 7, 9, 10),  # dorian
        (0, 2, 4, 5, 7, 9, 10),  # mixolydian
        (0, 2, 3, 5, 7, 8, 11),  # harmonic minor
    ),
    "validation": (
        (0, 2, 4, 5, 7, 9, 11),
        (0, 2, 3, 5, 7, 8, 10),
        (0, 1, 3, 5, 7, 8, 10),  # phrygian
        (0, 2, 4, 6, 7, 9, 11),  # lydian
    ),
}

# Degrees of the chords' roots.
PROGRESSIONS: dict[Split, tuple[tuple[int, ...], ...]] = {
    "train": (
        (0,),
        (0, 3),
        (0, 4),
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (0, 3, 4, 3),
        (1, 4, 0),
        (0, 5, 1, 4),
        (0, 3, 0, 4),
        (0, 6, 5, 6),
        (0, 2, 3, 4),
        (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4),
        (0, 4, 5, 2, 3, 0, 3, 4),
        (0, 5),
        (0, 6),
        (0, 0, 3, 5),
        (0, 2, 5, 3),
        (0, 1, 3, 0),
    ),
    "validation": (
        (0, 6, 3, 0),
        (0, 3, 5, 4),
        (0, 2, 5, 4),
        (2, 5, 1, 4),
        (0, 1),
        (0, 4, 1, 3),
        (0, 3, 6, 2, 5, 1, 4),
        (0, 6, 5, 4),
    ),
}


@dataclass(frozen=True)
class Event:
    """One note: onset and length in seconds, MIDI pitch, level in (0, 1]."""

    onset: float
    seconds: float
    pitch: int
    level: float


@dataclass(frozen=True)
class Song:
    """What all parts agree on.

    Attributes:
        tempo: beats per minute.
        key: pitch class of the root, 0 is C.
        scale: semitones of the seven degrees.
        degrees: roots of the chords, which repeat.
        beats: beats a chord lasts.
        size: notes of a chord, 3 to 5.
        swing: delay of every second sixteenth, as a part of one.
        start: seconds at which beat 0 falls, 0 or less.
    """

    tempo: float
    key: int
    scale: tuple[int, ...]
    degrees: tuple[int, ...]
    beats: int
    size: int
    swing: float
    start: float

    def at(self, step: int) -> float:
        """Seconds at which a sixteenth falls."""
        sixteenth = 15.0 / self.tempo
        return self.start + sixteenth * (step + (self.swing if step % 2 else 0.0))

    def degree_at(self, step: int) -> int:
        """Degree of the chord's root that sounds at a sixteenth."""
        return self.degrees[(step // (4 * self.beats)) % len(self.degrees)]

    def pitch(self, degree: int, low: int) -> int:
        """The lowest note of a degree at or above a MIDI pitch; degrees may span octaves."""
        octave, index = divmod(degree, 7)
        note = self.key + self.scale[index]
        return low + (note - low) % 12 + 12 * octave

    def chord(self, step: int, low: int) -> list[int]:
        """MIDI pitches of the chord at a sixteenth, close together above ``low``."""
        root = self.degree_at(step)
        tones = [root, root + 2, root + 4, root + 6, root + 8][: self.size]
        return sorted({self.pitch(tone % 7, low) for tone in tones})


def draw_song(rng: np.random.Generator, split: Split) -> Song:
    """A random song of a split.

    Raises:
        InputError: an unknown split.
    """
    if split not in SPLITS:
        raise InputError(f"no split {split!r}; use {' or '.join(SPLITS)}")
    scales, progressions = _SCALES[split], PROGRESSIONS[split]
    tempo = float(rng.uniform(65, 175))
    beats = int(rng.choice([1, 2, 2, 4, 4, 4]))
    return Song(
        tempo=tempo,
        key=int(rng.integers(12)),
        scale=scales[rng.integers(len(scales))],
        degrees=progressions[rng.integers(len(progressions))],
        beats=beats,
        size=int(rng.choice([3, 3, 3, 4, 4, 5])),
        swing=float(rng.choice([0.0, 0.0, rng.uniform(0.05, 0.35)])),
        start=-float(rng.uniform(0, 240.0 / tempo)),
    )


# Rhythms: onsets on a grid of sixteenths, one bar at a time.


def _bar(rng: np.random.Generator, density: float) -> list[int]:
    """Steps 0 to 15 that are struck. Strong beats are likelier; some bars are syncopated."""
    weight = np.array([1.0, 0.25, 0.5, 0.35] * 4)
    weight[[0, 8]] += 0.4
    if rng.random() < 0.35:
        weight = np.roll(weight, rng.choice([2, -1, 3]))
    steps = np.flatnonzero(rng.random(16) < np.clip(weight * density * 1.6, 0, 0.97))
    return [int(step) for step in steps] or [0]


def _strokes(
    song: Song, rng: np.random.Generator, seconds: float, density: float
) -> Iterator[tuple[int, int]]:
    """``(step, steps until the next)`` over the whole length: one bar, varied now and then."""
    pattern = _bar(rng, density)
    steps: list[int] = []
    bar = 0
    while song.at(16 * bar) < seconds:
        played = _bar(rng, density) if bar % 4 == 3 and rng.random() < 0.5 else pattern
        steps += [16 * bar + step for step in played]
        bar += 1
    yield from zip(steps, np.diff([*steps, 16 * bar]).tolist(), strict=True)


def _event(
    song: Song, rng: np.random.Generator, step: int, length: float, pitch: int, level: float
) -> Event:
    """A note by sixteenths, as a human would place it."""
    onset = song.at(step) + float(rng.normal(0, 0.004))
    loud = level * (1.0 if step % 4 == 0 else 0.85) * float(rng.uniform(0.75, 1.0))
    return Event(onset, max(0.04, length * 15.0 / song.tempo), pitch, min(1.0, loud))


def bass(song: Song, rng: np.random.Generator, seconds: float) -> list[Event]:
    """One voice below middle C that holds the roots."""
    low = int(rng.integers(26, 36))
    style = rng.choice(["pulse", "rhythm", "rhythm", "octaves", "walk", "held"])
    density = {"pulse": 2.0, "held": 0.12}.get(str(style), float(rng.uniform(0.3, 0.9)))
    if style == "walk":
        density = 1.0
    gate = float(rng.choice([0.35, 0.6, 0.9, 1.0]))
    events = []
    for index, (step, length) in enumerate(_strokes(song, rng, seconds, density)):
        if style in ("pulse", "walk") and step % (2 if style == "pulse" else 4):
            continue
        root = song.degree_at(step)
        pitch = song.pitch(root, low)
        if style == "walk":
            pitch = song.pitch((root + int(rng.choice([0, 2, 4, 1, 6]))) % 7, low)
        elif style == "octaves" and index % 2:
            pitch += 12
        elif rng.random() < 0.2:
            pitch = song.pitch((root + int(rng.choice([4, 6, 1]))) % 7, low)
        # A pulse drops strokes, so its notes are as long as its beat rather than to the next.
        length = {"pulse": 2, "walk": 4}.get(str(style), length)
        events.append(_event(song, rng, step, length * gate, pitch, 0.9))
    return events


def pads(song: Song, rng: np.random.Generator, seconds: float) -> list[Event]:
    """Chords held until the next."""
    low = int(rng.integers(45, 62))
    events, step = [], 0
    while song.at(step) < seconds:
        length = 4 * song.beats
        events += [_event(song, rng, step, length, p, 0.8) for p in song.chord(step, low)]
        step += length
    return events


def comping(song: Song, rng: np.random.Generator, seconds: float) -> list[Event]:
    """Chords in a rhythm: stabs, off-beats, or held to the next."""
    low = int(rng.integers(45, 62))
    gate = float(rng.choice([0.25, 0.5, 1.0]))
    offbeat = rng.random() < 0.2
    events = []
    for step, length in _strokes(song, rng, seconds, float(rng.uniform(0.2, 0.7))):
        if offbeat:
            step, length = step // 4 * 4 + 2, 2
        for pitch in song.chord(step, low):
            events.append(_event(song, rng, step, length * gate, pitch, 0.8))
    return events


def strums(song: Song, rng: np.random.Generator, seconds: float) -> list[Event]:
    """Six strings, one after the other, down on the beats and up between them."""
    low = int(rng.integers(40, 50))
    events = []
    for step, length in _strokes(song, rng, seconds, float(rng.uniform(0.5, 1.2))):
        tones = song.chord(step, low)
        strings = [*tones, *(tone + 12 for tone in tones)][:6]
        up = step % 4 != 0
        if up:
            strings = strings[::-1][: int(rng.integers(3, 6))]
        spread = float(rng.uniform(0.006, 0.02))
        for index, pitch in enumerate(strings):
            note = _event(song, rng, step, length, pitch, 0.5 if up else 0.8)
            events.append(Event(note.onset + index * spread, note.seconds, pitch, note.level))
    return events


def arpeggio(song: Song, rng: np.random.Generator, seconds: float) -> list[Event]:
    """Chord notes one by one in even steps."""
    low = int(rng.integers(48, 66))
    every = int(rng.choice([1, 2, 2, 3, 4]))
    order = [int(i) for i in rng.permutation(8)] if rng.random() < 0.4 else list(range(8))
    gate = float(rng.choice([0.5, 1.0, 3.0]))
    events, step, index = [], 0, 0
    while song.at(step) < seconds:
        tones = song.chord(step, low)
        place = order[index % 8]
        pitch = tones[place % len(tones)] + 12 * (place // len(tones) % 2)
        events.append(_event(song, rng, step, every * gate, pitch, 0.7))
        step, index = step + every, index + 1
    return events


def melody(song: Song, rng: np.random.Generator, seconds: float) -> list[Event]:
    """One voice that walks over the scale, lands on chord notes, and breathes."""
    low = int(rng.integers(50, 70))
    place = int(rng.integers(0, 7))
    gate = float(rng.choice([0.6, 0.9, 1.0]))
    events = []
    resting = False
    for step, length in _strokes(song, rng, seconds, float(rng.uniform(0.2, 0.8))):
        if step % 8 == 0:
            resting = rng.random() < 0.2
        if resting:
            continue
        place = int(np.clip(place + rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 4]), -3, 11))
        if step % 8 == 0 and rng.random() < 0.6:
            tones = [song.degree_at(step) + third for third in (0, 2, 4)]
            place = min(
                (tone + 7 * octave for tone in tones for octave in (-2, -1, 0, 1)),
                key=lambda tone: abs(tone - place),
            )
        base = song.pitch(0, low)
        pitch = base + song.pitch(place, song.key) - song.key
        events.append(_event(song, rng, step, length * gate, pitch, 0.9))
    return events


def riff(song: Song, rng: np.random.Generator, seconds: float) -> list[Event]:
    """Power chords: open on the accents, choked (under 0.1 s) between them."""
    low = int(rng.integers(33, 42))
    chug = rng.random() < 0.6
    events = []
    for step, length in _strokes(song, rng, seconds, float(rng.uniform(0.4, 1.1))):
        accent = not chug or step % 8 == 0 or rng.random() < 0.25
        root = song.pitch(song.degree_at(step), low)
        tones = [root, root + 7, root + 12] if accent else [root, root + 7]
        sixteenths = float(length) if accent else 0.4
        for pitch in tones:
            events.append(_event(song, rng, step, sixteenths, pitch, 1.0 if accent else 0.7))
    return events


def pulse(song: Song, rng: np.random.Generator, seconds: float) -> list[Event]:
    """Even eighths or sixteenths with accents, for shakers; the pitch means nothing."""
    every = int(rng.choice([1, 1, 2, 4]))
    accents = rng.uniform(0.25, 1.0, 8)
    events, step, index = [], 0, 0
    while song.at(step) < seconds:
        level = float(accents[index % 8])
        events.append(_event(song, rng, step, every, 60, level))
        step, index = step + every, index + 1
    return events


Part = Callable[[Song, np.random.Generator, float], list[Event]]
