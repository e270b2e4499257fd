# SPDX-License-Identifier: GPL-3.0-or-later
"""A bank's other music: MIDI files without their drums, recordings, voices over the rest."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from lars_plugin.errors import DatasetError, InputError
from lars_plugin.training import prepare
from lars_plugin.training.music.accompaniment import Accompaniment
from lars_plugin.training.music.arrangements import (
    add_arrangements,
    add_recordings,
    without_drums,
)
from lars_plugin.training.music.bank import held_out
from lars_plugin.training.music.bank_index import BANK_INDEX, BankIndex
from tests.training.music.test_accompaniment import peak_hertz
from tests.training.music.test_bank import needs_fluidsynth

PIANO, HELD_OUT, TAIKO = 0, 27, 116


def song(*programs: int) -> mido.MidiFile:
    """A note each quarter on channels 0, 1, … in turn, and one on the drums' at each beat."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)])
    for channel, program in enumerate(programs):
        track.append(mido.Message("program_change", channel=channel, program=program))
    for beat in range(8):
        for channel in (beat % len(programs), 9):
            track.append(mido.Message("note_on", channel=channel, note=60, velocity=90))
        for channel, ticks in ((beat % len(programs), 480), (9, 0)):
            track.append(mido.Message("note_off", channel=channel, note=60, time=ticks))
    return mido.MidiFile(tracks=[track], ticks_per_beat=480)


def notes(midi: mido.MidiFile) -> list[tuple[int, int]]:
    """Onsets in ticks, and channels."""
    now, found = 0, []
    for message in midi.tracks[0]:
        now += message.time
        if message.type == "note_on":
            found.append((now, message.channel))
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / BANK_INDEX).open(newline="") as handle:
        return list(csv.DictReader(handle))


