# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections over TCP that never show the token take nobody's place."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from lars_plugin.bridge.auth import read_token
from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.wire import encode
from lars_plugin.errors import AuthError, LimitError

Address = tuple[str, int]

SILENT = 150


@pytest.fixture(scope="module")
def listening(start: Callable[..., EngineProcess]) -> Iterator[EngineProcess]:
    with start("--tcp", "0") as process:
        yield process


@pytest.fixture
def address(listening: EngineProcess) -> Address:
    found = json.loads((listening.runtime / "engine.json").read_bytes())
    return found["host"], found["port"]


@pytest.fixture
def token(listening: EngineProcess) -> str:
    return read_token(listening.runtime / "token")


@pytest.fixture(params=["silent", "half a header", "half a HELLO", "HTTP"])
def crowd(request: pytest.FixtureRequest, address: Address) -> Iterator[list[socket.socket]]:
    """More connections than the engine has places, of one kind of stranger."""
    hello = encode(messages.Hello(request=1))
    said = {"silent": b"", "half a header": hello[:7], "half a HELLO": hello[:-3]}
    crowd = []
    for _ in range(SILENT):
        crowd.append(socket.create_connection(address))
        crowd[-1].sendall(said.get(request.param, b"GET / HTTP/1.1\r\n\r\n"))
    yield crowd
    for sock in crowd:
        sock.close()


def test_the_owner_gets_in_over_the_unix_socket_and_over_tcp(
    listening: EngineProcess, address: Address, token: str, crowd: list[socket.socket]
) -> None:
    assert len(crowd) > limits.MAX_CONNECTIONS
    for _ in range(5):
        with listening.client() as one, Client(address, token=token) as other:
            assert one.open("live").latency == other.open("live").latency
    with pytest.raises(AuthError):
        Client(address, token="0" * 64)


def test_those_who_have_the_token_are_bounded_and_told(
    listening: EngineProcess, address: Address, token: str
) -> None:
    clients = [Client(address, token=token) for _ in range(limits.MAX_CONNECTIONS)]
    try:
        with pytest.raises(LimitError, match="too many connections"):
            Client(address, token=token)
        with pytest.raises(LimitError, match="too many connections"):
            listening.client()
    finally:
        for client in clients:
            client.close()
