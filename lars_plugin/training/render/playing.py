# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways of playing that performances on electronic kits seldom have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lars_plugin.training.data.grooves import Note

__all__ = ["add_double_kicks", "add_roll", "crash_the_ride", "open_the_hihat"]


def add_roll(rng: np.random.Generator, notes: list[Note], seconds: float) -> list[Note]:
    """A roll or a fill of up to 16 strokes, growing louder: on the snare, or down the toms."""
    count = int(rng.integers(5, 17))
    gap = rng.uniform(0.055, 0.12)
    begin = rng.uniform(0, max(seconds - count * gap, 0.1))
    loud = np.linspace(rng.uniform(25, 70), rng.uniform(80, 127), count)
    if rng.random() < 0.5:
        kinds = [("snare", "center", 38)] * count
    else:
        toms = (("toms", "high", 48), ("toms", "mid", 45), ("toms", "low", 43))
        kinds = [toms[min(2, 3 * index // count)] for index in range(count)]
    late = rng.normal(0, 0.006, count)
    roll = [
        Note(
            max(0.0, float(begin + index * gap + late[index])),
            stem,
            articulation,
            int(np.clip(loud[index] + rng.normal(0, 6), 1, 127)),
            number,
        )
        for index, (stem, articulation, number) in enumerate(kinds)
    ]
    return notes + roll


def add_double_kicks(rng: np.random.Generator, notes: list[Note], seconds: float) -> list[Note]:
    """Kicks in a row, by two feet, for 0.7 to 3 seconds."""
    gap = rng.uniform(0.08, 0.17)
    length = rng.uniform(0.7, 3.0)
    begin = rng.uniform(0, max(seconds - length, 0.1))
    loud = rng.uniform(70, 115)
    times = begin + gap * np.arange(int(length / gap)) + rng.normal(0, 0.005, int(length / gap))
    kicks = [
        Note(max(0.0, float(t)), "kick", "kick", int(np.clip(rng.normal(loud, 7), 1, 127)), 36)
        for t in times
    ]
    return notes + kicks


def open_the_hihat(notes: list[Note]) -> list[Note]:
    """All strokes of the hi-hat on half-open cymbals, the chorus of a loud band."""
    return [
        replace(note, articulation="open", number=46)
        if note.stem == "hihat" and note.articulation == "closed"
        else note
        for note in notes
    ]


def crash_the_ride(notes: list[Note]) -> list[Note]:
    """Crashes on the ride, struck as hard as can be."""
    return [
        replace(note, stem="ride", articulation="bow", number=51, velocity=127)
        if note.stem == "crash"
        else note
        for note in notes
    ]