def sine(path: Path, hertz: float, seconds: float, rate: int = 44100, channels: int = 1) -> Path:
    wave = 0.25 * np.sin(np.arange(round(seconds * rate)) * (2 * np.pi * hertz / rate))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate)
    return path


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_nothing_that_sounds_like_drums_is_left_and_the_rest_keeps_its_time(
    seed: int | None,
) -> None:
    score = song(PIANO, TAIKO, HELD_OUT)
    before = list(score.tracks[0])
    rng = None if seed is None else np.random.default_rng(seed)
    played = without_drums(score, rng)
    assert notes(played) == [(480 * beat, beat % 3) for beat in range(8) if beat % 3 != 1]
    assert played.length == pytest.approx(score.length)
    programs = {m.channel: m.program for m in played.tracks[0] if m.type == "program_change"}
    assert {channel: p // 8 for channel, p in programs.items()} == {0: 0, 2: HELD_OUT // 8}
    assert not any(held_out(program) for program in programs.values())
    assert list(score.tracks[0]) == before


@needs_fluidsynth
def test_arrangements_are_rendered_in_pieces_and_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    songs, bank = tmp_path / "songs", tmp_path / "bank"
    (songs / "more").mkdir(parents=True)
    song(PIANO).save(songs / "more" / "one.MID")
    song(TAIKO).save(songs / "drums alone.mid")
    (songs / "broken.mid").write_bytes(b"MThd")
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(songs / "empty.mid")
    with caplog.at_level(logging.WARNING):
        assert add_arrangements(bank, songs, [prepare.TIM_GM], takes=2, seconds=2.0) == 4
    for name in ("drums alone.mid", "broken.mid", "empty.mid"):
        assert sum(f"{name} is left out" in line for line in caplog.messages) == 1
    listed = rows(bank)
    assert [row["split"] for row in listed] == ["train"] * 4
    for row in listed:
        assert (row["source"], row["layer"]) == ("one.MID", "music")
        wave, rate = soundfile.read(bank / row["file"])
        assert (rate, wave.shape) == (44100, (88200, 2))
        assert 0.85 < np.abs(wave).max() < 0.93
    assert add_arrangements(bank, songs, [prepare.TIM_GM], takes=2, seconds=2.0) == 0


def test_recordings_of_any_rate_are_cut_and_rests_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, bank = tmp_path / "source", tmp_path / "bank"
    sine(source / "a" / "mono.wav", 440, 3.0, 48000)
    quiet = np.concatenate([np.zeros(88200), 0.5 * np.ones(88200)])
    soundfile.write(source / "rest.flac", quiet, 44100)
    (source / "broken.wav").write_bytes(b"RIFF")
    with caplog.at_level(logging.WARNING):
        assert add_recordings(bank, source, seconds=2.0) == 3
    assert any("broken.wav is left out" in line for line in caplog.messages)
    lengths = sorted((row["source"], float(row["seconds"])) for row in rows(bank))
    assert lengths == [("mono.wav", 1.5), ("mono.wav", 1.5), ("rest.flac", 2.0)]
    for row in rows(bank):
        if row["source"] == "mono.wav":
            wave, rate = soundfile.read(bank / row["file"])
            assert (rate, wave.shape) == (44100, (66150, 2))
            assert peak_hertz(wave[:44100, 0].astype(np.float32)) == pytest.approx(440, abs=1)
    assert add_recordings(bank, source, seconds=2.0) == 0
    with pytest.raises(InputError, match="has no audio file"):
        add_recordings(bank, tmp_path / "nothing")
    with pytest.raises(InputError, match="positive"):
        add_recordings(bank, source, seconds=0)


def test_half_of_the_music_has_a_voice_over_it(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    sine(tmp_path / "band" / "a.wav", 300, 4.0)
    sine(tmp_path / "voice" / "a.wav", 3000, 4.0)
    assert add_recordings(bank, tmp_path / "band") == 1
    assert add_recordings(bank, tmp_path / "voice", solo=True) == 1
    music = Accompaniment(bank, 3)
    assert (len(music.files), len(music.solos)) == (1, 1)
    sung = 0
    for _ in range(60):
        spectrum = np.abs(np.fft.rfft(music.draw(44100).sum(0) * np.hanning(44100)))
        # Excerpts are up to three semitones faster or slower; our own band has no such peak.
        sung += bool(spectrum[2500:3600].max() > 100 * np.median(spectrum[2500:3600]))
    assert 18 <= sung <= 50


def test_a_bank_of_an_earlier_version_can_be_added_to(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    sine(bank / "train" / "0000.flac", 300, 2.0, channels=2)
    earlier = "file,split,seed,sample_rate\ntrain/0000.flac,train,0-0-0,44100\n"
    (bank / BANK_INDEX).write_text(earlier)
    assert BankIndex(bank).files == {"train/0000.flac"}
    sine(tmp_path / "voice" / "a.wav", 3000, 2.0)
    assert add_recordings(bank, tmp_path / "voice", solo=True) == 1
    assert [(row["file"][:5], row["seed"], row["layer"]) for row in rows(bank)] == [
        ("train", "0-0-0", ""),
        ("train", "", "solo"),
    ]
    music = Accompaniment(bank, 0)
    assert (len(music.files), len(music.solos)) == (1, 1)


def test_a_list_that_is_no_banks_and_a_bank_that_cannot_be_are_one_clear_error(
    tmp_path: Path,
) -> None:
    sine(tmp_path / "voice" / "a.wav", 3000, 1.0)
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / BANK_INDEX).write_text("name,value\n1,2\n")
    with pytest.raises(DatasetError, match="not the list of a bank: no column 'file'"):
        add_recordings(tmp_path / "bank", tmp_path / "voice")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="cannot read"):
        add_recordings(tmp_path / "file", tmp_path / "voice")


def test_a_missing_fluidsynth_is_said_once_and_no_song_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "font.sf2").write_bytes(b"RIFF")
    song(PIANO).save(tmp_path / "one.mid")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatasetError, match="not installed"):
        add_arrangements(tmp_path / "bank", tmp_path, [tmp_path / "font.sf2"])
    assert not caplog.messages


def test_more_than_two_channels_are_mixed_down(tmp_path: Path) -> None:
    wave = np.zeros((44100, 6))
    wave[:, 2] = 0.5 * np.sin(np.arange(44100) * (2 * np.pi * 440 / 44100))  # the middle one
    (tmp_path / "films").mkdir()
    soundfile.write(tmp_path / "films" / "a.wav", wave, 44100)
    assert add_recordings(tmp_path / "bank", tmp_path / "films") == 1
    (row,) = rows(tmp_path / "bank")
    heard, _ = soundfile.read(tmp_path / "bank" / row["file"])
    assert heard.shape == (44100, 2)
    assert peak_hertz(heard[:, 1].astype(np.float32)) == pytest.approx(440, abs=1)


def test_no_midi_or_no_font_is_one_clear_error(tmp_path: Path) -> None:
    font = tmp_path / "font.sf2"
    with pytest.raises(InputError, match="no such sound font"):
        add_arrangements(tmp_path / "bank", tmp_path, [font])
    font.write_bytes(b"RIFF")
    with pytest.raises(InputError, match="has no MIDI file"):
        add_arrangements(tmp_path / "bank", tmp_path, [font])
    with pytest.raises(InputError, match="at least one sound font"):
        add_arrangements(tmp_path / "bank", tmp_path, [])
    with pytest.raises(InputError, match="takes"):
        add_arrangements(tmp_path / "bank", tmp_path, [font], takes=0)
