# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PT012  # what happens before the error is what these tests are about
from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lars_plugin.audio import AtomicFiles, discard_unfinished, printable
from lars_plugin.errors import AudioFileError


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_appear_together_when_the_block_is_left(tmp_path: Path) -> None:
    with AtomicFiles() as files:
        files.create(tmp_path / "new/deep/a").write(b"a")
        files.create(tmp_path / "new/b").write(b"b")
        assert not any((tmp_path / name).exists() for name in ("new/deep/a", "new/b"))
    assert names(tmp_path) == ["new", "new/b", "new/deep", "new/deep/a"]
    assert (tmp_path / "new/deep/a").read_bytes() == b"a"


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_no_file_and_no_new_folder(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    with pytest.raises(kind), AtomicFiles() as files:
        files.create(tmp_path / "new/deep/a").write(b"a")
        raise kind
    assert names(tmp_path) == []


def test_a_folder_that_someone_else_uses_stays(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), AtomicFiles() as files:
        files.create(tmp_path / "new/a")
        (tmp_path / "new/theirs").touch()
        raise ValueError("stop")
    assert names(tmp_path) == ["new", "new/theirs"]


def test_groups_that_share_new_folders_leave_none_when_all_fail(tmp_path: Path) -> None:
    first, second = AtomicFiles(), AtomicFiles()
    first.create(tmp_path / "new/a/1")
    second.create(tmp_path / "new/b/2")
    first.rollback()
    assert (tmp_path / "new/b").is_dir()
    second.rollback()
    assert names(tmp_path) == []


def test_a_group_that_fails_does_not_take_the_folders_of_one_that_succeeded(
    tmp_path: Path,
) -> None:
    first, second = AtomicFiles(), AtomicFiles()
    first.create(tmp_path / "new/1")
    second.create(tmp_path / "new/2")
    second.commit()
    (tmp_path / "new/2").unlink()  # taken away by someone, who may expect the folder to stay
    first.rollback()
    assert names(tmp_path) == ["new"]


def test_failing_and_succeeding_threads_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    def work(number: int) -> None:
        with AtomicFiles() as files:
            files.create(tmp_path / "new" / "deep" / str(number)).write(b"x")
            if number % 50:
                raise ValueError("stop")

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(work, number) for number in range(400)]
    errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [
        ValueError if number % 50 else type(None) for number in range(400)
    ]
    assert len(names(tmp_path / "new" / "deep")) == 8


def test_an_old_file_is_kept_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="stop"), AtomicFiles() as files:
        files.create(path).write(b"new")
        raise ValueError("stop")
    assert path.read_bytes() == b"old"
    with AtomicFiles() as files:
        files.create(path).write(b"new")
    assert path.read_bytes() == b"new"


def test_when_one_file_cannot_get_its_name_the_others_lose_theirs(tmp_path: Path) -> None:
    with (
        pytest.raises(AudioFileError, match="a folder of that name is in the way"),
        AtomicFiles() as files,
    ):
        files.create(tmp_path / "a").write(b"a")
        files.create(tmp_path / "b").write(b"b")
        (tmp_path / "b").mkdir()  # comes into being while the files are written
    assert names(tmp_path) == ["b"]


def test_names_the_system_will_not_take_fail_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    cases = {
        tmp_path / ("n" * 300): "name is too long",
        tmp_path / "file/below": "is a file, not a folder",
        tmp_path / "file/two/below": "is a file, not a folder",
        tmp_path / "folder": "a folder of that name is in the way",
    }
    for path, message in cases.items():
        with pytest.raises(AudioFileError, match=message), AtomicFiles() as files:
            files.create(path)
    assert names(tmp_path) == ["file", "folder"]


def test_the_file_mode_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with AtomicFiles() as files:
            files.create(tmp_path / "a")
    finally:
        os.umask(old)
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_forced_exit_can_remove_what_is_not_complete(tmp_path: Path) -> None:
    with AtomicFiles() as done:
        done.create(tmp_path / "complete")
    files = AtomicFiles()
    files.create(tmp_path / "new" / "a")
    assert len(names(tmp_path)) == 3
    discard_unfinished()
    assert names(tmp_path) == ["complete"]
    files.rollback()


def test_printable_names_have_no_bytes_that_a_terminal_could_stumble_over() -> None:
    assert printable(os.fsdecode(b"caf\xe9\x1b[2J\n.wav")) == "caf�?[2J?.wav"
    assert printable("schön/鼓.wav") == "schön/鼓.wav"
