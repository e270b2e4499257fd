# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from lars_plugin.cli.inputs import Found, find_inputs


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "a.wav", "notes.txt", "b.FLAC", "sub/c.mp3", "sub/deep/d.ogg", "sub/deep/e.aiff",
        ".hidden.wav", ".git/f.wav", "sub/._c.mp3", "empty/readme.md", "[x].wav", "out/a/kick.wav",
    ):  # fmt: skip
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


def paths(found: list[Found]) -> list[str]:
    assert not any(item.error for item in found)
    return [item.path.as_posix() for item in found]


def test_folders_give_all_audio_files_below_them_in_order(tree: Path) -> None:
    assert paths(find_inputs(["sub"], Path("out"))) == [
        "sub/c.mp3",
        "sub/deep/d.ogg",
        "sub/deep/e.aiff",
    ]


def test_the_output_folder_and_hidden_files_are_left_out_of_a_folder(tree: Path) -> None:
    found = paths(find_inputs(["."], Path("out")))
    assert sorted(found) == ["[x].wav", "a.wav", "b.FLAC", *paths(find_inputs(["sub"], Path("x")))]
    assert "out/a/kick.wav" in paths(find_inputs(["."], Path("elsewhere")))
    assert paths(find_inputs(["out"], Path("out"))) == ["out/a/kick.wav"]


def test_patterns_work_when_the_shell_did_not_expand_them(tree: Path) -> None:
    assert paths(find_inputs(["*.wav"], Path("out"))) == ["[x].wav", "a.wav"]
    assert paths(find_inputs(["sub/**/*.ogg"], Path("out"))) == ["sub/deep/d.ogg"]
    assert paths(find_inputs(["s?b"], Path("out"))) == paths(find_inputs(["sub"], Path("out")))
    assert paths(find_inputs(["*"], Path("out"))).count("a.wav") == 1


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tree: Path) -> None:
    (item,) = find_inputs(["[x].wav"], Path("out"))
    assert item == Found(Path("[x].wav"), True)


def test_brackets_in_the_names_of_folders_are_no_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "[Album]/a.wav", "[Album]/[Live] b.wav", "[Album]/Disc [1]/c.wav", "A/x.wav", "l/y.wav",
        "deep/[2020] Takes/d.wav", "deep/[2021] Takes/e.wav", "*/f.wav", "what?/g.wav",
    ):  # fmt: skip
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()

    def found(pattern: str) -> list[str]:
        return paths(find_inputs([pattern], Path("out")))

    assert found("[Album]/*.wav") == ["[Album]/[Live] b.wav", "[Album]/a.wav"]
    assert found("[Album]/[Live]*.wav") == ["[Album]/[Live] b.wav"]
    assert found("[Album]/**/*.wav")[0] == "[Album]/Disc [1]/c.wav"
    assert found("./[Album]/Disc [1]/*") == ["[Album]/Disc [1]/c.wav"]
    assert found(f"{tmp_path}/[Album]/Disc [1]/*.wav") == [f"{tmp_path}/[Album]/Disc [1]/c.wav"]
    assert found("*/[2020] Takes/*.wav") == ["deep/[2020] Takes/d.wav"]
    assert found("deep/[2020] Takes") == ["deep/[2020] Takes/d.wav"]
    assert found("what?/*.wav") == ["what?/g.wav"]
    # Patterns where no such folder is.
    assert found("[Al]/*.wav") == ["A/x.wav", "l/y.wav"]
    assert found("deep/*202[01]*/*.wav") == ["deep/[2020] Takes/d.wav", "deep/[2021] Takes/e.wav"]
    (item,) = find_inputs(["[None]/*.wav"], Path("out"))
    assert "no audio file matches [None]/*.wav" in item.error


def test_a_file_given_twice_counts_once(tree: Path) -> None:
    assert paths(find_inputs(["a.wav", "./a.wav", str(tree / "a.wav"), "a*"], Path("out"))) == [
        "a.wav"
    ]


def test_a_name_that_is_no_known_extension_is_tried_when_given(tree: Path) -> None:
    assert paths(find_inputs(["notes.txt", "nowhere.wav"], Path("out"))) == [
        "notes.txt",
        "nowhere.wav",
    ]


@pytest.mark.parametrize("name", ["empty", "*.xyz", "notes*"])
def test_a_folder_or_pattern_without_audio_is_an_error_that_names_it(tree: Path, name: str) -> None:
    (item,) = find_inputs([name], Path("out"))
    assert name in item.error
    assert "no audio file" in item.error


def test_a_folder_that_cannot_be_read_is_an_error_and_the_rest_is_found(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may read everything, so the refusal is made up.
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found, failed = find_inputs(["sub"], Path("out"))
    assert found == Found(Path("sub/c.mp3"), False)
    assert failed.error == "cannot look into sub/deep: Permission denied"
