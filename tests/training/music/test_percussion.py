# SPDX-License-Identifier: GPL-3.0-or-later
"""Percussion beside the kit: what is played, and where a bank's excerpts have it."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest

from lars_plugin.errors import InputError
from lars_plugin.training import prepare
from lars_plugin.training.data.grooves import NOTE_MAP
from lars_plugin.training.music.accompaniment import Accompaniment
from lars_plugin.training.music.bank_index import MUSIC, PERCUSSION, BankIndex, write_piece
from lars_plugin.training.music.percussion import (
    INSTRUMENTS,
    add_percussion,
    compose_percussion,
)
from tests.training.music.test_bank import needs_fluidsynth

FONT = prepare.TIM_GM


def test_no_instrument_is_a_drum_of_the_kit() -> None:
    notes = {note for one in INSTRUMENTS.values() for note in one.notes}
    # The maps of electronic kits use a few of these for zones of their own.
    standard = {note for note in NOTE_MAP if 35 <= note <= 59 and note not in (39, 54, 56, 58)}
    assert not notes & standard


@pytest.mark.parametrize("number", range(30))
def test_a_piece_strikes_only_what_it_says_on_the_drum_channel_for_its_whole_length(
    number: int,
) -> None:
    midi, song, notes = compose_percussion((7, number), 8.0)
    struck = [m for m in midi if m.type == "note_on"]
    assert {m.channel for m in struck} == {9}
    assert {m.note for m in struck} == set(notes)
    assert set(notes) <= {note for one in INSTRUMENTS.values() for note in one.notes}
    assert all(1 <= m.velocity <= 127 for m in struck)
    assert midi.length <= 8.0 + 0.01
    # No bar is empty, so it goes on to the end.
    last, now = 0.0, 0.0
    for message in midi:
        now += message.time
        if message.type == "note_on":
            last = now
    assert last > 8.0 - 2 * 240 / song.tempo


def test_the_same_seed_is_the_same_piece() -> None:
    one, other, third = (compose_percussion((seed,), 5.0)[0] for seed in (1, 1, 2))
    assert list(one) == list(other)
    assert list(one) != list(third)


def test_every_instrument_is_heard_of() -> None:
    found: set[int] = set()
    for number in range(200):
        found |= set(compose_percussion((number,), 4.0)[2])
    assert found == {note for one in INSTRUMENTS.values() for note in one.notes}


@needs_fluidsynth
def test_pieces_are_rendered_listed_and_kept(tmp_path: Path) -> None:
    assert add_percussion(tmp_path, [FONT], 3, seconds=2.0) == 3
    assert add_percussion(tmp_path, [FONT], 3, seconds=2.0) == 0
    rows = (tmp_path / "bank.csv").read_text().splitlines()
    assert len(rows) == 4
    assert all(f",{PERCUSSION}," in row for row in rows[1:])
    assert all((tmp_path / name).is_file() for name in BankIndex(tmp_path).files)


@needs_fluidsynth
def test_the_command_puts_percussion_beside_the_music(tmp_path: Path) -> None:
    words = ["accompaniment", str(tmp_path), "--count", "1", "--validation-count", "1"]
    words += ["--seconds", "2", "--soundfont", str(FONT), "--percussion", "2"]
    assert prepare.main(words) == 0
    assert len(Accompaniment(tmp_path, 0, "train").percussion) == 2
    # Validation hears none.
    assert not Accompaniment(tmp_path, 0, "validation").percussion


def test_what_is_missing_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such sound font"):
        add_percussion(tmp_path, [tmp_path / "none.sf2"], 1)
    with pytest.raises(InputError, match="at least one sound font"):
        add_percussion(tmp_path, [], 1)
    with pytest.raises(InputError, match="must be positive"):
        add_percussion(tmp_path, [FONT], 0)


def test_a_tenth_of_the_excerpts_has_percussion_and_nothing_else(tmp_path: Path) -> None:
    """The music is a low tone, the percussion a high one."""
    index = BankIndex(tmp_path)
    seconds = np.arange(3 * 44100) / 44100
    for layer, hertz in ((MUSIC, 200.0), (PERCUSSION, 8000.0)):
        wave = np.sin(2 * np.pi * hertz * seconds)
        write_piece(np.stack([wave, wave]).astype(np.float32), tmp_path / f"train/{layer}.flac")
        index.add(f"train/{layer}.flac", "train", 3.0, layer=layer)
    music = Accompaniment(tmp_path, 0, "train")
    alone = 0
    for _ in range(200):
        power = np.square(np.abs(np.fft.rfft(music.draw(44100).mean(0))))
        low, high = power[:4000].sum(), power[6500:9800].sum()
        alone += bool(high > 100 * low)
    assert 10 <= alone <= 35


def test_midi_of_a_piece_can_be_written(tmp_path: Path) -> None:
    compose_percussion((3,), 2.0)[0].save(tmp_path / "one.mid")
    assert mido.MidiFile(tmp_path / "one.mid").length > 0
