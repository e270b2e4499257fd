# SPDX-License-Identifier: GPL-3.0-or-later
"""Drum stems to MIDI: hits, note maps, tempo, files, pictures, live ports."""

from __future__ import annotations

from lars_plugin.midi.file import to_midi
from lars_plugin.midi.hits import ARTICULATIONS, DRUMS, DrumHit
from lars_plugin.midi.notemaps import NOTE_MAPS, NoteMap
from lars_plugin.midi.offset import estimate_offset
from lars_plugin.midi.tempo import GRIDS, TempoMap, estimate_tempo, quantise
from lars_plugin.midi.transcribe import transcribe, transcribe_mixture

__all__ = [
    "ARTICULATIONS",
    "DRUMS",
    "GRIDS",
    "NOTE_MAPS",
    "DrumHit",
    "NoteMap",
    "TempoMap",
    "estimate_offset",
    "estimate_tempo",
    "quantise",
    "to_midi",
    "transcribe",
    "transcribe_mixture",
]
