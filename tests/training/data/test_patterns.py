# SPDX-License-Identifier: GPL-3.0-or-later
"""Drum parts of programmed arrangements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest

from lars_plugin.errors import DatasetError
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.data.grooves import load_grooves, load_patterns, read_groove
from lars_plugin.training.data.kits import load_kits
from lars_plugin.training.data.pool import PoolConfig, make_source
from lars_plugin.training.render.renderer import Renderer, RendererConfig

BEAT = 480  # ticks; half a second at 120 beats a minute


def track(channel: int, notes: list[int], program: int | None = None) -> mido.MidiTrack:
    result = mido.MidiTrack()
    if program is not None:
        result.append(mido.Message("program_change", channel=channel, program=program))
    for note in notes:
        # A rest is 0.
        velocity = 100 if note else 0
        result.append(mido.Message("note_on", channel=channel, note=note, velocity=velocity))
        result.append(mido.Message("control_change", channel=channel, control=7, time=BEAT // 2))
        result.append(mido.Message("note_off", channel=channel, note=note, time=BEAT // 2))
    return result


def write(path: Path, *tracks: mido.MidiTrack) -> Path:
    tempo = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)])
    mido.MidiFile(tracks=[tempo, *tracks], ticks_per_beat=BEAT).save(path)
    return path


def test_only_the_drum_channel_of_an_arrangement_is_played(tmp_path: Path) -> None:
    piano = track(0, [38, 42, 49, 51])
    path = write(tmp_path / "song.mid", piano, track(9, [36, 0, 38, 54, 42]))
    notes = read_groove(path)
    assert [(note.stem, note.onset) for note in notes] == [
        ("kick", 0.0), ("snare", 1.0), ("hihat", 2.0),
    ]  # fmt: skip
    # A performance on any other channel is one all the same.
    alone = read_groove(write(tmp_path / "one.mid", piano))
    assert [note.stem for note in alone] == ["snare", "hihat", "crash", "ride"]


@pytest.mark.parametrize(("program", "stems"), [(0, 3), (25, 3), (48, 0), (56, 0)])
def test_timpani_are_no_toms(tmp_path: Path, program: int, stems: int) -> None:
    path = write(tmp_path / "song.mid", track(9, [36, 41, 42], program))
    assert len(read_groove(path)) == stems


def test_patterns_have_no_long_pauses(tmp_path: Path) -> None:
    verse = [36, 38] * 10
    write(tmp_path / "SONG.MID", track(9, [0] * 40 + verse + [0] * 60 + verse))
    patterns = load_patterns(tmp_path)
    notes, seconds = patterns.draw(np.random.default_rng(0))
    assert len(notes) == 40
    assert notes[0].onset == 0
    assert max(np.diff([note.onset for note in notes])) == pytest.approx(2.0)
    assert seconds == notes[-1].onset == pytest.approx(39 * 0.5 + 1.5)


def test_files_with_next_to_no_drums_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "short.mid", track(9, [36, 38, 42]))
    write(tmp_path / "metronome.mid", track(9, [37] * 100))
    write(tmp_path / "piano.mid", track(0, [36, 38, 49, 60] * 25))
    with pytest.raises(DatasetError, match="no MIDI file with drums on channel 10"):
        load_patterns(tmp_path)


@pytest.mark.parametrize("load", [load_patterns, lambda folder: load_grooves(folder, "train")])
def test_a_broken_file_among_them_is_named(tmp_path: Path, load: Any) -> None:
    (tmp_path / "broken.mid").write_bytes(b"MThd not midi at all")
    with pytest.raises(DatasetError, match=r"broken\.mid"):
        load(tmp_path)


def test_the_share_of_excerpts_that_play_them(data: Any, tmp_path: Path) -> None:
    # The performances have six drums, the pattern has two.
    write(tmp_path / "song.mid", track(9, [36, 38] * 100))
    kits, grooves = load_kits(data.kits, "train"), load_grooves(data.grooves, "train")
    patterns = load_patterns(tmp_path)
    for share in (0.0, 0.3, 1.0):
        config = RendererConfig(
            patterns=share, extra=0, swap_ride=0, swap_crash=0, ride_crash=0, roll=0, solo=0
        )
        renderer = Renderer(kits, grooves, 1, config, patterns=patterns)
        drawn = [{note.stem for note in renderer._notes(4.0)} for _ in range(200)]
        programmed = sum(bool(stems) and stems <= {"kick", "snare"} for stems in drawn)
        assert programmed == pytest.approx(200 * share, abs=18 if 0 < share < 1 else 0)


def test_a_source_plays_the_folder_of_its_settings(data: Any, tmp_path: Path) -> None:
    write(tmp_path / "song.mid", track(9, [36, 38] * 100))
    config = PoolConfig(
        kits=str(data.kits), grooves=str(data.grooves), segment=SAMPLE_RATE, batch=1, pool=1,
        workers=1, synthetic_kits=0, seed=0, patterns=str(tmp_path),
    )  # fmt: skip
    source = make_source(config, 0)
    assert isinstance(source, Renderer)
    assert source.patterns is not None
    assert source.patterns.paths == (tmp_path / "song.mid",)
