# SPDX-License-Identifier: GPL-3.0-or-later
"""Drum performances from MIDI files.

A folder with ``info.csv`` in the layout of the Groove MIDI Dataset is split by its ``split``
column; any other folder gives all the ``.mid`` files below it.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from lars_plugin.errors import DatasetError

__all__ = ["NOTE_MAP", "GrooveLibrary", "Note", "load_grooves", "read_groove"]

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
    try:
        midi = mido.MidiFile(path)
        now, notes = 0.0, []
        for message in midi:
            now += message.time
            if message.type == "note_on" and message.velocity and message.note in NOTE_MAP:
                stem, articulation = NOTE_MAP[message.note]
                notes.append(Note(now, stem, articulation, message.velocity, message.note))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise DatasetError(f"cannot read the MIDI file {path}: {error}") from error
    return tuple(notes)


@dataclass(frozen=True)
class GrooveLibrary:
    """Paths of performances with their durations in seconds (the weights for drawing)."""

    paths: tuple[Path, ...]
    seconds: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> tuple[tuple[Note, ...], float]:
        """A performance and its length, drawn in proportion to the length."""
        weights = np.asarray(self.seconds)
        index = int(rng.choice(len(self.paths), p=weights / weights.sum()))
        return read_groove(self.paths[index]), self.seconds[index]


def load_grooves(folder: str | Path, split: str) -> GrooveLibrary:
    """List the performances of one split.

    Raises:
        DatasetError: no MIDI file is found.
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
        for path in sorted(folder.rglob("*.mid")):
            paths.append(path)
            seconds.append(max(mido.MidiFile(path).length, 0.1))
    if not paths:
        raise DatasetError(f"no MIDI file of split {split!r} below {folder}")
    return GrooveLibrary(tuple(paths), tuple(seconds))
