# SPDX-License-Identifier: GPL-3.0-or-later
"""From hits to a MIDI file for samplers.

All notes are on channel 10. Drums that do not ring last 60 ms. An open hi-hat lasts until the next
stroke on the hi-hat, 2 s at most; a cymbal until it is struck again, 3 s at most. A note always
ends before the same note begins again.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import mido

from lars_plugin.audio import AtomicFiles
from lars_plugin.errors import InputError
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.notemaps import NoteMap, read_note_map
from lars_plugin.midi.tempo import BEATS_PER_BAR, TempoMap, quantise

__all__ = ["CHANNEL", "note_end", "to_midi"]

# Channel 10 by its name in MIDI's messages, which count from 0.
CHANNEL = 9

_SHORT = 0.06
_OPEN = 2.0
_CYMBAL = 3.0
_CYMBALS = ("ride", "crash", "cymbals")


def note_end(hit: DrumHit, following: Sequence[DrumHit]) -> float:
    """Time in seconds at which a hit's note ends.

    Args:
        hit: the hit.
        following: those after it in time.
    """
    if hit.stem == "hihat" and hit.articulation == "open":
        choke = (one.time for one in following if one.stem == "hihat" and one.time > hit.time)
        return min(next(choke, hit.time + _OPEN), hit.time + _OPEN)
    if hit.stem in _CYMBALS:
        again = (
            one.time
            for one in following
            if (one.stem, one.articulation) == (hit.stem, hit.articulation) and one.time > hit.time
        )
        return min(next(again, hit.time + _CYMBAL), hit.time + _CYMBAL)
    return hit.time + _SHORT


def to_midi(
    hits: Sequence[DrumHit],
    path: str | os.PathLike[str] | None = None,
    *,
    tempo: float | TempoMap = 120.0,
    grid: str | None = None,
    strength: float = 1.0,
    offset: float | Literal["auto"] = 0.0,
    note_map: str | os.PathLike[str] | NoteMap = "gm",
    ticks_per_beat: int = 480,
) -> mido.MidiFile:
    """Create a MIDI file with a track of tempos and a track of drums.

    Args:
        hits: in any order.
        path: the file, written completely or not at all; None to write nothing.
        tempo: BPM, or a map. It does not move notes: they stay at the hits' times, to the nearest
            tick.
        grid: quantise to this grid first, see :func:`lars_plugin.midi.tempo.quantise`.
        strength: of quantisation.
        offset: seconds at which a bar of a fixed tempo begins, or ``auto`` for the best fit to the
            hits, see :func:`lars_plugin.midi.offset.estimate_offset`. Notes keep the times of the
            recording, so the file starts where the recording starts. The file's first beat is
            shorter or longer, so that bars and beats fall on the grid.
        note_map: ``gm``, ``superior``, a JSON file, or a map.
        ticks_per_beat: the file's resolution, 1 to 32767.

    Raises:
        InputError: unknown options, or values out of range.
        AudioFileError: the file cannot be written.
    """
    if not 1 <= ticks_per_beat <= 32767:
        raise InputError(f"ticks per beat are 1 to 32767, got {ticks_per_beat}")
    tempos = _tempos(hits, tempo, offset, grid)
    notes = read_note_map(note_map)
    played = sorted(hits)
    if grid is not None:
        played = quantise(played, tempos, grid, strength)
    result = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat)
    result.tracks.append(_tempo_track(tempos, ticks_per_beat))
    result.tracks.append(_drum_track(played, tempos, notes, ticks_per_beat))
    if path is not None:
        buffer = io.BytesIO()
        result.save(file=buffer)
        with AtomicFiles() as files:
            files.create(Path(path)).write(buffer.getvalue())
    return result


def _tempos(
    hits: Sequence[DrumHit],
    tempo: float | TempoMap,
    offset: float | Literal["auto"],
    grid: str | None,
) -> TempoMap:
    if isinstance(tempo, TempoMap):
        if offset != 0:
            raise InputError("a tempo map sets its own beats; use an offset with a fixed BPM")
        return tempo
    if offset == "auto":
        from lars_plugin.midi.offset import estimate_offset

        offset = estimate_offset(hits, tempo, grid)
    return TempoMap.fixed(tempo, offset)


def _tempo_track(tempos: TempoMap, ticks_per_beat: int) -> mido.MidiTrack:
    track = mido.MidiTrack([mido.MetaMessage("track_name", name="Tempo", time=0)])
    events = [(beat, mido.MetaMessage("set_tempo", tempo=micro)) for beat, micro in tempos.changes]
    if tempos.upbeat:
        # A bar of the upbeat's length, so that the next bar line is in the right place.
        for beat, length in ((0, tempos.upbeat), (tempos.upbeat, BEATS_PER_BAR)):
            signature = mido.MetaMessage("time_signature", numerator=length, denominator=4)
            events.append((beat, signature))
    last = 0
    for beat, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=(beat - last) * ticks_per_beat))
        last = beat
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track


def _drum_track(
    hits: list[DrumHit], tempos: TempoMap, notes: NoteMap, ticks_per_beat: int
) -> mido.MidiTrack:
    spans = _spans(hits, tempos, notes, ticks_per_beat)
    # At the same tick, notes end before others begin.
    events = sorted(
        [(end, 0, note, 64) for _, end, note, _ in spans]
        + [(begin, 1, note, velocity) for begin, _, note, velocity in spans]
    )
    track = mido.MidiTrack([mido.MetaMessage("track_name", name="Drums", time=0)])
    now = 0
    for tick, begins, note, velocity in events:
        kind = "note_on" if begins else "note_off"
        track.append(
            mido.Message(kind, channel=CHANNEL, note=note, velocity=velocity, time=tick - now)
        )
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track


def _spans(
    hits: list[DrumHit], tempos: TempoMap, notes: NoteMap, ticks_per_beat: int
) -> list[tuple[int, int, int, int]]:
    """(first tick, last tick, note, velocity), notes of one number never overlap."""
    loudest: dict[tuple[int, int], tuple[int, DrumHit]] = {}
    for index, hit in enumerate(hits):
        key = (notes.note(hit), tempos.tick_at(hit.time, ticks_per_beat))
        # Of two strokes of one note at the same tick, the louder is kept.
        if key not in loudest or hit.velocity > loudest[key][1].velocity:
            loudest[key] = (index, hit)
    begins: dict[int, list[int]] = {}
    for note, tick in loudest:
        begins.setdefault(note, []).append(tick)
    following = {
        (note, tick): nxt
        for note, ticks in begins.items()
        for tick, nxt in zip(sorted(ticks), sorted(ticks)[1:], strict=False)
    }
    spans = []
    for (note, tick), (index, hit) in loudest.items():
        end = tempos.tick_at(note_end(hit, hits[index + 1 :]), ticks_per_beat)
        end = max(end, tick + 1)
        spans.append((tick, min(end, following.get((note, tick), end)), note, hit.velocity))
    return spans
