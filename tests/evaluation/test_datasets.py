# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.audio import read_audio
from lars_plugin.errors import DatasetError, InputError
from lars_plugin.evaluation.clips import Clip, load_clip, spread
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.evaluation.stemgmd import UNSEEN_KITS

Wave = NDArray[np.float32]
Write = Callable[..., Path]
Group = Callable[[Mapping[str, Wave]], dict[str, Wave]]


def wave(seed: int, samples: int = 100, channels: int = 2) -> Wave:
    return np.random.default_rng(seed).uniform(-0.1, 0.1, (channels, samples)).astype(np.float32)


def test_a_folder_of_clips_is_found_with_its_kits(clip_tree: Path) -> None:
    layout, clips = find_clips(clip_tree)
    assert layout == "clips"
    assert [(clip.name, clip.kit) for clip in clips] == [
        ("clip0", "a"),
        ("clip1", "b"),
        ("clip2", "a"),
    ]
    assert list(clips[0].stems) == ["kick", "snare", "toms", "hihat", "ride", "crash"]


def test_the_mixture_is_the_sum_of_the_stems_where_there_is_none(clip_tree: Path) -> None:
    recording = load_clip(find_clips(clip_tree)[1][0])
    total = np.sum(list(recording.references.values()), axis=0)
    np.testing.assert_allclose(recording.mixture, total, atol=1e-7)
    assert recording.sample_rate == 44100
    assert recording.seconds == 0.5


@pytest.mark.parametrize("name", ["mix.wav", "mixture.flac", "MIX.wav"])
def test_a_mixture_that_is_there_is_used(tmp_path: Path, write: Write, name: str) -> None:
    write(tmp_path / "a" / "kick.wav", wave(0))
    write(tmp_path / "a" / name, wave(1))
    recording = load_clip(find_clips(tmp_path)[1][0])
    np.testing.assert_allclose(recording.mixture, wave(1), atol=2**-15)


def test_nested_folders_and_other_names_of_stems_are_found(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "x" / "y" / "hh.flac", wave(0))
    write(tmp_path / "x" / "y" / "BD.wav", wave(1))
    (clip,) = find_clips(tmp_path)[1]
    assert clip.name == "x/y"
    assert list(clip.stems) == ["kick", "hihat"]


def test_the_folder_itself_can_be_the_clip(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "take" / "kick.wav", wave(0))
    write(tmp_path / "take" / "snare.wav", wave(1))
    assert [clip.name for clip in find_clips(tmp_path / "take")[1]] == ["take"]


def test_files_that_are_not_stems_are_left_out_and_named(
    tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("kick", "snare", "tambourine"):
        write(tmp_path / "a" / f"{name}.wav", wave(0))
    with caplog.at_level(logging.WARNING):
        (clip,) = find_clips(tmp_path)[1]
    assert list(clip.stems) == ["kick", "snare"]
    assert "tambourine.wav" in caplog.text


def test_a_stem_given_twice_is_refused(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "a" / "hihat.wav", wave(0))
    write(tmp_path / "a" / "hh.wav", wave(0))
    with pytest.raises(DatasetError, match="hihat twice"):
        find_clips(tmp_path)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: (path / "kick.txt").touch()])
