# SPDX-License-Identifier: GPL-3.0-or-later
"""The bank of music: its MIDI files, and FluidSynth's renderings of them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.errors import DatasetError, InputError
from lars_plugin.training import prepare
from lars_plugin.training.music.accompaniment import Accompaniment
from lars_plugin.training.music.bank import BankConfig, compose, held_out, make_bank
from lars_plugin.training.music.song import SPLITS

needs_fluidsynth = pytest.mark.skipif(
    shutil.which("fluidsynth") is None or not prepare.TIM_GM.is_file(),
    reason="needs fluidsynth and timgm6mb-soundfont",
)


def test_songs_never_play_on_the_drum_channel_and_keep_to_their_splits_programs() -> None:
    for index, split in enumerate(SPLITS):
        for number in range(12):
            midi, _, programs = compose((1, index, number), split, 8.0)
            messages = [m for track in midi.tracks for m in track if not m.is_meta]
            assert all(m.channel != 9 for m in messages)
            assert {held_out(p) for p in programs} == {split == "validation"}
            # Timpani, taiko, toms, synth drum and the sound effects are left out.
            assert not set(programs) & {47, 116, 117, 118, 119, *range(120, 128)}
            assert any(m.type == "note_on" for m in messages)


def test_every_note_that_starts_ends_and_a_seed_is_a_song() -> None:
    midi, song, _ = compose((0, 0, 4), "train", 10.0)
    again, same, _ = compose((0, 0, 4), "train", 10.0)
    assert song == same
    assert list(midi.tracks[0]) == list(again.tracks[0])
    sounding: dict[tuple[int, int], int] = {}
    for message in midi.tracks[0]:
        if message.type in ("note_on", "note_off"):
            key = (message.channel, message.note)
            sounding[key] = sounding.get(key, 0) + (1 if message.type == "note_on" else -1)
    assert set(sounding.values()) == {0}
    assert midi.length <= 10.01


def test_what_is_missing_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    font = tmp_path / "font.sf2"
    with pytest.raises(InputError, match="no such sound font"):
        make_bank(tmp_path / "bank", BankConfig(font))
    font.write_bytes(b"RIFF")
    with pytest.raises(InputError, match="positive"):
        make_bank(tmp_path / "bank", BankConfig(font, count=0))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatasetError, match="not installed"):
        make_bank(tmp_path / "bank", BankConfig(font))


@needs_fluidsynth
def test_a_bank_is_rendered_listed_and_resumed(tmp_path: Path) -> None:
    font, folder = str(prepare.TIM_GM), tmp_path / "bank"
    words = ["accompaniment", str(folder), "--soundfont", font, "--count", "2", "--seconds", "2"]
    assert prepare.main([*words, "--validation-count", "1"]) == 0
    with (folder / "bank.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["split"] for row in rows] == ["train", "train", "validation"]
    assert {len(row["soundfont_sha256"]) for row in rows} == {64}
    for row in rows:
        wave, rate = soundfile.read(folder / row["file"])
        assert (rate, wave.shape) == (44100, (88200, 2))
        assert 0.85 < np.abs(wave).max() < 0.93
    stamp = (folder / rows[0]["file"]).stat().st_mtime_ns
    assert prepare.main([*words, "--validation-count", "2"]) == 0
    assert (folder / rows[0]["file"]).stat().st_mtime_ns == stamp
    assert len((folder / "bank.csv").read_text().splitlines()) == 5
    assert Accompaniment(folder, 0, "validation").draw(30000).shape == (2, 30000)


@needs_fluidsynth
def test_a_broken_sound_font_is_one_clear_error(tmp_path: Path) -> None:
    font = tmp_path / "font.sf2"
    font.write_bytes(b"RIFF is not enough")
    with pytest.raises(DatasetError, match="fluidsynth"):
        make_bank(tmp_path / "bank", BankConfig(font, count=1, validation_count=1, seconds=1))


def test_the_command_reports_an_error_as_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["accompaniment", str(tmp_path), "--soundfont", str(tmp_path / "none.sf2")]
    assert prepare.main(words) == 2
    assert "none.sf2" in caplog.text
