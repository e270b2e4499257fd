# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars separate`` with a tiny network, in this process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import AudioReader, read_audio, write_audio
from lars_plugin.cli import main
from lars_plugin.cli.jobs import run_all
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import FailingModel, GainModel, IdentityModel, SlowModel
from lars_plugin.zoo import load_model

STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")
RATE = 44100

Song = Callable[..., Path]
Lars = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def lars(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Lars:
    """Runs ``lars separate`` in ``tmp_path``; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(["separate", "-m", str(tiny), "-d", "cpu", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Puts a model in place of the one that the options name."""

    def put(model: Any) -> None:
        monkeypatch.setattr(
            "lars_plugin.cli.separate.make_separator",
            lambda args, stems=None: Separator(model, stems=stems),
        )

    return put


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
    }
    waves = {}
    for name, extra in flags.items():
        assert lars("take.wav", "-o", name, "--stems", "kick", "--float32", *extra)[0] == 0
        waves[name] = read_audio(f"{name}/take/kick.wav")[0]
    np.testing.assert_array_equal(waves["own"], waves["balanced"])
    np.testing.assert_array_equal(waves["best"], waves["four"])
    assert np.abs(waves["own"] - waves["best"]).max() > 1e-5
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


# Wrong usage: nothing is begun, exit code 2.


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stems", "kik"], "unknown stem 'kik'"),
        (["--stems", "vocals"], "has no stem vocals; it has kick"),
        (["--stems", ","], "it has kick"),
        (["--stems", "kick,bd"], "asked for twice"),
        (["--overlap", "0.25"], "overlap must be between 1 and chunk_size"),
        (["--flac", "--float32"], "FLAC has no float samples"),
        (["--filename", "../{stem}.{ext}"], "leads out of the output folder"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--jobs", "0"], "argument -j/--jobs: must be 1 or more"),
        (["--bits", "8"], "argument --bits: invalid choice"),
        (["--stems", "kick", "--two-stems", "snare"], "not allowed with argument"),
    ],
)
def test_wrong_options_are_exit_code_2_before_anything_is_written(
    lars: Lars, song: Song, tmp_path: Path, flags: list[str], message: str
) -> None:
    song("a.wav", 0.1)
    code, out, err = lars("a.wav", "-o", "out", *flags)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()


def test_inputs_that_would_share_an_output_are_exit_code_2(
    lars: Lars, song: Song, tmp_path: Path
) -> None:
    song("x/a.wav", 0.1)
    song("y/a.wav", 0.1)
    code, _, err = lars("x", "y", "-o", "out")
    assert code == 2
    assert "x/a.wav and y/a.wav would both be written to out/a/kick.wav" in err
    assert not (tmp_path / "out").exists()
    template = "{folder}/{track}/{stem}.{ext}"
    assert lars("x", "y", "-o", "out", "--stems", "kick", "--filename", template)[0] == 0
    assert below(tmp_path / "out") == ["x/a/kick.wav", "y/a/kick.wav"]


def test_an_output_over_an_input_is_exit_code_2(lars: Lars, song: Song) -> None:
    before = song("kick.wav", 0.1).read_bytes()
    code, _, err = lars("kick.wav", "-o", ".", "--filename", "{stem}.{ext}", "--overwrite")
    assert code == 2
    assert "kick.wav would overwrite an input" in err
    assert Path("kick.wav").read_bytes() == before


