# SPDX-License-Identifier: GPL-3.0-or-later
"""Music without drums: random songs, and splits that share nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.errors import DatasetError, InputError
from lars_plugin.training.music.accompaniment import Accompaniment
from lars_plugin.training.music.band import perform
from lars_plugin.training.music.bank_index import BANK_INDEX
from lars_plugin.training.music.song import (
    PROGRESSIONS,
    SPLITS,
    Event,
    Split,
    arpeggio,
    bass,
    comping,
    draw_song,
    melody,
    pads,
    pulse,
    riff,
    strums,
)
from lars_plugin.training.sounds.instruments import FACTORIES
from lars_plugin.training.sounds.tones import frequency, pluck
from lars_plugin.training.sounds.voices import PLAYERS

PARTS = (bass, pads, comping, strums, arpeggio, melody, riff, pulse)


def write_bank(folder: Path, **tones: float) -> Path:
    """Two seconds of a sine for each split, in Hz."""
    folder.mkdir()
    with (folder / BANK_INDEX).open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "split", "sample_rate"])
        for split, hertz in tones.items():
            wave = 0.5 * np.sin(np.arange(88200) * (2 * np.pi * hertz / 44100))
            soundfile.write(folder / f"{split}.flac", np.stack([wave, wave], axis=1), 44100)
            writer.writerow([f"{split}.flac", split, 44100])
    return folder


def peak_hertz(wave: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * 44100 / len(wave))


@pytest.mark.parametrize("split", SPLITS)
def test_excerpts_are_finite_stereo_peak_at_one_and_are_never_silent(split: Split) -> None:
    music = Accompaniment(None, 3, split)
    for samples in (3000, 60000, 60000, 60000, 60000):
        wave = music.draw(samples)
        assert wave.shape == (2, samples)
        assert wave.dtype == np.float32
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() == pytest.approx(1, abs=1e-5)


def test_the_same_seed_draws_the_same_music_and_the_splits_differ(tmp_path: Path) -> None:
    bank = write_bank(tmp_path / "bank", train=300, validation=300)
    one, two = (Accompaniment(bank, 5) for _ in range(2))
    for _ in range(4):
        assert np.array_equal(one.draw(20000), two.draw(20000))
    other = Accompaniment(None, 5, "validation").draw(20000)
    assert not np.array_equal(Accompaniment(None, 5, "train").draw(20000), other)


def test_the_bank_gives_its_own_split_within_three_semitones(tmp_path: Path) -> None:
    bank = write_bank(tmp_path / "bank", train=300, validation=3000)
    for split, hertz in (("train", 300.0), ("validation", 3000.0)):
        music = Accompaniment(bank, 1, split)  # type: ignore[arg-type]
        found = [peak_hertz(music._from_bank(44100)[0]) for _ in range(6)]
        assert all(2 ** (-3.1 / 12) < value / hertz < 2 ** (3.1 / 12) for value in found)
        assert len({round(value) for value in found}) > 1


def test_an_excerpt_longer_than_the_banks_files_is_filled(tmp_path: Path) -> None:
    bank = write_bank(tmp_path / "bank", train=300)
    wave = Accompaniment(bank, 2)._from_bank(200000)
    assert wave.shape == (2, 200000)
    assert np.abs(wave[:, -20000:]).max() > 0.1


def test_a_bank_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="prepare accompaniment"):
        Accompaniment(tmp_path, 0)
    bank = write_bank(tmp_path / "bank", train=300)
    with pytest.raises(DatasetError, match="'validation'"):
        Accompaniment(bank, 0, "validation")
    with pytest.raises(InputError, match="no split"):
        Accompaniment(None, 0, "test")  # type: ignore[arg-type]
    (bank / "train.flac").write_bytes(b"no flac")
    with pytest.raises(DatasetError, match=r"train\.flac"):
        Accompaniment(bank, 0)._from_bank(1000)


def test_the_splits_share_no_instrument_and_no_chord_progression() -> None:
    for role in FACTORIES["train"]:
        assert not set(FACTORIES["train"][role]) & set(FACTORIES["validation"][role])
    kinds = {split: {f for role in FACTORIES[split].values() for f in role} for split in SPLITS}
    assert not kinds["train"] & kinds["validation"]
    assert not set(PLAYERS["train"]) & set(PLAYERS["validation"])
    rotations = {p[i:] + p[:i] for p in PROGRESSIONS["train"] for i in range(len(p))}
    assert not rotations & set(PROGRESSIONS["validation"])


@pytest.mark.parametrize("split", SPLITS)
def test_every_instrument_plays_a_finite_note_that_sounds(split: Split) -> None:
    rng = np.random.default_rng(0)
    for role, factories in FACTORIES[split].items():
        for factory in dict.fromkeys(factories):
            for pitch in (36, 60, 84) if role != "bass" else (28, 40):
                wave = factory(rng)(pitch, 0.3)
                assert wave.dtype == np.float32, factory.__name__
                assert np.isfinite(wave).all(), factory.__name__
                assert 0.05 < np.abs(wave).max() < 5, factory.__name__


@pytest.mark.parametrize("split", SPLITS)
def test_every_player_follows_its_notes(split: Split) -> None:
    events = [Event(0.1, 0.4, 60, 0.9), Event(0.7, 0.4, 64, 0.9)]
    for player in dict.fromkeys(PLAYERS[split]):
        wave = player(np.random.default_rng(1), events, 66150)
        assert wave.dtype == np.float32
        assert np.isfinite(wave).all()
        assert np.abs(wave[8000:20000]).max() > 0.02, player.__name__
        # 1.3 s on: everything has died away.
        assert np.abs(wave[60000:]).max() < 0.02 * np.abs(wave).max(), player.__name__


def test_singers_pronounce_noise_where_hi_hats_have_theirs() -> None:
    events = [Event(0.2 * i, 0.15, 60, 1.0) for i in range(1, 20)]
    player = next(p for p in PLAYERS["train"] if p.__name__ == "deep_singer")
    wave = player(np.random.default_rng(2), events, 4 * 44100)
    power = np.abs(np.fft.rfft(wave)) ** 2
    top = power[20000:48000].sum()
    assert 1e-4 < top / power.sum() < 0.9


def test_a_plucked_string_is_in_tune() -> None:
    rng = np.random.default_rng(0)
    for pitch in (40, 52, 64, 76):
        wave = pluck(rng, frequency(pitch), 2.0, 0.3, 5.0, 0.2)
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        hertz = np.arange(len(spectrum)) * 44100 / len(wave)
        near = np.abs(hertz / frequency(pitch) - 1) < 0.08
        found = hertz[near][np.argmax(spectrum[near])]
        assert abs(1200 * np.log2(found / frequency(pitch))) < 15


def test_parts_stay_in_the_key_and_on_the_grid() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        song = draw_song(rng, "train")
        for part in (pads, comping, arpeggio, melody):
            for event in part(song, rng, 6.0):
                assert (event.pitch - song.key) % 12 in song.scale
        sixteenth = 15.0 / song.tempo
        for event in bass(song, rng, 6.0):
            at = (event.onset - song.start) / sixteenth
            swung = [abs(at - round(at)), abs(at - song.swing - round(at - song.swing))]
            assert min(swung) * sixteenth < 0.02


def test_parts_cover_the_excerpt_with_levels_and_lengths_that_make_sense() -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        song = draw_song(rng, "validation")
        for part in PARTS:
            events = part(song, rng, 6.0)
            assert all(0 < event.level <= 1 and event.seconds > 0 for event in events)
            assert all(20 <= event.pitch <= 110 for event in events)
        assert max(event.onset + event.seconds for event in pads(song, rng, 6.0)) >= 5.9


def test_an_unknown_split_of_songs_is_an_error() -> None:
    with pytest.raises(InputError, match="train or validation"):
        draw_song(np.random.default_rng(0), "test")  # type: ignore[arg-type]


def test_songs_differ_from_each_other() -> None:
    rng = np.random.default_rng(0)
    waves = [perform(rng, "train", 30000) for _ in range(4)]
    shapes = [np.log(np.abs(np.fft.rfft(wave.mean(0)))[:8000].reshape(40, -1).mean(1) + 1e-3)
              for wave in waves]  # fmt: skip
    for i in range(4):
        for j in range(i):
            assert np.abs(shapes[i] - shapes[j]).mean() > 0.3
