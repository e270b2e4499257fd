# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PT012  # what happens before the error is what these tests are about
from __future__ import annotations

import errno
import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lars_plugin
from lars_plugin.audio import AtomicFiles, discard_unfinished, printable
from lars_plugin.errors import AudioFileError, BridgeError, ModelError
from lars_plugin.files import replacing, sha256_of
from lars_plugin.leftovers import remove_leftovers


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


KILLED = """
import sys, time
from pathlib import Path
from lars_plugin.audio import AtomicFiles
files = AtomicFiles()
for name in sys.argv[2:]:
    files.create(Path(sys.argv[1], name)).write(b"x")
print("made", flush=True)
time.sleep(60)
"""


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".lars-*.part")]


@pytest.mark.skipif(os.name != "posix", reason="locks that end with a process")
def test_what_a_killed_process_has_left_goes_and_what_a_living_one_writes_stays(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with (
        subprocess.Popen([*command, "a", "b"], stdout=subprocess.PIPE) as dead,
        subprocess.Popen([*command, "c", "deep/d"], stdout=subprocess.PIPE) as alive,
    ):
        try:
            assert dead.stdout is not None
            assert alive.stdout is not None
            assert dead.stdout.readline() == alive.stdout.readline() == b"made\n"
            with AtomicFiles() as files:  # both live
                files.create(tmp_path / "e")
                assert len(parts(tmp_path)) == 5
            dead.kill()
            dead.wait()
            for name in (".lars-theirs.part", "lars-0123456789abcdef.part", "x.part"):
                (tmp_path / name).touch()
            (tmp_path / ".lars-0123456789abcdef.part").symlink_to(tmp_path / "x.part")
            os.mkfifo(tmp_path / ".lars-0123456789abcdee.part")
            ours = AtomicFiles()
            ours.create(tmp_path / "f")
            with AtomicFiles() as files:
                files.create(tmp_path / "g")
                # c and d of the living, f and g of ours, and what only looks like one of them.
                assert len(parts(tmp_path)) == 4 + 3
            ours.commit()
            alive.send_signal(signal.SIGSTOP)  # stopped is not dead
            with AtomicFiles() as files:
                files.create(tmp_path / "g")
            assert len(parts(tmp_path)) == 2 + 3
        finally:
            alive.kill()
            dead.kill()
    assert {"e", "f", "g"} <= set(names(tmp_path))
    assert not {"a", "b", "c"} & set(names(tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="locks that end with a process")
def test_a_file_is_nobodys_prey_until_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def replace_later(*paths: str) -> None:
        remove_leftovers(tmp_path)  # another process comes by between closing and naming
        replace(*paths)

    monkeypatch.setattr(os, "replace", replace_later)
    with AtomicFiles() as files:
        for name in "abc":
            files.create(tmp_path / name).write(name.encode())
    assert names(tmp_path) == ["a", "b", "c"]


@pytest.mark.skipif(os.name != "posix", reason="locks that end with a process")
def test_a_file_that_is_taken_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open
    taken: list[Path] = []

    def open_and_lose(path: Path, flags: int, *mode: int) -> int:
        descriptor = opened(path, flags, *mode)
        if flags & os.O_EXCL and len(taken) < 3:
            taken.append(path)
            remove_leftovers(tmp_path)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_lose)
    with AtomicFiles() as files:
        files.create(tmp_path / "a").write(b"a")
    assert len(taken) == 3
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"a"


def test_the_size_of_a_file_in_the_making_is_told(tmp_path: Path) -> None:
    with AtomicFiles() as files:
        files.create(tmp_path / "a").write(b"abc")
        assert files.stat(tmp_path / "a").st_size == 3
        with pytest.raises(KeyError):
            files.stat(tmp_path / "b")
        info = files.stat(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mtime_ns == info.st_mtime_ns


def test_a_file_that_a_library_writes_by_its_path_appears_complete_or_not_at_all(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "a"
    with replacing(path) as temporary:
        temporary.write_bytes(b"first")
        assert not path.exists()
    assert path.read_bytes() == b"first"
    with pytest.raises(ValueError, match="stop"), replacing(path) as temporary:
        temporary.write_bytes(b"second")
        raise ValueError("stop")
    with pytest.raises(ModelError, match="the disk is full"), replacing(path, error=ModelError):
        raise OSError(errno.ENOSPC, "no space")
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["new", "new/a"]


def test_errors_are_of_the_kind_that_was_chosen(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BridgeError, match="cannot write"), AtomicFiles(BridgeError) as files:
        files.create(tmp_path / "file" / "below")
    with (
        pytest.raises(ModelError, match="a folder of that name"),
        replacing(tmp_path, error=ModelError),
    ):
        pass


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are a POSIX matter")
def test_a_handle_that_takes_no_more_is_named_among_others(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with (
            pytest.raises(ModelError, match=r"cannot write .*/b: the file would exceed"),
            AtomicFiles(ModelError) as files,
        ):
            files.create(tmp_path / "a").write(b"a")
            files.create(tmp_path / "b").write(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []
    # What others raise stays what it is.
    with pytest.raises(FileNotFoundError), AtomicFiles() as files:
        files.create(tmp_path / "a")
        (tmp_path / "c").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_private_file_is_private_from_its_first_moment_on(tmp_path: Path) -> None:
    with replacing(tmp_path / "a", mode=0o600) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_forced_exit_removes_what_a_library_was_writing(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError), replacing(tmp_path / "a") as temporary:
        temporary.write_bytes(b"x")
        discard_unfinished()
        assert names(tmp_path) == []
    assert names(tmp_path) == []


def test_the_digest_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    content = os.urandom((1 << 20) + 17)
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    with pytest.raises(OSError, match="No such file"):
        sha256_of(tmp_path / "b")


def test_temporary_names_and_digests_of_files_are_written_once() -> None:
    package = Path(lars_plugin.__file__).parent
    texts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}

    def users(pattern: str) -> set[str]:
        return {
            str(path.relative_to(package))
            for path, text in texts.items()
            if re.search(pattern, text)
        }

    assert users(r"os\.replace\b|partial\.replace\(") == {"files.py"}
    # A folder of a converted network never replaces another: see there.
    assert users(r"os\.rename\b") == {"backends/openvino/cache.py"}
    assert users(r"digest\.update\(block\)") == {"files.py"}