def test_a_folder_without_clips_says_what_was_looked_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path)
    with pytest.raises(DatasetError, match="kick, snare"):
        find_clips(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a folder"):
        find_clips(tmp_path / "none")


def test_plain_clips_have_no_splits_and_only_their_kits(clip_tree: Path) -> None:
    with pytest.raises(InputError, match="no splits"):
        find_clips(clip_tree, split="test")
    with pytest.raises(InputError, match="there are: a, b"):
        find_clips(clip_tree, kits=["z"])
    assert [clip.name for clip in find_clips(clip_tree, kits=["a"])[1]] == ["clip0", "clip2"]


def test_short_files_end_in_silence_and_mono_goes_to_both_sides(
    tmp_path: Path, write: Write
) -> None:
    write(tmp_path / "a" / "kick.wav", wave(0, 100))
    write(tmp_path / "a" / "snare.wav", wave(1, 60, channels=1))
    recording = load_clip(find_clips(tmp_path)[1][0])
    snare = recording.references["snare"]
    assert snare.shape == (2, 100)
    np.testing.assert_array_equal(snare[0], snare[1])
    assert not snare[:, 60:].any()
    np.testing.assert_array_equal(snare[:1, :60], wave(1, 60, channels=1))


def test_a_mono_clip_stays_mono(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "a" / "kick.wav", wave(0, channels=1))
    write(tmp_path / "a" / "snare.wav", wave(1, channels=1))
    assert load_clip(find_clips(tmp_path)[1][0]).mixture.shape == (1, 100)


def test_files_of_different_rates_are_refused(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "a" / "kick.wav", wave(0), 44100)
    write(tmp_path / "a" / "snare.wav", wave(1), 48000)
    with pytest.raises(DatasetError, match=r"kick.wav 44100 Hz, snare.wav 48000 Hz"):
        load_clip(find_clips(tmp_path)[1][0])


@given(st.integers(1, 40), st.integers(1, 60))
def test_a_limit_spreads_over_all_clips(count: int, limit: int) -> None:
    clips = [Clip(str(index), {}) for index in range(count)]
    places = [int(clip.name) for clip in spread(clips, limit)]
    assert len(places) == min(limit, count)
    assert places == sorted(set(places))
    gaps = np.diff([*places, count])
    assert gaps.max() - gaps.min() <= 1
    with pytest.raises(InputError, match="1 or more"):
        spread(clips, 0)


@pytest.fixture
def musdb(tmp_path: Path, write: Write) -> Path:
    for split, track in (("train", "A - One"), ("test", "B - Two"), ("test", "C - Three")):
        for seed, stem in enumerate(("mixture", "vocals", "bass", "drums", "other")):
            write(tmp_path / split / track / f"{stem}.wav", wave(seed))
    return tmp_path


def test_musdb_is_recognised_and_its_test_split_is_the_default(musdb: Path) -> None:
    layout, clips = find_clips(musdb)
    assert layout == "musdb"
    assert [clip.name for clip in clips] == ["test/B - Two", "test/C - Three"]
    assert list(clips[0].stems) == ["vocals", "bass", "drums", "other"]
    assert clips[0].mixture is not None
    assert len(find_clips(musdb, split="all")[1]) == 3
    assert [clip.name for clip in find_clips(musdb, split="train")[1]] == ["train/A - One"]
    assert [clip.name for clip in find_clips(musdb / "test")[1]] == ["B - Two", "C - Three"]


def test_missing_musdb_splits_are_named(musdb: Path) -> None:
    with pytest.raises(InputError, match="validation"):
        find_clips(musdb, split="validation")
    shutil.rmtree(musdb / "train")
    with pytest.raises(DatasetError, match="'train'"):
        find_clips(musdb, "musdb", split="train")


def test_stemgmd_is_recognised_at_every_level_of_its_tree(stemgmd_tree: Path) -> None:
    for top in (stemgmd_tree, stemgmd_tree / "audio", stemgmd_tree / "audio" / "drummer1"):
        assert find_clips(top)[0] == "stemgmd"


def test_the_nine_pieces_of_stemgmd_make_six_stems(
    stemgmd_tree: Path, perform: Callable[..., dict[str, Wave]], stems_of: Group
) -> None:
    clips = find_clips(stemgmd_tree, split="eval")[1]
    brooklyn = next(clip for clip in clips if clip.kit == "brooklyn")
    recording = load_clip(brooklyn)
    wanted = stems_of(perform(11, 0.3))
    assert list(recording.references) == list(wanted)
    for stem, reference in recording.references.items():
        np.testing.assert_allclose(reference, wanted[stem], atol=1e-6)
    np.testing.assert_allclose(recording.mixture, sum(wanted.values()), atol=1e-6)


def test_stemgmd_clips_are_named_by_session_kit_and_performance(stemgmd_tree: Path) -> None:
    clips = find_clips(stemgmd_tree)[1]
    assert [(clip.name, clip.kit) for clip in clips] == [
        (f"audio/drummer1/eval_session/{kit}/1_funk-groove1_138_beat_4-4", kit)
        for kit in ("bluebird", "brooklyn")
    ]
    assert len(find_clips(stemgmd_tree, split="all")[1]) == 6
    assert [c.kit for c in find_clips(stemgmd_tree, kits=UNSEEN_KITS[:1])[1]] == ["bluebird"]


def test_the_splits_of_stemgmd_are_those_of_the_groove_dataset(
    stemgmd_tree: Path, tmp_path: Path
) -> None:
    top = tmp_path / "copy"
    shutil.copytree(stemgmd_tree, top)
    (top / "info.csv").write_text(
        "drummer,id,midi_filename,split\n"
        "drummer1,x,drummer1/eval_session/1_funk-groove1_138_beat_4-4.mid,test\n"
        "drummer1,y,drummer1/session1/1_funk_80_beat_4-4.mid,train\n"
        "drummer7,z,drummer7/session3/25_hiphop_67_beat_4-4.mid,test\n"
    )
    sessions = {
        split: sorted({clip.name.split("/")[-3] for clip in find_clips(top, split=split)[1]})
        for split in ("test", "eval", "train", "all")
    }
    assert sessions["test"] == ["eval_session", "session3"]
    assert sessions["eval"] == ["eval_session"]
    assert sessions["train"] == ["session1"]
    assert sessions["all"] == ["eval_session", "session1", "session3"]


def test_without_the_groove_datasets_table_training_splits_are_told(stemgmd_tree: Path) -> None:
    with pytest.raises(DatasetError, match=r"info\.csv"):
        find_clips(stemgmd_tree, split="train")
    with pytest.raises(InputError, match="no split 'dev'"):
        find_clips(stemgmd_tree, split="dev")


def test_a_mixture_and_grouped_folders_of_stemgmd_are_used(tmp_path: Path, write: Write) -> None:
    kit = tmp_path / "drummer1" / "eval_session" / "roots"
    for seed, name in enumerate(("mixture", "kick", "snare", "toms", "hihat", "cymbals")):
        write(kit / name / "take.wav", wave(seed))
    # Where pieces are there too, their sum is not counted twice.
    write(kit / "hihat_open" / "take.wav", wave(9))
    (clip,) = find_clips(tmp_path)[1]
    assert list(clip.stems) == ["kick", "snare", "toms", "hihat", "cymbals"]
    recording = load_clip(clip)
    np.testing.assert_array_equal(recording.mixture, wave(0))
    np.testing.assert_array_equal(recording.references["hihat"], wave(9))
    np.testing.assert_array_equal(
        recording.references["toms"], read_audio(kit / "toms" / "take.wav")[0]
    )


def test_names_that_are_no_utf8_can_be_shown(tmp_path: Path, write: Write) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    try:
        (tmp_path / name).mkdir()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    for stem in ("kick", "snare"):
        write(tmp_path / "x.wav", wave(0)).rename(tmp_path / name / f"{stem}.wav")
    (clip,) = find_clips(tmp_path)[1]
    assert clip.name.encode("utf-8")
    assert load_clip(clip).mixture.shape == (2, 100)
