# SPDX-License-Identifier: GPL-3.0-or-later
"""Drum performances from MIDI files.

A folder with ``info.csv`` in the layout of the Groove MIDI Dataset is split by its ``split``
column; any other folder gives all the ``.mid`` files below it. Where a file has notes on channel
10, General MIDI's drums, these are the performance: the rest of an arrangement is other
instruments.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import mido
import numpy as np

from lars_plugin.errors import DatasetError

__all__ = ["NOTE_MAP", "GrooveLibrary", "Note", "load_grooves", "load_patterns", "read_groove"]

_DRUMS = 9  # mido counts channels from 0

# Programs of the drum channel whose keys are other instruments (Roland GS): in the orchestra's
# kit the toms are timpani, and the effects' kit has no drums.
_NO_KIT = (48, 56)

# A pattern: pauses of the drums are cut to this many seconds, and shorter ones are left out.
_PAUSE = 2.0
_SHORTEST = 8.0

# General MIDI percussion plus the extra zones of Roland electronic kits (rims and edges).
NOTE_MAP: dict[int, tuple[str, str]] = {
    35: ("kick", "kick"),
    36: ("kick", "kick"),
    37: ("snare", "sidestick"),
    38: ("snare", "center"),
    40: ("snare", "rim"),
    41: ("toms", "low"),
    43: ("toms", "low"),
    58: ("toms", "low"),
    45: ("toms", "mid"),
    47: ("toms", "mid"),
    48: ("toms", "high"),
    50: ("toms", "high"),
    22: ("hihat", "closed"),
    42: ("hihat", "closed"),
    44: ("hihat", "pedal"),
    26: ("hihat", "open"),
    46: ("hihat", "open"),
    51: ("ride", "bow"),
    59: ("ride", "bow"),
    53: ("ride", "bell"),
    49: ("crash", "crash"),
    55: ("crash", "splash"),
    57: ("crash", "crash"),
    52: ("crash", "china"),
}


@dataclass(frozen=True)
class Note:
    """One stroke: onset in seconds, velocity 1 to 127, MIDI note number."""

    onset: float
    stem: str
    articulation: str
    velocity: int
    number: int


@functools.lru_cache(maxsize=4096)
def read_groove(path: Path) -> tuple[Note, ...]:
    """All mapped strokes of a MIDI file, in time order; unmapped notes are left out.

    Raises:
        DatasetError: the file is not a readable MIDI file.
    """
    return _strokes(path, drums_only=False)


def _strokes(path: Path, drums_only: bool) -> tuple[Note, ...]:
    now, notes, kit = 0.0, [], dict.fromkeys(range(16), 0)
    with _reading(path):
        midi = mido.MidiFile(path)
        drums_only |= any(_is_stroke(m) and m.channel == _DRUMS for t in midi.tracks for m in t)
        for track in midi.tracks:
            _thin(track, drums_only)
        for message in midi:
            now += message.time
            if message.type == "program_change":
                kit[message.channel] = message.program
            elif message.is_meta:
                continue
            elif message.note in NOTE_MAP and not (drums_only and kit[_DRUMS] in _NO_KIT):
                stem, articulation = NOTE_MAP[message.note]
                notes.append(Note(now, stem, articulation, message.velocity, message.note))
    return tuple(notes)


def _is_stroke(message: mido.Message) -> bool:
    return bool(message.type == "note_on" and message.velocity)


def _thin(track: mido.MidiTrack, drums_only: bool) -> None:
    """Drop what makes no stroke: an arrangement has many more events than its drums, and merging
    tracks is slow."""
    kept, wait = [], 0
    for message in track:
        wait += message.time
        if message.type == "set_tempo" or (
            (_is_stroke(message) or message.type == "program_change")
            and (message.channel == _DRUMS or not drums_only)
        ):
            message.time, wait = wait, 0
            kept.append(message)
    track[:] = kept


@functools.lru_cache(maxsize=4096)
def _read_pattern(path: Path) -> tuple[Note, ...]:
    """The strokes of channel 10 from the first one on, without the bars in which they pause."""
    notes: list[Note] = []
    last = now = 0.0
    for note in _strokes(path, drums_only=True):
        now += min(note.onset - last, _PAUSE) if notes else 0.0
        last = note.onset
        notes.append(replace(note, onset=now))
    return tuple(notes)


@dataclass(frozen=True)
class GrooveLibrary:
    """Paths of performances with their durations in seconds (the weights for drawing), and how
    one is read."""

    paths: tuple[Path, ...]
    seconds: tuple[float, ...]
    read: Callable[[Path], tuple[Note, ...]] = read_groove

    def draw(self, rng: np.random.Generator) -> tuple[tuple[Note, ...], float]:
        """A performance and its length, drawn in proportion to the length."""
        weights = np.asarray(self.seconds)
        index = int(rng.choice(len(self.paths), p=weights / weights.sum()))
        return self.read(self.paths[index]), self.seconds[index]


def load_grooves(folder: str | Path, split: str) -> GrooveLibrary:
    """List the performances of one split.

    Raises:
        DatasetError: no MIDI file is found, or one cannot be read.
    """
    folder = Path(folder)
    paths: list[Path] = []
    seconds: list[float] = []
    info = folder / "info.csv"
    if info.is_file():
        with info.open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                path = folder / row["midi_filename"]
                if row["split"] == split and path.is_file():
                    paths.append(path)
                    seconds.append(float(row["duration"]))
    else:
        for path in _midi_files(folder):
            paths.append(path)
            seconds.append(max(_seconds(path), 0.1))
    if not paths:
        raise DatasetError(f"no MIDI file of split {split!r} below {folder}")
    return GrooveLibrary(tuple(paths), tuple(seconds))


def load_patterns(folder: str | Path) -> GrooveLibrary:
    """List the drum parts of programmed arrangements: General MIDI files, of which only channel
    10 is played. Pauses of the drums are cut to two seconds. A file is left out if less than
    eight seconds remain, or if it has fewer than two kinds of drums.

    Raises:
        DatasetError: no such file is found, or one cannot be read.
    """
    paths: list[Path] = []
    seconds: list[float] = []
    for path in _midi_files(Path(folder)):
        notes = _read_pattern(path)
        if len({note.stem for note in notes}) >= 2 and notes[-1].onset >= _SHORTEST:
            paths.append(path)
            seconds.append(notes[-1].onset)
    if not paths:
        raise DatasetError(f"no MIDI file with drums on channel 10 below {folder}")
    return GrooveLibrary(tuple(paths), tuple(seconds), _read_pattern)


def _midi_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))


def _seconds(path: Path) -> float:
    with _reading(path):
        return float(mido.MidiFile(path).length)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What mido raises, as an error that names the file."""
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise DatasetError(f"cannot read the MIDI file {path}: {error}") from error
