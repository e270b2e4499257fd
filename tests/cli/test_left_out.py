# SPDX-License-Identifier: GPL-3.0-or-later
"""No file is passed over in silence."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.audio import write_audio
from lars_plugin.cli import main
from lars_plugin.cli.inputs import find_inputs
from lars_plugin.cli.midi_options import read_stems
from lars_plugin.errors import InputError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_what_a_folder_scan_leaves_out_is_named_with_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    touch("takes/a.wav", "takes/b.m4a", "takes/cover.jpg", "takes/sub/notes.txt", "takes/._a.wav",
          "takes/.git/x.wav")  # fmt: skip
    found = [item.path.as_posix() for item in find_inputs(["takes"], Path("out"))]
    assert found == ["takes/a.wav", "takes/b.m4a"]
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith("takes: left out: ")
    assert "no audio by name: cover.jpg, sub/notes.txt" in message
    assert "hidden: .git, ._a.wav" in message


def test_a_file_with_two_names_is_told_of_and_one_that_is_given_twice_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    touch("a.wav", "takes/b.wav")
    for number in range(5):
        Path(f"takes/link{number}.wav").symlink_to(Path("takes/b.wav").resolve())
    Path("c.wav").symlink_to("a.wav")
    found = [item.path.as_posix() for item in find_inputs(["a.wav", "./a.wav", "*.wav"], Path("o"))]
    assert found == ["a.wav"]
    assert caplog.messages == ["c.wav is left out: it is the same file as a.wav"]
    caplog.clear()
    assert [item.path.as_posix() for item in find_inputs(["takes"], Path("o"))] == ["takes/b.wav"]
    assert len(caplog.messages) == 4
    assert caplog.messages[-1] == "2 more are left out: they are the same files as others"


def test_what_a_pattern_leaves_out_is_named_and_files_given_by_name_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    touch("a.wav", "notes.txt")
    assert len(find_inputs(["*"], Path("out"))) == 1
    assert "no audio by name: notes.txt" in caplog.text
    caplog.clear()
    find_inputs(["notes.txt", "a.wav"], Path("out"))
    assert caplog.text == ""


def test_many_names_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    touch("takes/a.wav", *(f"takes/{n:02}.txt" for n in range(30)))
    find_inputs(["takes"], Path("out"))
    assert "06.txt, 07.txt and 22 more" in caplog.text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_a_folder_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    touch("takes/a.wav")
    os.mkfifo("takes/b.wav")
    assert [item.path.name for item in find_inputs(["takes"], Path("out"))] == ["a.wav"]
    assert "a pipe or device: b.wav" in caplog.text
    assert [item.path.name for item in find_inputs(["takes/b.wav"], Path("out"))] == ["b.wav"]


def test_formats_without_a_decoder_fail_by_name_and_the_rest_is_done(
    tiny: Path,
    song: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("takes").mkdir()
    song("takes/a.wav")
    Path("takes/b.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
    find = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "av" else find(name, *more)
    )
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    assert main(["separate", "takes", "-m", str(tiny), "-o", "out"]) == 1
    assert Path("out/a/kick.wav").exists()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "b.m4a" in line]
    assert "pip install 'lars-plugin[formats]', or convert it: ffmpeg -i takes/b.m4a" in line


def test_files_in_a_folder_of_stems_that_are_no_stems_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wave = np.zeros((1, 4410), np.float32)
    for name in ("kick.wav", "bass.wav", "banjo.wav"):
        write_audio(Path("stems") / name, wave, 44100)
    touch("stems/notes.txt")
    assert list(read_stems(Path("stems"))) == ["kick", "bass"]  # a transcriber hears them all
    assert "not a stem by name: banjo.wav; no audio by name: notes.txt" in caplog.text


def test_a_stem_that_is_there_twice_is_an_error() -> None:
    wave = np.zeros((1, 4410), np.float32)
    for name in ("kick.wav", "kick.flac"):
        write_audio(Path("stems") / name, wave, 44100)
    with pytest.raises(InputError, match="holds kick twice"):
        read_stems(Path("stems"))
