# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars separate`` with a tiny network, in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import read_audio
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import FailingModel
from lars_plugin.zoo import load_model

STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")
RATE = 44100

Song = Callable[..., Path]
Lars = Callable[..., "tuple[int, str, str]"]


def below(folder: Path) -> list[str]:
    """Files that are not hidden, as the records beside the stems are."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.*")
        if not path.name.startswith(".")
    )


def test_a_file_becomes_a_folder_of_stems(
    lars: Lars, song: Song, tmp_path: Path, tiny: Path
) -> None:
    song("take.wav")
    code, out, err = lars("take.wav", "-o", "stems")
    assert (code, err) == (0, "")
    assert out.startswith(f"take.wav: {', '.join(STEMS)} in stems/take (")
    assert below(tmp_path / "stems") == sorted(f"take/{stem}.wav" for stem in STEMS)
    wave, rate = read_audio("take.wav")
    expected = Separator(load_model(tiny, device="cpu")).separate(wave, rate)
    for stem in STEMS:
        back, _ = read_audio(f"stems/take/{stem}.wav")
        assert soundfile.info(f"stems/take/{stem}.wav").subtype == "PCM_24"
        assert np.abs(back - expected[stem]).max() <= 2**-22


def test_without_a_folder_the_stems_go_to_separated(lars: Lars, song: Song, tmp_path: Path) -> None:
    song("take.wav")
    assert lars("take.wav", "--stems", "kick")[0] == 0
    assert below(tmp_path / "separated") == ["take/kick.wav"]


@pytest.mark.parametrize(
    ("flags", "extension", "subtype"),
    [
        (["--bits", "16"], "wav", "PCM_16"),
        (["--int16"], "wav", "PCM_16"),
        (["--float32"], "wav", "FLOAT"),
        (["--bits", "32f", "--format", "wav"], "wav", "FLOAT"),
        (["--flac"], "flac", "PCM_24"),
        (["-f", "flac", "--bits", "16"], "flac", "PCM_16"),
        (["--flac", "--int24"], "flac", "PCM_24"),
    ],
)
def test_formats_and_bits(
    lars: Lars, song: Song, flags: list[str], extension: str, subtype: str
) -> None:
    song("take.wav", 0.1)
    assert lars("take.wav", "-o", "out", "--stems", "kick", *flags)[0] == 0
    assert soundfile.info(f"out/take/kick.{extension}").subtype == subtype


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--stems", "snare,kick"], ["kick", "snare"]),
        (["--stems", "hh, BD"], ["hihat", "kick"]),
        (["--stems", "kick", "--residual"], ["kick", "residual"]),
        (["--two-stems", "toms"], ["residual", "toms"]),
        (["--residual"], sorted([*STEMS, "residual"])),
    ],
)
def test_stems_can_be_chosen_and_the_rest_kept(
    lars: Lars, song: Song, tmp_path: Path, flags: list[str], names: list[str]
) -> None:
    song("take.wav", 0.1)
    assert lars("take.wav", "-o", "out", "--float32", *flags)[0] == 0
    assert below(tmp_path / "out") == [f"take/{name}.wav" for name in names]
    if "residual" in names:
        total = sum(read_audio(f"out/take/{name}.wav")[0] for name in names)
        np.testing.assert_allclose(total, read_audio("take.wav")[0], atol=1e-6)


def test_presets_overlap_and_batch_size_reach_the_model(lars: Lars, song: Song) -> None:
    song("take.wav")
    flags = {
        "own": [],
        "balanced": ["--preset", "balanced"],
        "best": ["--preset", "best"],
        "four": ["--overlap", "4"],
        "batch": ["--batch-size", "3"],
        "shifted": ["--shifts", "2"],
    }
    waves = {}
    for name, extra in flags.items():
        assert lars("take.wav", "-o", name, "--stems", "kick", "--float32", *extra)[0] == 0
        waves[name] = read_audio(f"{name}/take/kick.wav")[0]
    np.testing.assert_array_equal(waves["own"], waves["balanced"])
    np.testing.assert_array_equal(waves["best"], waves["four"])
    assert np.abs(waves["own"] - waves["best"]).max() > 1e-5
    assert np.abs(waves["own"] - waves["shifted"]).max() > 1e-5
    np.testing.assert_allclose(waves["own"], waves["batch"], atol=1e-6)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_files_folders_and_patterns_are_separated_together(
    lars: Lars, song: Song, tmp_path: Path, jobs: str
) -> None:
    for name in ("in/a.wav", "in/deep/b.flac", "more/c1.wav", "more/c2.wav", "d.wav"):
        song(name, 0.1)
    code, out, err = lars("in", "more/c?.wav", "d.wav", "-o", "out", "--stems", "ride", "-j", jobs)
    assert (code, err) == (0, "")
    assert below(tmp_path / "out") == [f"{name}/ride.wav" for name in ("a", "b", "c1", "c2", "d")]
    assert len(out.splitlines()) == 5


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", None), ("OGG", "VORBIS"), ("AIFF", None)])
def test_other_formats_are_read(lars: Lars, tmp_path: Path, kind: str, subtype: str | None) -> None:
    wave = np.random.default_rng(0).standard_normal((9000, 2)) * 0.1
    soundfile.write(f"a.{kind.lower()}", wave, RATE, format=kind, subtype=subtype)
    assert lars(f"a.{kind.lower()}", "-o", "out", "--stems", "kick")[0] == 0
    assert soundfile.info("out/a/kick.wav").frames == 9000


@pytest.mark.parametrize("rate", [8000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_rates_from_8_to_192_khz_and_mono_come_back_as_they_went_in(
    lars: Lars, song: Song, rate: int, channels: int
) -> None:
    song("a.wav", 0.2, channels, rate)
    assert lars("a.wav", "-o", "out", "--stems", "kick")[0] == 0
    info = soundfile.info("out/a/kick.wav")
    assert (info.samplerate, info.channels, info.frames) == (rate, channels, rate // 5)


def test_file_names_follow_the_template(lars: Lars, song: Song, tmp_path: Path) -> None:
    song("album/take.wav", 0.1)
    template = "{model}/{folder}_{track}_{stem}.{ext}"
    assert lars("album/take.wav", "-o", "out", "--stems", "kick", "--filename", template)[0] == 0
    assert below(tmp_path / "out") == ["tiny/album_take_kick.wav"]


# Bad input: the others go on, one line each, exit code 1.


def bad_files(song: Song) -> dict[str, str]:
    """File names with what is said about them."""
    Path("empty.wav").touch()
    Path("text.wav").write_text("no audio " * 99)
    soundfile.write("none.wav", np.zeros((0, 2)), RATE)
    wave = np.zeros((1000, 2))
    wave[441, 1] = np.nan
    soundfile.write("nan.wav", wave, RATE, subtype="FLOAT")
    wave[441, 1] = -np.inf
    soundfile.write("inf.wav", wave, RATE, subtype="FLOAT")
    song("wide.wav", 0.1, channels=8)
    header = song("lying.wav", 0.1).read_bytes()
    Path("head.wav").write_bytes(header[:40])
    Path("lying.wav").write_bytes(header[: 22 + 36] + b"\0\0" + header[24 + 36 :])
    Path("folder").mkdir()
    return {
        "empty.wav": "empty (0 bytes)",
        "text.wav": "no audio file, or a damaged one",
        "none.wav": "0 frames",
        "nan.wav": "holds nan at 0.010000 s (channel 2); repair it first",
        "inf.wav": "holds -inf at 0.010000 s",
        "wide.wav": "has 8 channels; mono or stereo is needed",
        "lying.wav": "no audio file, or a damaged one",
        "head.wav": "no audio file, or a damaged one",
        "folder": "holds no audio file",
        "missing.wav": "No such file or directory",
    }


def test_each_bad_input_gets_one_line_and_the_others_are_done(
    lars: Lars, song: Song, tmp_path: Path
) -> None:
    bad = bad_files(song)
    song("good.wav")
    code, out, err = lars(*bad, "good.wav", "-o", "out", "--stems", "kick")
    assert code == 1
    assert out.startswith("good.wav: kick in out/good")
    assert len(out.splitlines()) == 1
    lines = err.splitlines()
    assert len(lines) == len(bad)
    for name, message in bad.items():
        (line,) = (line for line in lines if f" {name}" in line)
        assert line.startswith("lars: error: ")
        assert message in line
    assert below(tmp_path / "out") == ["good/kick.wav"]
    assert os.listdir("out") == ["good"]


def test_a_truncated_file_is_done_with_a_warning(lars: Lars, song: Song) -> None:
    path = song("cut.wav")
    path.write_bytes(path.read_bytes()[:50_000])
    code, out, err = lars("cut.wav", "-o", "out", "--stems", "kick", "--json")
    assert code == 0
    assert err.startswith("lars: warning: cut.wav: its header promises 0.500 s but it ends after")
    (result,) = json.loads(out)["results"]
    assert [f"lars: warning: {warning}" for warning in result["warnings"]] == err.splitlines()


def test_a_name_that_is_not_utf8_is_separated_and_can_be_told(lars: Lars, song: Song) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    try:
        song(name, 0.1)
    except OSError as error:
        pytest.skip(f"this file system wants UTF-8 names: {error}")
    code, out, _ = lars(name, "-o", "out", "--stems", "kick")
    assert code == 0
    assert out.startswith("caf�.wav: kick in out/caf�")
    assert b"caf\xe9" in os.listdir(b"out")
    code, out, _ = lars(name, "-o", "out", "--stems", "kick", "--overwrite", "--json")
    assert json.loads(out)["results"][0]["input"] == name


def test_a_file_named_like_the_parent_folder_cannot_leave_the_output_folder(
    lars: Lars, song: Song, tmp_path: Path
) -> None:
    song("...wav", 0.1)
    code, _, err = lars("...wav", "-o", "out/deep", "--stems", "kick")
    assert code == 1
    assert "'..' cannot stand for {track} in a file name" in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line_per_file(lars: Lars, song: Song) -> None:
    song("a.wav", 0.1)
    song("b.wav", 0.1)
    Path("out").write_text("a file where the folder should be")
    code, out, err = lars("a.wav", "b.wav", "-o", "out")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 2
    for line in err.splitlines():
        assert line.startswith("lars: error: ")
        assert "cannot write out/" in line
        assert "is a file, not a folder; choose another" in line


def test_a_bug_in_one_file_is_one_line_and_spares_the_others(
    lars: Lars, song: Song, use: Callable[[Any], None]
) -> None:
    song("a.wav")
    song("b.wav")
    use(FailingModel(3, error=ZeroDivisionError("boo")))
    code, out, err = lars("a.wav", "b.wav", "-o", "out")
    assert code == 1
    assert err == "lars: error: a.wav: internal error: ZeroDivisionError('boo')\n"
    assert out.startswith("b.wav: ")
    assert os.listdir("out") == ["b"]


def test_a_bug_in_the_midi_of_one_file_is_one_line_and_spares_the_others(
    lars: Lars, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lars_plugin.cli import midi_options

    song("a.wav")
    song("b.wav")
    write = midi_options.write_midi_of

    def failing(args: Any, stems: Any, path: Path) -> None:
        if path.name == "a.mid":
            raise ZeroDivisionError("boo")
        write(args, stems, path)

    monkeypatch.setattr(midi_options, "write_midi_of", failing)
    code, out, err = lars("a.wav", "b.wav", "-o", "out", "--midi", "--transcriber", "none")
    assert code == 1
    assert err == "lars: error: a.wav: internal error: ZeroDivisionError('boo')\n"
    assert out.startswith("b.wav: ")
    assert Path("out/b/b.mid").is_file()
