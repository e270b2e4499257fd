# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's connection: sends without waiting, reads while it waits, notices a dead peer."""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from lars_plugin.bridge.auth import check_engine, read_token
from lars_plugin.bridge.discovery import RuntimeFile, find_engine
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.codes import exception_of
from lars_plugin.bridge.protocol.messages import FROM_ENGINE, Message
from lars_plugin.bridge.protocol.wire import Decoder, encode
from lars_plugin.errors import BridgeError, ConnectionLostError, InputError

__all__ = ["Address", "Link", "resolve"]

# A path of a Unix socket, or (host, port).
Address = str | os.PathLike[str] | tuple[str, int]

_READ_BYTES = 1 << 20
_PING_SECONDS = 1.0


def resolve(address: Address | None, token: str | None) -> tuple[Address, str]:
    """Where to connect and with which token: what was given, or what the runtime file says."""
    if address is not None:
        return address, token or ""
    found: RuntimeFile = find_engine()
    if found.socket and hasattr(socket, "AF_UNIX"):
        return found.socket, ""
    if not found.port:
        raise BridgeError("the runtime file names no address; restart the engine: lars serve")
    return (found.host, found.port), read_token(Path(found.token_file))


class Link:
    """A connected, greeted engine.

    Args:
        address: where it listens.
        token: for TCP.
        name: of the client, for the engine's log.
        timeout: seconds of silence, asked for a sign of life, after which the peer is lost.
        receive: called with every message but the answers to our own PINGs, which have no number.

    Raises:
        ConnectionLostError: nobody listens there, or does not answer.
        AuthError: the engine refused, or is another user's.
        LimitError, ProtocolError: the engine refused.
    """

    def __init__(
        self,
        address: Address,
        token: str,
        *,
        name: str,
        timeout: float,
        receive: Callable[[Message], None],
    ) -> None:
        self._receive = receive
        self._timeout = timeout
        self._decoder = Decoder(FROM_ENGINE)
        self._out: deque[memoryview] = deque()
        self.unsent = 0  # bytes that the engine has not taken yet
        self.version = limits.VERSION_MIN
        self._heard = time.monotonic()
        self._pinged = False
        self._sock = _connect(address, timeout)
        self._sock.setblocking(False)
        try:
            self.welcome = self._greet(name, token)
        except BaseException:
            self.close()
            raise

    def _greet(self, name: str, token: str) -> messages.Welcome:
        answer: list[Message] = []
        receive, self._receive = self._receive, answer.append
        self._pinged = True  # no PING before the engine has said WELCOME
        self.send(
            messages.Hello(
                max_version=limits.VERSION_MAX, client=name[: limits.MAX_NAME // 4], token=token
            )
        )
        self.wait(lambda: bool(answer))
        self._receive = receive
        if isinstance(answer[0], messages.Error):
            raise exception_of(answer[0])
        if not isinstance(answer[0], messages.Welcome):
            raise BridgeError(f"expected WELCOME, got {type(answer[0]).__name__}")
        if not limits.VERSION_MIN <= answer[0].version <= limits.VERSION_MAX:
            raise BridgeError(
                f"the engine wants version {answer[0].version} of the protocol, which was not"
                f" offered; {limits.VERSION_MIN} to {limits.VERSION_MAX} are known here"
            )
        self._pinged = False
        self.version = self._decoder.version = answer[0].version
        return answer[0]

    def fileno(self) -> int:
        """For ``select``."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def send(self, message: Message) -> None:
        """Queue a message and send what the engine takes now.

        Raises:
            ConnectionLostError: the engine is gone.
        """
        self.send_bytes(encode(message, version=self.version))

    def send_bytes(self, data: bytes) -> None:
        """``send`` for an encoded message."""
        self._out.append(memoryview(data))
        self.unsent += len(data)
        self._write()

    def pump(self) -> None:
        """Send and receive what is possible without waiting.

        Raises:
            ConnectionLostError: the engine is gone.
        """
        if self._out:
            self._write()
        self._read()

    def wait(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """Send and receive until ``done()``; False when the deadline (monotonic) came first.

        Raises:
            ConnectionLostError: the engine is gone, or gives no sign of life.
        """
        while not done():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return False
            pause = _PING_SECONDS if deadline is None else min(_PING_SECONDS, deadline - now)
            readable, writable, _ = select.select(
                [self._sock], [self._sock] if self._out else [], [], pause
            )
            if writable:
                self._write()
            if readable:
                self._read()
            elif not writable:
                self._ask_for_life(time.monotonic())
        return True

    def _ask_for_life(self, now: float) -> None:
        silence = now - self._heard
        if silence > self._timeout:
            raise ConnectionLostError(
                f"the engine has not answered for {silence:.1f} s; see lars serve --status"
            )
        if silence >= _PING_SECONDS and not self._pinged:
            self._pinged = True
            self.send(messages.Ping(payload=b"alive"))

    def _write(self) -> None:
        try:
            while self._out:
                sent = self._sock.send(self._out[0])
                self.unsent -= sent
                if sent < len(self._out[0]):
                    self._out[0] = self._out[0][sent:]
                else:
                    self._out.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            # An engine that closes says why before: that is the better error.
            self._read()
            raise ConnectionLostError(f"the engine is gone: {error.strerror}") from error

    def _read(self) -> None:
        """Take in what is there, up to a megabyte, so that it cannot keep an audio thread."""
        taken = 0
        while taken < _READ_BYTES:
            space = self._decoder.space()
            try:
                count = self._sock.recv_into(space)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise ConnectionLostError(f"the engine is gone: {error.strerror}") from error
            if not count:
                raise ConnectionLostError("the engine closed the connection")
            taken += count
            self._heard = time.monotonic()
            self._decoder.wrote(count)
            for message in self._decoder.messages():
                self._hand_on(message)
            if count < len(space):
                return  # that was all

    def _hand_on(self, message: Message) -> None:
        if isinstance(message, messages.Pong):
            self._pinged = False
            if not message.request:
                return  # the answer to our own PING
        if isinstance(message, messages.Error) and message.fatal and self.greeted:
            raise exception_of(message)
        self._receive(message)

    @property
    def greeted(self) -> bool:
        """Whether the engine has said WELCOME."""
        return hasattr(self, "welcome")


def _connect(address: Address, timeout: float) -> socket.socket:
    if isinstance(address, tuple):
        family, target = socket.AF_INET, address
        if ":" in address[0]:
            family = socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        where = f"{address[0]} port {address[1]}"
    else:
        if not hasattr(socket, "AF_UNIX"):
            raise InputError("this system has no Unix sockets; give (host, port) and a token")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        where = os.fspath(address)
    sock.settimeout(timeout)
    try:
        sock.connect(target if isinstance(address, tuple) else where)
        if isinstance(address, tuple):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        sock.close()
        raise ConnectionLostError(
            f"no engine answers at {where} ({error}); start one with: lars serve"
        ) from error
    if not isinstance(address, tuple):
        try:
            check_engine(sock, where)
        except BaseException:
            sock.close()
            raise
    return sock
