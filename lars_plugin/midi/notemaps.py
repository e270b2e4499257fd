# SPDX-License-Identifier: GPL-3.0-or-later
"""MIDI note numbers: General MIDI, Toontrack's samplers, or your own map.

Your own map is a JSON file; missing entries are as in General MIDI::

    {"kick": 35, "snare": {"center": 40}, "hihat": {"closed": 8, "pedal": 21, "open": 60}}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lars_plugin.audio import printable
from lars_plugin.errors import InputError
from lars_plugin.midi.hits import ARTICULATIONS, DRUMS, DrumHit

__all__ = ["NOTE_MAPS", "NoteMap", "read_note_map"]

_CYMBALS = {"bow": 51, "bell": 53, "crash": 49, "crash2": 57}

_GM: dict[str, dict[str, int]] = {
    "kick": {"kick": 36},
    "snare": {"center": 38, "sidestick": 37},
    "toms": {"high": 50, "mid": 47, "low": 43},
    "hihat": {"closed": 42, "pedal": 44, "open": 46},
    "ride": {"bow": 51, "bell": 53},
    "crash": {"crash": 49, "crash2": 57},
    "cymbals": _CYMBALS,
}

# Racks on 48 and 47; the hi-hat struck on its edge, where these samplers have most layers.
_SUPERIOR: dict[str, dict[str, int]] = {
    **_GM,
    "toms": {"high": 48, "mid": 47, "low": 43},
    "hihat": {"closed": 22, "pedal": 21, "open": 26},
}


class NoteMap:
    """Articulations to note numbers.

    Args:
        notes: ``notes[stem][articulation]``; missing entries are as in General MIDI.

    Raises:
        InputError: an unknown name, or a number outside 0 to 127.
    """

    def __init__(self, notes: Mapping[str, Mapping[str, int]]) -> None:
        result = {stem: dict(inner) for stem, inner in _GM.items()}
        for stem, inner in notes.items():
            if stem not in DRUMS:
                raise InputError(f"note map: no drum {stem!r}; there are {', '.join(DRUMS)}")
            for articulation, number in inner.items():
                if articulation not in ARTICULATIONS[stem]:
                    raise InputError(
                        f"note map: {stem} has no articulation {articulation!r};"
                        f" there are {', '.join(ARTICULATIONS[stem])}"
                    )
                if isinstance(number, bool) or not isinstance(number, int) or number not in _NOTES:
                    raise InputError(
                        f"note map: {stem} {articulation} must be 0 to 127, got {number!r}"
                    )
                result[stem][articulation] = number
        self._notes = result

    def note(self, hit: DrumHit) -> int:
        """The number of the note that plays this hit."""
        return self._notes[hit.stem][hit.articulation]


_NOTES = range(128)

NOTE_MAPS: Mapping[str, NoteMap] = MappingProxyType(
    {"gm": NoteMap(_GM), "superior": NoteMap(_SUPERIOR)}
)


def read_note_map(source: str | os.PathLike[str] | NoteMap) -> NoteMap:
    """A map by its name (``gm``, ``superior``), or from a JSON file.

    Raises:
        InputError: no such name or file, or a file without a valid map.
    """
    if isinstance(source, NoteMap):
        return source
    if isinstance(source, str) and source in NOTE_MAPS:
        return NOTE_MAPS[source]
    path = Path(source)
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"no note map {printable(path)}: use {', '.join(NOTE_MAPS)} or a JSON file"
            f" ({error.strerror})"
        ) from error
    except ValueError as error:
        raise InputError(f"{printable(path)} is not a JSON file: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{printable(path)} must hold an object of stems")
    notes: dict[str, dict[str, Any]] = {}
    for stem, inner in data.items():
        if isinstance(inner, dict):
            notes[stem] = inner
        else:  # one number for all of them
            notes[stem] = dict.fromkeys(ARTICULATIONS.get(stem, ("",)), inner)
    return NoteMap(notes)
