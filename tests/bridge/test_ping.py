# SPDX-License-Identifier: GPL-3.0-or-later
"""A ping is a PING: the network side of the engine answers it, and nothing is gathered for it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from lars_plugin.bridge.client.engine_client import EngineClient
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.limits import VERSION_MAX
from lars_plugin.bridge.protocol.messages import FROM_CLIENT, Message
from lars_plugin.bridge.protocol.wire import Decoder, encode
from lars_plugin.errors import BridgeError
from lars_plugin.testing import IdentityModel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in listens on a Unix socket")


def answer_pings(listener: socket.socket, heard: list[Message], version: int = 1) -> None:
    """An engine that says WELCOME and answers PING, and nothing else."""
    sock, _ = listener.accept()
    decoder = Decoder(FROM_CLIENT)
    with sock:
        while data := sock.recv(4096):
            decoder.feed(data)
            for message in decoder.messages():
                heard.append(message)
                if isinstance(message, messages.Hello):
                    welcome = messages.Welcome(
                        request=message.request, version=version, engine="x", models=("m",)
                    )
                    sock.sendall(encode(welcome))
                elif isinstance(message, messages.Ping):
                    pong = messages.Pong(payload=message.payload, request=message.request)
                    sock.sendall(encode(pong))


def test_ping_sends_ping_and_waits_for_the_pong_with_its_number(tmp_path: Path) -> None:
    heard: list[Message] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tmp_path / "s"))
        listener.listen(1)
        thread = threading.Thread(target=answer_pings, args=(listener, heard))
        thread.start()
        try:
            with EngineClient(tmp_path / "s", timeout=3.0) as client:
                client.ping()
                client.ping()
        finally:
            thread.join()
    assert [type(message) for message in heard] == [messages.Hello, messages.Ping, messages.Ping]
    assert len({message.request for message in heard[1:]} - {0}) == 2


@pytest.mark.parametrize("version", [0, VERSION_MAX + 1, 65535])
def test_an_engine_that_wants_a_version_that_was_not_offered_is_left(
    tmp_path: Path, version: int
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tmp_path / "s"))
        listener.listen(1)
        thread = threading.Thread(target=answer_pings, args=(listener, [], version))
        thread.start()
        try:
            wants = f"wants version {version} of the protocol"
            with pytest.raises(BridgeError, match=wants), EngineClient(tmp_path / "s", timeout=3.0):
                pass
        finally:
            thread.join()


def test_the_engine_answers_pings_among_other_requests() -> None:
    with EngineThread({"identity": IdentityModel}) as engine, engine.client() as client:
        for _ in range(3):
            client.ping()
            assert client.status()["sessions"] == []
        client.open("identity", max_block=64)
        client.ping()
        assert len(client.status()["sessions"]) == 1