def test_a_model_that_is_not_there_is_one_line(
    song: Song, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("nonsense", str(tmp_path / "no" / "folder")):
        assert main(["separate", str(song("a.wav", 0.1)), "-m", name]) in (1, 2)
        err = capsys.readouterr().err
        assert err.startswith("lars: error: ")
        assert Path(name).name in err
        assert err.count("\n") == 1


# Running again.


def test_a_second_run_skips_what_is_complete_and_does_the_rest(lars: Lars, song: Song) -> None:
    song("a.wav", 0.1)
    assert lars("a.wav", "-o", "out")[0] == 0
    song("b.wav", 0.1)
    times = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.wav")}
    code, out, err = lars("a.wav", "b.wav", "-o", "out")
    assert code == 0
    assert err == "lars: a.wav: skipped, all outputs are there (--overwrite)\n"
    assert out.startswith("b.wav: ")
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert lars("a.wav", "-o", "out", "--overwrite")[1].startswith("a.wav: ")
    assert all(path.stat().st_mtime_ns > time for path, time in times.items())


@pytest.mark.parametrize("out", ["in", "in/separated", "."])
def test_a_second_run_over_a_folder_does_not_separate_its_own_stems(
    lars: Lars, song: Song, tmp_path: Path, out: str
) -> None:
    song("in/a.wav", 0.1)
    assert lars("in", "-o", out)[0] == 0
    first = below(tmp_path)
    code, _, err = lars("in", "-o", out, "--overwrite")
    assert (code, err) == (0, "")
    assert below(tmp_path) == first


# Levels.


def test_clipping_is_told_with_the_choices_and_levels_stay(
    lars: Lars, song: Song, use: Callable[[Any], None]
) -> None:
    song("a.wav", 0.2)
    use(GainModel([9.0, 1.0], ["kick", "snare"]))
    code, _, err = lars("a.wav", "-o", "out")
    assert code == 0
    assert err.startswith("lars: warning: a.wav: kick: ")
    assert "beyond full scale (peak +" in err
    assert "keep them with --bits 32f, or lower all stems alike with --rescale" in err
    assert len(err.splitlines()) == 1
    np.testing.assert_allclose(read_audio("out/a/snare.wav")[0], read_audio("a.wav")[0], atol=1e-6)


def test_rescaling_is_told_with_its_gain(
    lars: Lars, song: Song, use: Callable[[Any], None]
) -> None:
    song("a.wav", 0.2)
    use(GainModel([9.0, 1.0], ["kick", "snare"]))
    code, out, err = lars("a.wav", "-o", "out", "--rescale")
    assert (code, err) == (0, "")
    peak = 9 * np.abs(read_audio("a.wav")[0]).max()
    assert out.startswith(f"a.wav: all outputs lowered by {20 * np.log10(peak):.2f} dB\n")
    np.testing.assert_allclose(
        read_audio("out/a/snare.wav")[0], read_audio("a.wav")[0] / peak, atol=1e-6
    )


# The document.


def test_json_is_one_document_about_all_inputs(
    lars: Lars, song: Song, use: Callable[[Any], None]
) -> None:
    song("a.wav", 0.2)
    song("done.wav", 0.1)
    Path("empty.wav").touch()
    use(GainModel([9.0, 1.0], ["kick", "snare"]))
    lars("done.wav", "-o", "out")
    code, out, _ = lars("a.wav", "done.wav", "empty.wav", "nowhere", "-o", "out", "--json")
    assert code == 1
    document = json.loads(out)
    assert document["model"] == "GainModel"
    assert document["stems"] == ["kick", "snare"]
    assert document["error"] is None
    results = {result["input"]: result for result in document["results"]}
    assert {name: result["status"] for name, result in results.items()} == {
        "a.wav": "done",
        "done.wav": "skipped",
        "empty.wav": "failed",
        "nowhere": "failed",
    }
    done = results["a.wav"]
    assert done["outputs"] == {"kick": "out/a/kick.wav", "snare": "out/a/snare.wav"}
    assert done["seconds"] == 0.2
    assert done["rtr"] == pytest.approx(done["elapsed"] / 0.2, abs=0.01)
    assert done["gain_db"] == 0
    assert list(done["clipping"]) == ["kick"]
    assert done["clipping"]["kick"]["samples"] > 0
    assert done["clipping"]["kick"]["peak_dbfs"] > 0
    assert done["error"] is None
    assert "0 bytes" in results["empty.wav"]["error"]


def test_json_tells_why_nothing_was_begun(lars: Lars, song: Song) -> None:
    song("a.wav", 0.1)
    code, out, err = lars("a.wav", "--stems", "kik", "--json")
    assert code == 2
    document = json.loads(out)
    assert document["results"] == []
    assert "unknown stem 'kik'" in document["error"]
    assert document["error"] in err


def test_quiet_prints_errors_only(lars: Lars, song: Song, use: Callable[[Any], None]) -> None:
    path = song("a.wav", 0.2)
    path.write_bytes(path.read_bytes()[:20_000])
    use(GainModel([9.0, 1.0], ["kick", "snare"]))
    assert lars("a.wav", "-o", "out", "-q") == (0, "", "")
    assert lars("a.wav", "-o", "out", "-q") == (0, "", "")
    code, out, err = lars("none.wav", "-o", "out", "-q")
    assert (code, out, err.count("\n")) == (1, "", 1)


# Interruptions, in this process; with real signals in test_process.py.


def test_an_interrupt_stops_the_work_and_tells_what_was_not_done(
    lars: Lars, song: Song, use: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        song(name, 2.0)
    use(SlowModel(0.02, IdentityModel(chunk_size=1024)))
    begun = threading.Event()

    def interrupting_wait(*_: Any, **__: Any) -> Any:
        assert begun.wait(30)
        raise KeyboardInterrupt

    def reader(path: Path) -> AudioReader:
        begun.set()
        return AudioReader(path)

    monkeypatch.setattr("lars_plugin.separation.files.AudioReader", reader)
    jobs_wait = run_all.__globals__["wait"]
    calls = iter([interrupting_wait])
    monkeypatch.setitem(
        run_all.__globals__, "wait", lambda *a, **k: next(calls, jobs_wait)(*a, **k)
    )
    code, out, err = lars("a.wav", "b.wav", "c.wav", "-o", "out", "--json")
    assert code == 130
    document = json.loads(out)
    assert document["error"] == "interrupted"
    assert [result["status"] for result in document["results"]] == ["cancelled"] * 3
    assert err.splitlines() == [
        "lars: stopping; once more to stop at once",
        "lars: interrupted",
    ]
    assert not Path("out").exists()


def test_stdout_and_stderr_hold_no_progress_bar_when_they_are_no_terminal(
    lars: Lars, song: Song
) -> None:
    song("a.wav")
    _, out, err = lars("a.wav", "-o", "out")
    assert "\r" not in out + err
    assert "\x1b" not in out + err
    write_audio("b.wav", np.zeros((1, 100), np.float32), RATE)
    assert lars("b.wav", "-o", "out")[0] == 0
