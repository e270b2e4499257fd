# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars separate``: wrong usage, a second run, and what is told about the work."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lars_plugin.audio import AudioReader, read_audio, write_audio
from lars_plugin.cli import main
from lars_plugin.cli.jobs import run_all
from lars_plugin.testing import GainModel, IdentityModel, SlowModel

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


# Wrong usage: nothing is begun, exit code 2.


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stems", "kik"], "unknown stem 'kik'"),
        (["--stems", "vocals"], "has no stem vocals; it has kick"),
        (["--stems", ","], "it has kick"),
        (["--stems", "kick,bd"], "asked for twice"),
        (["--overlap", "0.25"], "overlap must be between 1 and chunk_size"),
        (["--shifts", "0"], "shifts must be positive, got 0"),
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
