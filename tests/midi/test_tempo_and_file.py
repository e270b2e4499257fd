# SPDX-License-Identifier: GPL-3.0-or-later
"""Times to ticks and back, quantisation, note maps, note lengths."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.midi.file import to_midi
from lars_plugin.midi.hits import ARTICULATIONS, DRUMS, DrumHit
from lars_plugin.midi.notemaps import NOTE_MAPS, NoteMap, read_note_map
from lars_plugin.midi.tempo import GRIDS, TempoMap, quantise

BPMS = st.floats(20, 400)
PPQS = st.sampled_from([1, 24, 96, 480, 960, 15360, 32767])
TIMES = st.floats(0, 600)

HITS = st.lists(
    st.builds(
        lambda time, stem, pick, velocity: DrumHit(
            time, stem, ARTICULATIONS[stem][pick % len(ARTICULATIONS[stem])], velocity
        ),
        TIMES,
        st.sampled_from(DRUMS),
        st.integers(0, 3),
        st.integers(1, 127),
    ),
    max_size=30,
)


@st.composite
def tempo_maps(draw: st.DrawFn) -> TempoMap:
    beats = sorted(draw(st.sets(st.integers(1, 400), max_size=6)))
    micros = st.integers(150_000, 3_000_000)
    return TempoMap(((0, draw(micros)), *((beat, draw(micros)) for beat in beats)))


def played(midi: mido.MidiFile) -> list[tuple[float, int, int]]:
    """(seconds, note, velocity) as a player of the file would play them."""
    buffer = io.BytesIO()
    midi.save(file=buffer)
    now, found = 0.0, []
    for message in mido.MidiFile(file=io.BytesIO(buffer.getvalue())):
        now += message.time
        if message.type == "note_on":
            assert message.channel == 9
            found.append((now, message.note, message.velocity))
    return found


@given(tempo_maps(), PPQS, TIMES)
def test_a_hit_is_played_within_half_a_tick_of_its_time(
    tempo: TempoMap, ppq: int, time: float
) -> None:
    midi = to_midi([DrumHit(time, "kick")], tempo=tempo, ticks_per_beat=ppq)
    [(at, note, _)] = played(midi)
    slowest = max(micro for _, micro in tempo.changes) / 1e6
    assert note == 36
    assert abs(at - time) <= 0.5 * slowest / ppq + 1e-6


@given(tempo_maps(), PPQS, st.integers(0, 100_000))
def test_a_time_that_is_a_tick_becomes_that_tick(tempo: TempoMap, ppq: int, tick: int) -> None:
    assert tempo.tick_at(tempo.seconds_at(tick / ppq), ppq) == tick


@given(BPMS, st.sampled_from(sorted(GRIDS)), TIMES)
def test_full_quantisation_lands_on_the_grid_exactly(bpm: float, grid: str, time: float) -> None:
    tempo = TempoMap.fixed(bpm)
    ppq = 480  # a multiple of every grid
    midi = to_midi([DrumHit(time, "snare")], tempo=tempo, grid=grid, ticks_per_beat=ppq)
    ticks = next(
        tick
        for tick, message in zip(
            itertools.accumulate(message.time for message in midi.tracks[1]),
            midi.tracks[1],
            strict=True,
        )
        if message.type == "note_on"
    )
    step = ppq * GRIDS[grid]
    assert ticks % step == 0
    assert abs(ticks - tempo.beat_at(time) * ppq) <= step / 2 + 0.51


@given(tempo_maps(), st.sampled_from(sorted(GRIDS)), HITS, st.floats(0, 1))
def test_quantisation_never_moves_a_hit_away_from_the_grid(
    tempo: TempoMap, grid: str, hits: list[DrumHit], strength: float
) -> None:
    step = float(GRIDS[grid])

    def distance(time: float) -> float:
        beat = tempo.beat_at(time) / step
        return abs(beat - round(beat))

    moved = quantise(hits, tempo, grid, strength)
    before = sorted(distance(hit.time) for hit in hits)
    after = sorted(distance(hit.time) for hit in moved)
    assert len(after) == len(before)
    for a, b in zip(after, before, strict=True):
        assert a == pytest.approx(b * (1 - strength), abs=1e-6)


def test_quantisation_of_no_strength_changes_nothing() -> None:
    hits = [DrumHit(0.123456, "kick"), DrumHit(1.7, "hihat")]
    assert quantise(hits, TempoMap.fixed(97.3), "1/16", 0.0) == hits


@given(HITS, tempo_maps(), PPQS)
def test_no_note_begins_while_it_sounds_and_every_note_ends(
    hits: list[DrumHit], tempo: TempoMap, ppq: int
) -> None:
    midi = to_midi(hits, tempo=tempo, ticks_per_beat=ppq)
    sounding: dict[int, int] = {}
    now = begun = 0
    for message in midi.tracks[1]:
        now += message.time
        if message.type == "note_on":
            assert message.note not in sounding
            sounding[message.note] = now
            begun += 1
        elif message.type == "note_off":
            assert now > sounding.pop(message.note)
    assert sounding == {}
    keys = {(NOTE_MAPS["gm"].note(hit), tempo.tick_at(hit.time, ppq)) for hit in hits}
    assert begun == len(keys)


def test_of_two_hits_on_one_tick_the_louder_is_heard() -> None:
    hits = [DrumHit(1.0, "kick", velocity=30), DrumHit(1.0001, "kick", velocity=90)]
    assert [velocity for _, _, velocity in played(to_midi(hits))] == [90]


def lengths(hits: list[DrumHit]) -> dict[int, float]:
    now, begun, found = 0.0, {}, {}
    for message in to_midi(hits, ticks_per_beat=9600):
        now += message.time
        if message.type == "note_on":
            begun[message.note] = now
        elif message.type == "note_off":
            found[message.note] = now - begun[message.note]
    return found


def test_an_open_hat_rings_until_the_next_stroke_on_the_hat() -> None:
    hits = [
        DrumHit(1.0, "hihat", "open"),
        DrumHit(1.2, "snare"),
        DrumHit(1.5, "hihat", "pedal"),
        DrumHit(2.0, "crash"),
    ]
    assert lengths(hits) == pytest.approx({46: 0.5, 38: 0.06, 44: 0.06, 49: 3.0}, abs=1e-3)


def test_a_map_from_beats_has_its_beats_where_they_were_heard() -> None:
    times = [0.7, 1.21, 1.69, 2.2, 2.8, 3.1]
    tempo = TempoMap.from_beats(times)
    lead = tempo.beat_at(times[0])
    assert lead == pytest.approx(1)
    for number, time in enumerate(times):
        assert tempo.beat_at(time) == pytest.approx(lead + number, abs=1e-5)
        assert tempo.seconds_at(lead + number) == pytest.approx(time, abs=1e-6)


def test_a_first_beat_near_the_start_takes_the_start() -> None:
    tempo = TempoMap.from_beats([0.05, 0.5, 1.0])
    assert tempo.beat_at(0.5) == pytest.approx(1)


@pytest.mark.parametrize("times", [[], [1.0], [1.0, 1.0], [2.0, 1.0], [-1.0, 1.0]])
def test_beats_that_make_no_map_are_refused(times: list[float]) -> None:
    with pytest.raises(InputError, match="rising"):
        TempoMap.from_beats(times)


def test_general_midi_is_the_map_of_the_standard() -> None:
    wanted = {
        ("kick", "kick"): 36,
        ("snare", "center"): 38,
        ("snare", "sidestick"): 37,
        ("toms", "high"): 50,
        ("toms", "mid"): 47,
        ("toms", "low"): 43,
        ("hihat", "closed"): 42,
        ("hihat", "pedal"): 44,
        ("hihat", "open"): 46,
        ("ride", "bow"): 51,
        ("ride", "bell"): 53,
        ("crash", "crash"): 49,
        ("crash", "crash2"): 57,
    }
    found = {key: NOTE_MAPS["gm"].note(DrumHit(0.0, *key)) for key in wanted}
    assert found == wanted


@pytest.mark.parametrize("name", sorted(NOTE_MAPS))
def test_every_articulation_has_a_note_of_its_own_in_its_stem(name: str) -> None:
    for stem in DRUMS:
        notes = {NOTE_MAPS[name].note(DrumHit(0, stem, kind)) for kind in ARTICULATIONS[stem]}
        assert len(notes) == len(ARTICULATIONS[stem])


def test_a_map_of_ones_own_changes_what_it_names_only(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"snare": 40, "hihat": {"open": 60}}))
    mine = read_note_map(path)
    assert mine.note(DrumHit(0, "snare", "center")) == 40
    assert mine.note(DrumHit(0, "snare", "sidestick")) == 40
    assert mine.note(DrumHit(0, "hihat", "open")) == 60
    assert mine.note(DrumHit(0, "hihat", "closed")) == 42
    assert [note for _, note, _ in played(to_midi([DrumHit(0, "snare")], note_map=path))] == [40]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"snair": 40}', "no drum 'snair'"),
        ('{"snare": {"rim": 40}}', "no articulation 'rim'"),
        ('{"snare": 128}', "0 to 127"),
        ('{"snare": true}', "0 to 127"),
        ("[]", "must hold an object"),
        ("{", "not a JSON"),
    ],
)
def test_a_broken_map_is_refused_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_note_map(path)


def test_a_missing_map_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="gm, superior"):
        read_note_map("nothing")


@pytest.mark.parametrize(
    "options",
    [
        {"tempo": 0.0},
        {"tempo": float("nan")},
        {"ticks_per_beat": 0},
        {"ticks_per_beat": 40000},
        {"grid": "1/7"},
        {"grid": "1/8", "strength": 1.5},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        to_midi([DrumHit(0.0, "kick")], **options)  # type: ignore[arg-type]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    hits = [DrumHit(0.5, "kick", velocity=77)]
    to_midi(hits, tmp_path / "deep" / "out.mid")
    [found] = played(mido.MidiFile(tmp_path / "deep" / "out.mid"))
    assert found[0] == pytest.approx(0.5)
    assert found[1:] == (36, 77)
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioFileError, match="cannot write"):
        to_midi(hits, tmp_path / "file" / "out.mid")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "file", "out.mid"]


def test_a_note_map_checks_what_it_is_given() -> None:
    with pytest.raises(InputError, match="0 to 127"):
        NoteMap({"kick": {"kick": -1}})
