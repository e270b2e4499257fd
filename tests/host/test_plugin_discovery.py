# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the plugin believes to be its engine, and what it writes: nobody's but its user's."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pedalboard import VST3Plugin

from lars_plugin.bridge.discovery import runtime_folder
from lars_plugin.bridge.local_engine import EngineProcess
from tests.strangers import STRANGER, Listener, listening_in, root, runtime_folder_of_ours


@pytest.fixture
def discover(build: Path) -> Callable[..., str]:
    """Runs ``lars_discovery``; the line it prints."""

    def run(*arguments: str, **changed: str | None) -> str:
        environment = {**os.environ, **{k: v for k, v in changed.items() if v is not None}}
        for name in (name for name, value in changed.items() if value is None):
            environment.pop(name, None)
        done = subprocess.run(
            (build / "tests" / "lars_discovery", *arguments),
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout.strip()

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of ours that says where an engine is."""
    return runtime_folder_of_ours(tmp_path, monkeypatch)


def test_plugin_and_library_look_in_the_same_folder(
    discover: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("LARS_RUNTIME_DIR", "XDG_RUNTIME_DIR")
    for chosen in ((None, None), (None, "/run/x"), ("/run/y", "/run/x"), ("", "")):
        for name, value in zip(names, chosen, strict=True):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
        assert discover("folder") == str(runtime_folder())


def test_an_engine_in_our_own_folder_is_found(
    discover: Callable[..., str], folder: Path, engine: EngineProcess
) -> None:
    assert discover("connect", LARS_RUNTIME_DIR=str(engine.runtime)).startswith("engine lars")
    assert discover("find", LARS_RUNTIME_DIR=str(folder)) == f"found {folder / 'engine.sock'}"
    assert "no engine is running" in discover("find", LARS_RUNTIME_DIR=str(folder / "none"))


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o777])
def test_a_folder_open_to_others_is_not_believed(
    discover: Callable[..., str], folder: Path, mode: int
) -> None:
    folder.chmod(mode)
    for act in (("find",), ("start", "true")):
        assert discover(*act) == (
            f"error 14 {folder} is open to other users; run: chmod 700 {folder}"
        )


def test_links_pipes_and_open_files_are_not_read(
    discover: Callable[..., str], folder: Path
) -> None:
    file = folder / "engine.json"
    file.chmod(0o644)
    assert "chmod 600" in discover("find")
    file.chmod(0o600)
    elsewhere = folder.with_name("elsewhere.json")
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert discover("find").startswith("error 14 cannot read")
    file.unlink()
    os.link(elsewhere, file)
    assert "another name" in discover("find")
    elsewhere.unlink()
    file.unlink()
    os.mkfifo(file, 0o600)  # nobody writes into it: it must not be waited for
    assert "error" in discover("find")
    file.unlink()
    file.mkdir()
    assert "error" in discover("find")
    file.rmdir()
    values = {"pid": 1, "socket": "", "host": "127.0.0.1", "port": 9}
    token = folder / "token"
    file.touch(mode=0o600)
    file.write_text(json.dumps({**values, "token_file": str(token)}))
    assert "missing" in discover("find")
    token.touch(mode=0o600)
    token.write_text("f" * 64)
    assert discover("find") == "found 127.0.0.1"
    token.chmod(0o640)
    assert "chmod 600" in discover("find")
    real = folder.with_name("real")
    folder.rename(real)
    folder.symlink_to(real)
    for act in (("find",), ("start", "true")):
        assert "not a folder (or a link)" in discover(*act)


def test_the_log_is_written_anew_and_through_no_link(
    discover: Callable[..., str], folder: Path, tmp_path: Path
) -> None:
    log = folder / "engine.log"
    for words in ("a long first line", "short"):
        assert discover("start", f'sh -c "echo {words}; echo and an error >&2"') == "started"
        assert log.read_text() == f"{words}\nand an error\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    victim = tmp_path / "victim"
    for put in (log.symlink_to, log.hardlink_to):
        log.unlink()
        victim.write_text("precious")
        victim.chmod(0o600)
        put(victim)
        assert discover("start", "echo overwritten").startswith("error 14")
        assert victim.read_text() == "precious"
    log.unlink()
    log.symlink_to(tmp_path / "new")
    assert discover("start", "echo overwritten").startswith("error 14")
    assert not (tmp_path / "new").exists()
    log.unlink()
    os.mkfifo(log, 0o600)
    assert discover("start", "echo overwritten").startswith("error 14")
    log.unlink()
    new = folder.parent / "other" / "run"
    assert discover("start", "echo new", LARS_RUNTIME_DIR=str(new)) == "started"
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    assert (new / "engine.log").read_text() == "new\n"


@root
def test_folders_and_files_of_another_user_are_not_believed(
    discover: Callable[..., str], folder: Path, tmp_path: Path
) -> None:
    os.chown(folder, STRANGER, STRANGER)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / "engine.log").symlink_to(victim)
    for mode in (0o700, 0o755, 0o777):
        folder.chmod(mode)
        for act in (("find",), ("connect",), ("start", "echo overwritten")):
            assert "belongs to another user" in discover(*act)
    assert victim.read_text() == "precious"
    os.chown(folder, 0, 0)
    folder.chmod(0o700)
    os.chown(folder / "engine.json", STRANGER, STRANGER)
    assert "belongs to another user" in discover("find")
    (folder / "engine.log").unlink()
    (folder / "engine.log").write_text("theirs")
    (folder / "engine.log").chmod(0o600)
    os.chown(folder / "engine.log", STRANGER, STRANGER)
    assert "belongs to another user" in discover("start", "echo overwritten")
    assert (folder / "engine.log").read_text() == "theirs"


@pytest.fixture
def foreign_socket(folder: Path) -> Iterator[Listener]:
    with listening_in(folder) as listener:
        yield listener


@root
def test_an_engine_of_another_user_is_told_nothing_and_gets_no_audio(
    discover: Callable[..., str], vst3: Path, folder: Path, foreign_socket: Listener
) -> None:
    assert "is another user's" in discover("connect")
    plugin: Any = VST3Plugin(str(vst3))
    plugin.process(np.full((2, 44100), 0.25, np.float32), 44100)
    assert foreign_socket.peers > 1  # it was looked at
    assert foreign_socket.heard == b""


@root
def test_the_folder_by_the_users_number_is_refused_where_another_made_it(
    build: Path, tmp_path: Path
) -> None:
    # As a user without a runtime folder, in whose place somebody else was first.
    squatted = Path(f"/tmp/lars-{STRANGER}")
    squatted.mkdir(mode=0o755)
    program = Path(f"/tmp/lars_discovery-{os.getpid()}")  # where the user can run it
    shutil.copy(build / "tests" / "lars_discovery", program)
    program.chmod(0o755)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    try:
        (squatted / "engine.log").symlink_to(victim)
        os.chown(squatted, STRANGER + 1, STRANGER + 1)
        environment = {k: v for k, v in os.environ.items() if not k.endswith("RUNTIME_DIR")}
        for act in (("find",), ("start", "echo overwritten")):
            done = subprocess.run(
                (program, *act),
                env=environment,
                user=STRANGER,
                group=STRANGER,
                cwd="/",
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
            assert f"/tmp/lars-{STRANGER} belongs to another user" in done.stdout
    finally:
        shutil.rmtree(squatted)
        program.unlink()
    assert victim.read_text() == "precious"
