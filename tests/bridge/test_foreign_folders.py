# SPDX-License-Identifier: GPL-3.0-or-later
"""A runtime folder that is another user's, or a link, is trusted with nothing."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from lars_plugin.bridge.auth import new_token, private_folder, read_token, write_private
from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.discovery import find_engine, runtime_folder
from lars_plugin.errors import AuthError, BridgeError, ConnectionLostError
from tests.strangers import STRANGER, Listener, listening_in, root, runtime_folder_of_ours

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file modes and uids are POSIX")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of ours that says where an engine is."""
    folder = runtime_folder_of_ours(tmp_path, monkeypatch)
    assert find_engine().engine == "fake"
    return folder


@pytest.fixture
def foreign_socket(folder: Path) -> Iterator[Listener]:
    with listening_in(folder) as listener:
        yield listener


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o777])
def test_a_folder_open_to_others_is_not_believed(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(AuthError, match="chmod 700"):
        find_engine()
    with pytest.raises(AuthError, match="chmod 700"):
        Client()


def test_a_link_in_the_place_of_the_folder_is_not_followed(folder: Path) -> None:
    real = folder.with_name("real")
    folder.rename(real)
    folder.symlink_to(real)
    with pytest.raises(AuthError, match="link"):
        find_engine()
    folder.unlink()
    folder.symlink_to(folder.with_name("nowhere"))
    with pytest.raises(AuthError, match="link"):
        find_engine()
    with pytest.raises(AuthError, match="link"):
        private_folder(folder)
    folder.unlink()
    folder.write_text("a file")
    with pytest.raises(AuthError, match="not a folder"):
        find_engine()
    with pytest.raises(AuthError, match="not a folder"):
        private_folder(folder)


def test_links_pipes_and_open_files_in_the_folder_are_not_read(folder: Path) -> None:
    file = folder / "engine.json"
    file.chmod(0o644)
    with pytest.raises(AuthError, match="chmod 600"):
        find_engine()
    file.chmod(0o600)
    elsewhere = folder.with_name("elsewhere.json")
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    with pytest.raises(ConnectionLostError, match="symbolic links"):
        find_engine()
    file.unlink()
    os.mkfifo(file, 0o600)  # nobody writes into it: it must not be waited for
    with pytest.raises(AuthError, match="plain file"):
        find_engine()
    token = folder / "token"
    os.mkfifo(token, 0o600)
    with pytest.raises(AuthError, match="plain file"):
        read_token(token)


@root
def test_a_folder_of_another_user_is_not_believed(folder: Path) -> None:
    os.chown(folder, STRANGER, STRANGER)
    for mode in (0o700, 0o755, 0o777):
        folder.chmod(mode)
        for refuses in (find_engine, Client, lambda: private_folder(folder)):
            with pytest.raises(AuthError, match="belongs to another user"):
                refuses()


@root
def test_files_of_another_user_in_our_folder_are_not_believed(folder: Path) -> None:
    os.chown(folder / "engine.json", STRANGER, STRANGER)
    with pytest.raises(AuthError, match="another user"):
        find_engine()
    write_private(folder / "token", new_token())
    os.chown(folder / "token", STRANGER, STRANGER)
    with pytest.raises(AuthError, match="another user"):
        read_token(folder / "token")


@root
def test_an_engine_of_another_user_is_told_nothing(folder: Path, foreign_socket: Listener) -> None:
    for address in (None, folder / "engine.sock"):
        with pytest.raises(AuthError, match=f"that of user {STRANGER}"):
            Client(address)
    assert foreign_socket.heard == b""


@root
def test_serve_refuses_the_folder_of_another_user_and_leaves_it_alone(folder: Path) -> None:
    os.chown(folder, STRANGER, STRANGER)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = subprocess.run(
        [sys.executable, "-m", "lars_plugin", "serve"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "belongs to another user" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_without_a_runtime_folder_of_the_system_there_is_one_by_the_users_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LARS_RUNTIME_DIR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    uid = os.geteuid()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = runtime_folder()
    if sys.platform == "linux":
        systems = Path(f"/run/user/{uid}")
        wanted = systems / "lars" if systems.is_dir() else Path(f"/tmp/lars-{uid}")
        assert folder == wanted
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/somewhere")
    assert runtime_folder() == Path("/run/somewhere/lars")


@root
@pytest.mark.skipif(sys.platform != "linux", reason="/tmp/lars-<uid> is for Linux")
def test_the_folder_by_the_users_number_is_refused_where_another_made_it(tmp_path: Path) -> None:
    # As a user without a runtime folder, in whose place somebody else was first.
    squatted = Path(f"/tmp/lars-{STRANGER}")
    squatted.mkdir(mode=0o755)
    try:
        os.chown(squatted, STRANGER + 1, STRANGER + 1)
        script = (
            "import os, sys\n"
            "from lars_plugin.bridge.auth import private_folder\n"
            "from lars_plugin.bridge.discovery import find_engine, runtime_folder\n"
            "os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))\n"
            "for act in (find_engine, lambda: private_folder(runtime_folder())):\n"
            "    try: act()\n"
            "    except Exception as error: print(type(error).__name__, error)\n"
        )
        environment = {k: v for k, v in os.environ.items() if not k.endswith("RUNTIME_DIR")}
        done = subprocess.run(
            [sys.executable, "-c", script, str(STRANGER)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(squatted)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    for line in lines:
        assert line.startswith("AuthError"), line
        assert f"/tmp/lars-{STRANGER} belongs to another user" in line


def test_a_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BridgeError, match="LARS_RUNTIME_DIR"):
        private_folder(tmp_path / "file" / "run")
    with pytest.raises(BridgeError, match="cannot write"):
        write_private(tmp_path / "none" / "token", "x")
    made = private_folder(tmp_path / "deep" / "run")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
