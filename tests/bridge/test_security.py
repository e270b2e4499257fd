# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, what those see who do not, and that the token is told to nobody."""

from __future__ import annotations

import logging
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lars_plugin.bridge import auth
from lars_plugin.bridge.auth import new_token, private_folder, read_token, tokens_match
from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.discovery import RuntimeFile, find_engine, socket_path
from lars_plugin.bridge.engine.server import Server, Settings
from lars_plugin.bridge.local_engine import EngineProcess, EngineThread
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.codes import exception_of
from lars_plugin.bridge.protocol.wire import Decoder, encode
from lars_plugin.errors import (
    AuthError,
    BridgeError,
    ConnectionLostError,
    InputError,
    LarsError,
    ProtocolError,
)
from lars_plugin.testing import IdentityModel

posix = pytest.mark.skipif(os.name != "posix", reason="file modes and uids are POSIX")


def answer_to(address: Path | tuple[str, int], data: bytes) -> list[messages.Message]:
    """Everything the engine says to these bytes until it closes."""
    if isinstance(address, tuple):
        sock = socket.create_connection(address, timeout=10)
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(os.fspath(address))
    with sock:
        sock.sendall(data)
        decoder, found = Decoder(), []
        while data := sock.recv(65536):
            decoder.feed(data)
            found += list(decoder.messages())
    return found


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        bytes(range(256)) * 40,
        b"LAR!",
        encode(messages.Stats()),
        encode(messages.Hello(client="x"))[:4] + b"\x09" + bytes(40),
    ],
    ids=["http", "bytes", "nearly", "no hello", "future version"],
)
def test_what_is_not_the_protocol_gets_one_error_and_a_close(
    engine: EngineThread, data: bytes
) -> None:
    assert engine.socket is not None
    found = answer_to(engine.socket, data)
    assert len(found) == 1
    assert isinstance(found[0], messages.Error)
    assert found[0].fatal == 1
    assert isinstance(exception_of(found[0]), ProtocolError)
    with engine.client() as client:
        client.ping()


def test_versions_are_negotiated_and_a_stranger_is_told_which_there_are(
    engine: EngineThread,
) -> None:
    assert engine.socket is not None
    (refused,) = answer_to(
        engine.socket, encode(messages.Hello(min_version=4, max_version=9, request=5))
    )
    assert isinstance(refused, messages.Error)
    assert "speaks 4 to 9" in refused.message
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(os.fspath(engine.socket))
        hello = encode(messages.Hello(min_version=1, max_version=9, request=5))
        assert hello[4] == 1
        sock.sendall(hello)
        decoder = Decoder()
        decoder.feed(sock.recv(65536))
        (welcome,) = decoder.messages()
    assert isinstance(welcome, messages.Welcome)
    assert (welcome.version, welcome.request) == (limits.VERSION_MAX, 5)


def test_tcp_wants_the_token(caplog: pytest.LogCaptureFixture) -> None:
    token = new_token()
    with (
        caplog.at_level(logging.DEBUG),
        EngineThread({"identity": IdentityModel}, host="127.0.0.1", token=token) as engine,
    ):
        address = engine.server.address
        assert address is not None
        with Client(address, token=token) as client:
            client.open("identity", mode="offline")
        for wrong in ("", "0" * 64, token[:-1], token[:-1] + "x"):
            with pytest.raises(AuthError, match="token"):
                Client(address, token=wrong)
        (refused,) = answer_to(address, b"POST / HTTP/1.1\r\n\r\n")
        assert isinstance(refused, messages.Error)
    assert token not in caplog.text
    assert token not in repr(engine.settings)


def test_tokens_are_256_bits_and_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(bytes.fromhex(token)) for token in tokens} == {32}
    compared = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return a == b

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert tokens_match("a", "a")
    assert not tokens_match("", "")
    assert compared == [(b"a", b"a"), (b"", b"")]


def test_another_address_needs_the_flag_and_a_token() -> None:
    options = {"models": (), "load": IdentityModel, "host": "0.0.0.0"}
    with pytest.raises(InputError, match="allow-remote"):
        Settings(**options, token=new_token())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="token"):
        Settings(**options, allow_remote=True)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="listen"):
        Settings(models=(), load=lambda name: IdentityModel())
    settings = Settings(**options, token=new_token(), allow_remote=True)  # type: ignore[arg-type]
    server = Server(settings)
    server.close()


