# SPDX-License-Identifier: GPL-3.0-or-later
"""The drum kits of a General MIDI sound font, stroke by stroke, by FluidSynth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np

from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.data.grooves import NOTE_MAP
from lars_plugin.training.data.one_shots import Hit
from lars_plugin.training.music.bank import render_midi

__all__ = ["font_hits"]

# Kits of the General MIDI level 2 list and those that fonts have beside them; a font answers with
# its first kit in place of a missing one, which is detected below. The orchestra kit (48) is left
# out: it has timpani where others have toms and hi-hats.
_PROGRAMS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 25, 32, 40)
_REVERSED = {(24, 52)}  # the electronic kit's reverse cymbal
_VELOCITIES = (127, 90, 50)
_SPACING = 5.5  # seconds from stroke to stroke: longer than any one-shot we keep
_TICKS = 480
# General MIDI's own drums; other notes of the map are those of an electronic kit's pads.
_NOTES = tuple(note for note in sorted(NOTE_MAP) if 35 <= note <= 59 and note != 58)


def _score(program: int) -> mido.MidiFile:
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=500_000),
            mido.Message("program_change", channel=9, program=program),
            mido.Message("control_change", channel=9, control=91, value=0),  # no reverb
            mido.Message("control_change", channel=9, control=93, value=0),  # no chorus
        ]
    )
    wait = 0
    for note in _NOTES:
        for velocity in _VELOCITIES:
            track.append(
                mido.Message("note_on", channel=9, note=note, velocity=velocity, time=wait)
            )
            held = int(_SPACING * 2 * _TICKS * 0.9)
            track.append(mido.Message("note_off", channel=9, note=note, time=held))
            wait = round(_SPACING * 2 * _TICKS) - held
    return mido.MidiFile(tracks=[track], ticks_per_beat=_TICKS)


def font_hits(font: Path, name: str) -> Iterator[tuple[str, Hit]]:
    """Every different stroke of a font's drum kits as (name of the kit, hit).

    Sounds shared by several kits of a font come with the first kit only.

    Raises:
        DatasetError: ``fluidsynth`` is not installed, or fails.
    """
    seen: set[bytes] = set()
    seconds = len(_NOTES) * len(_VELOCITIES) * _SPACING
    step = round(_SPACING * SAMPLE_RATE)
    for program in _PROGRAMS:
        wave = render_midi(font, _score(program), seconds, effects=False)
        for index, note in enumerate(_NOTES):
            begin = index * len(_VELOCITIES) * step
            hits = [wave[:, begin + k * step : begin + (k + 1) * step] for k in range(3)]
            loud = hits[0]
            peak = float(np.abs(loud).max())
            if peak < 1e-4 or (program, note) in _REVERSED:
                continue
            # Half the bits: renderings of one sample differ by rounding.
            digest = hashlib.sha256(np.rint(loud / peak * 127).astype(np.int8).tobytes()).digest()
            if digest in seen:
                continue
            seen.add(digest)
            for velocity, hit in zip(_VELOCITIES, hits, strict=True):
                if float(np.abs(hit).max()) > 1e-4:
                    stem, articulation = NOTE_MAP[note]
                    yield (
                        f"{name}_{program}",
                        Hit(stem, articulation, f"n{note}", velocity, hit, SAMPLE_RATE),
                    )
