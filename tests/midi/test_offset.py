# SPDX-License-Identifier: GPL-3.0-or-later
"""Grids that do not begin at zero: their lines, and their display in a DAW."""

from __future__ import annotations

import io

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin.errors import InputError
from lars_plugin.midi import DrumHit, TempoMap, estimate_offset, quantise, to_midi
from lars_plugin.midi.tempo import GRIDS

BPM = 127.3
BEAT = 60 / BPM
FIRST = 0.41


def groove(first: float = FIRST, bpm: float = BPM, bars: int = 4) -> list[DrumHit]:
    """Exact sixteenths of a hi-hat, kicks on 1 and the and of 2, snares on 2 and 4."""
    step = 15 / bpm
    hits = []
    for index in range(16 * bars):
        time = first + index * step
        hits.append(DrumHit(time, "hihat", velocity=60 + 20 * (index % 2 == 0)))
        if index % 16 in (0, 6):
            hits.append(DrumHit(time, "kick", velocity=115))
        if index % 16 in (4, 12):
            hits.append(DrumHit(time, "snare", velocity=110))
    return hits


def played(midi: mido.MidiFile) -> list[float]:
    """Seconds of the notes, as a player of the file plays them."""
    buffer = io.BytesIO()
    midi.save(file=buffer)
    now, found = 0.0, []
    for message in mido.MidiFile(file=io.BytesIO(buffer.getvalue())):
        now += message.time
        if message.type == "note_on":
            found.append(now)
    return found


def bars(midi: mido.MidiFile) -> list[int]:
    """Ticks of the first bar lines, as the file's time signatures put them."""
    length, now, signs = 4, 0, []
    for message in midi.tracks[0]:
        now += message.time
        if message.type == "time_signature":
            assert message.denominator == 4
            signs.append((now, message.numerator))
    lines, at = [0], 0
    while len(lines) < 6:
        length = next((n for tick, n in reversed(signs) if tick <= at), 4)
        at += length * midi.ticks_per_beat
        lines.append(at)
    return lines


@pytest.mark.parametrize("offset", [FIRST, "auto", FIRST - 8 * BEAT, FIRST + 400 * BEAT])
def test_exact_playing_that_begins_late_is_not_moved(offset: float) -> None:
    hits = sorted(groove())
    midi = to_midi(hits, tempo=BPM, grid="1/16", offset=offset)
    assert len(played(midi)) == len(hits)
    for time, hit in zip(played(midi), hits, strict=True):
        assert abs(time - hit.time) < 0.002


def test_the_first_stroke_is_on_a_bar_line_and_all_are_on_the_grid_of_a_daw() -> None:
    midi = to_midi(groove(), tempo=BPM, offset="auto")
    ticks, now = [], 0
    for message in midi.tracks[1]:
        now += message.time
        if message.type == "note_on":
            ticks.append(now)
    assert ticks[0] in bars(midi)[:3]
    assert max(abs(tick - round(tick / 120) * 120) for tick in ticks) <= 1


@given(st.floats(30, 300), st.floats(-20, 20), st.floats(0, 100), st.sampled_from(sorted(GRIDS)))
def test_no_hit_moves_by_more_than_half_a_step_and_it_lands_on_the_shifted_grid(
    bpm: float, offset: float, time: float, grid: str
) -> None:
    step = 60 / bpm * float(GRIDS[grid])
    drift = 1e-6 * (2 + (abs(offset) + time) / step)  # a MIDI tempo is in whole microseconds
    [moved] = quantise([DrumHit(time, "kick")], TempoMap.fixed(bpm, offset), grid)
    assert abs(moved.time - time) <= step / 2 + drift
    lines = (moved.time - offset) / step
    assert moved.time == 0 or abs(lines - round(lines)) * step <= drift


@given(st.floats(30, 300), st.floats(-20, 20), st.integers(0, 40))
def test_bars_begin_at_the_offset(bpm: float, offset: float, bar: int) -> None:
    tempo = TempoMap.fixed(bpm, offset)
    assert 0 <= tempo.upbeat < 4
    at = tempo.seconds_at(tempo.upbeat + 4 * bar)
    if tempo.upbeat + 4 * bar >= max(1, tempo.lead):
        lines = (at - offset) / (240 / bpm)
        assert abs(lines - round(lines)) * 240 / bpm < 1e-6 * (2 + (abs(offset) + at) * bpm / 60)


@given(st.floats(0, 600), st.floats(30, 300), st.floats(-20, 20))
def test_an_offset_moves_no_note_in_time(time: float, bpm: float, offset: float) -> None:
    [at] = played(to_midi([DrumHit(time, "kick")], tempo=bpm, offset=offset))
    assert abs(at - time) <= 0.5 * (60 / bpm * 1.5) / 480 + 1e-6


@pytest.mark.parametrize("first", [0.0, 0.01, 0.05, 0.11, FIRST, 1.7])
@pytest.mark.parametrize("bpm", [61.0, BPM, 178.0])
def test_the_offset_is_found_from_the_hits(first: float, bpm: float) -> None:
    found = estimate_offset(groove(first, bpm), bpm)
    bar = 240 / bpm
    apart = (found - first) / bar
    assert 0 <= found < bar
    assert abs(apart - round(apart)) * bar < 0.001


def test_the_offset_of_human_playing_is_found_to_a_few_milliseconds() -> None:
    import random

    random.seed(1)
    hits = [
        DrumHit(hit.time + random.gauss(0, 0.008), hit.stem, velocity=hit.velocity)
        for hit in groove()
    ]
    assert abs(estimate_offset(hits, BPM) - FIRST) < 0.005


def test_an_upbeat_before_the_first_bar_is_on_the_grid_too() -> None:
    step = 15 / BPM
    pickup = [DrumHit(FIRST - 2 * step, "snare", velocity=90)]
    hits = sorted([*pickup, *groove()])
    assert abs(estimate_offset(hits, BPM) - FIRST) < 0.001
    moved = quantise(hits, TempoMap.fixed(BPM, FIRST), "1/16")
    assert max(abs(a.time - b.time) for a, b in zip(moved, hits, strict=True)) < 0.002


def test_without_hits_the_offset_is_zero() -> None:
    assert estimate_offset([], BPM) == 0


@pytest.mark.parametrize("first", [0.02, 0.1, 0.2])
def test_a_followed_beat_near_the_start_is_not_moved_to_it(first: float) -> None:
    beats = [first + 0.5 * index for index in range(9)]
    hits = [DrumHit(time, "kick") for time in beats]
    moved = quantise(hits, TempoMap.from_beats(beats), "1/16")
    assert max(abs(a.time - b.time) for a, b in zip(moved, hits, strict=True)) < 0.001


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), 1e9])
def test_an_invalid_offset_is_refused(offset: float) -> None:
    with pytest.raises(InputError, match="offset"):
        to_midi([], tempo=BPM, offset=offset)


def test_a_map_and_an_offset_are_refused_together() -> None:
    with pytest.raises(InputError, match="fixed BPM"):
        to_midi([], tempo=TempoMap.fixed(BPM), offset=0.1)