@posix
def test_another_user_is_refused_at_the_socket(
    engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.client() as client:
        client.ping()

    def uid_seen_by(thread: str, uid: int) -> None:
        def peer_uid(connection: socket.socket) -> int:
            return uid if threading.current_thread().name == thread else os.geteuid()

        monkeypatch.setattr(auth, "peer_uid", peer_uid)

    uid_seen_by("engine", os.geteuid() + 1)
    with pytest.raises(AuthError, match="may not use"):
        engine.client()
    # The other way round a client tells an engine of another user nothing at all.
    uid_seen_by("MainThread", os.geteuid() + 1)
    with pytest.raises(AuthError, match=f"that of user {os.geteuid() + 1}"):
        engine.client()
    monkeypatch.undo()
    with engine.client() as client:
        client.ping()


@posix
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs to change users")
def test_a_process_of_another_user_is_refused(engine: EngineThread, tmp_path: Path) -> None:
    # The folder lets nobody in; opened up on purpose, the peer's uid still does not.
    assert engine.socket is not None
    folder = engine.socket.parent
    folder.chmod(0o755)
    engine.socket.chmod(0o666)
    script = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
        "sys.stdout.buffer.write(s.recv(4096))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(engine.socket)], capture_output=True, check=True
    )
    folder.chmod(0o700)
    decoder = Decoder()
    decoder.feed(done.stdout)
    (refused,) = decoder.messages()
    assert isinstance(refused, messages.Error)
    assert isinstance(exception_of(refused), AuthError)


@posix
def test_private_folders_and_files_are_what_they_claim(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "new")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    token = new_token()
    auth.write_private(folder / "token", token)
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    assert read_token(folder / "token") == token
    (folder / "token").chmod(0o644)
    with pytest.raises(AuthError, match="chmod 600"):
        read_token(folder / "token")
    (folder / "link").symlink_to(folder / "token")
    with pytest.raises(AuthError):
        read_token(folder / "link")
    with pytest.raises(AuthError, match="cannot read"):
        read_token(folder / "none")
    auth.write_private(folder / "token", "short")
    with pytest.raises(AuthError, match="digits"):
        read_token(folder / "token")
    folder.chmod(0o755)
    with pytest.raises(AuthError, match="chmod 700"):
        private_folder(folder)
    (tmp_path / "alias").symlink_to(tmp_path / "new")
    with pytest.raises(AuthError, match="link"):
        private_folder(tmp_path / "alias")


def test_a_damaged_runtime_file_is_a_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(tmp_path / "run"))
    with pytest.raises(ConnectionLostError, match="lars serve"):
        find_engine()
    wanted = RuntimeFile(pid=1, engine="x", socket="/s")
    path = wanted.write()
    assert find_engine() == wanted
    for text in (
        "",
        "[]",
        "{",
        '{"pid": "1", "engine": "x"}',
        '{"pid": 1}',
        " " * 20000,
        '{"a":1}',
    ):
        path.write_text(text)
        with pytest.raises(BridgeError, match="damaged"):
            find_engine()
    with pytest.raises(BridgeError, match="too long"):
        socket_path(tmp_path / ("x" * 120))


@posix
def test_serve_keeps_socket_token_and_runtime_file_to_its_user(
    process: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in process.runtime.iterdir()}
    assert stat.S_IMODE(process.runtime.stat().st_mode) == 0o700
    assert set(modes) == {"engine.sock", "engine.json", "token"}
    assert set(modes.values()) == {0o600}
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(process.runtime))
    found = find_engine()
    token = read_token(Path(found.token_file))
    assert token not in process.log.read_text()
    assert token not in (process.runtime / "engine.json").read_text()
    with Client((found.host, found.port), token=token) as client:
        client.ping()
    with pytest.raises(AuthError):
        Client((found.host, found.port), token="f" * 64)
    with Client() as client:  # by the runtime file
        assert client.engine.pid == process.process.pid
    assert token not in process.log.read_text()


def test_an_engine_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    for address in (tmp_path / "none.sock", ("127.0.0.1", 1)):
        with pytest.raises(ConnectionLostError, match="lars serve"):
            Client(address)
    assert issubclass(ConnectionLostError, LarsError)
