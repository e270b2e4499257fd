# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's network side: one thread that moves messages and never waits for a model."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lars_plugin.bridge.auth import check_peer, is_loopback
from lars_plugin.bridge.engine.connection import Connection
from lars_plugin.bridge.engine.dispatch import Dispatcher
from lars_plugin.bridge.engine.errands import FetchWeights
from lars_plugin.bridge.engine.model_pool import ModelPool
from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.engine.waker import Waker
from lars_plugin.bridge.protocol import limits
from lars_plugin.errors import (
    AuthError,
    BridgeError,
    ConnectionLostError,
    InputError,
    LarsError,
    LimitError,
    ModelNotFoundError,
)
from lars_plugin.model import AnyModel

__all__ = ["Server", "Settings"]

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.25
_BACKLOG = 512  # clients beyond the limits get an error instead of no answer
_ACCEPTS = 64  # in one go
_GRACE_SECONDS = 1.0
_JOB_SECONDS = 3.0  # for jobs to stop: they do in half a second, on a busy machine in more


def _no_download(name: str, _: Callable[[int, int], bool | None]) -> Path:
    raise ModelNotFoundError(f"this engine downloads no models; {name} comes from its own module")


@dataclass(frozen=True)
class Settings:
    """How an engine serves.

    Attributes:
        models: names that clients may ask for.
        load: loads one of them.
        installed: whether the weights of one are on this machine.
        fetch: downloads the weights of one; see ``errands.FetchWeights``.
        describe: what STATUS tells of one beside its name and weights.
        socket: path of a Unix socket, in a folder that only the user may enter; or None.
        host, port: TCP address, port 0 for any free one; or None for no TCP.
        token: for TCP; 64 hexadecimal digits.
        allow_remote: accept an address that is not this machine's own.
        roots: folders that jobs and boards must lie in; None for wherever the user may.
        idle_seconds: after which a model that nobody uses is let go.
        max_sessions: open at the same time.
    """

    models: Sequence[str]
    load: Callable[[str], AnyModel]
    installed: Callable[[str], bool] = lambda _: True
    fetch: FetchWeights = field(default=_no_download)
    describe: Callable[[str], Mapping[str, object]] = lambda _: {}
    socket: Path | None = None
    host: str | None = None
    port: int = 0
    token: str = field(default="", repr=False)
    allow_remote: bool = False
    roots: Sequence[Path] | None = None
    idle_seconds: float = 600.0
    max_sessions: int = limits.MAX_SESSIONS

    def __post_init__(self) -> None:
        if self.socket is None and self.host is None:
            raise InputError("give the engine a socket or a TCP address to listen on")
        if self.host is not None:
            if len(self.token) != 2 * limits.TOKEN_BYTES:
                raise InputError("TCP needs a token; see lars_plugin.bridge.auth.new_token")
            if not is_loopback(self.host) and not self.allow_remote:
                raise InputError(
                    f"{self.host} is not this machine's own address: anyone on the network could"
                    " try the token; add --allow-remote if that is what you want"
                )


class Server:
    """Listens, reads, hands messages on and writes what is waiting.

    ``serve()`` runs until ``stop()``, which any thread or signal handler may call.

    Raises:
        BridgeError: it cannot listen there.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address: tuple[str, int] | None = None  # TCP, with the real port
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, Connection] = {}
        self._numbers = 0
        self._stopping = self._closed = False
        self._changes: deque[Connection] = deque()
        self._waker = Waker(_TICK_SECONDS)
        self.pool = ModelPool(
            settings.models,
            settings.load,
            progressed=self._progressed,
            idle_seconds=settings.idle_seconds,
        )
        self._by_session: dict[int, Connection] = {}
        self.dispatcher = Dispatcher(
            self.pool, settings, self._by_session, changed=self._changed, known=self._known
        )
        self._listeners: list[socket.socket] = []
        self._bound: Path | None = None  # the socket that is ours to remove
        self._resting: list[socket.socket] = []  # listeners that failed, until the next tick
        try:
            self._listen()
        except (OSError, LarsError):
            self._close_all()
            raise
        self._selector.register(self._waker, selectors.EVENT_READ)

    def _listen(self) -> None:
        settings = self.settings
        if settings.socket is not None:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listeners.append(listener)
            try:
                listener.bind(os.fspath(settings.socket))
            except OSError as error:
                raise BridgeError(
                    f"cannot listen on {settings.socket}: {error.strerror or error}; give --socket"
                    " a path in a folder that can be written"
                ) from error
            self._bound = settings.socket
            os.chmod(settings.socket, 0o600)
        if settings.host is not None:
            family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            self._listeners.append(listener)
            # Windows would let another program listen on the same port with the usual option.
            exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
            listener.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR if exclusive is None else exclusive, 1
            )
            try:
                listener.bind((settings.host, settings.port))
            except OSError as error:
                raise BridgeError(
                    f"cannot listen on {settings.host} port {settings.port}: {error}"
                ) from error
            self.address = listener.getsockname()[:2]
        for listener in self._listeners:
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ)

    def stop(self) -> None:
        """Make ``serve`` return soon."""
        self._stopping = True
        self._waker.wake()

    def serve(self) -> None:
        """Serve until ``stop``, then say so to every client and close everything."""
        last = time.monotonic()
        try:
            while not self._stopping:
                for key, mask in self._selector.select(_TICK_SECONDS):
                    if key.data is not None:
                        self._attend(key.data, mask)
                    elif key.fileobj is self._waker:
                        self._waker.clear()
                    else:
                        self._accept(key.fileobj)
                self._apply_changes()
                self.dispatcher.wake_model_threads()
                now = time.monotonic()
                if now - last >= _TICK_SECONDS:
                    last = now
                    self._tick(now)
        finally:
            self._shut_down()

    # Connections.

    def _accept(self, listener: object) -> None:
        """Take all who wait."""
        if not isinstance(listener, socket.socket):
            raise TypeError(f"not a listener: {listener!r}")
        for _turn in range(_ACCEPTS):  # not for ever, however fast they come
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # Out of descriptors, or the peer is gone already. Trying again at once would only
                # keep the others waiting.
                log.warning("accept failed", extra={"error": str(error)})
                self._selector.unregister(listener)
                self._resting.append(listener)
                return
            self._admit(sock)

    def _admit(self, sock: socket.socket) -> None:
        local = sock.family == getattr(socket, "AF_UNIX", None)
        self._numbers += 1
        remote = False
        if not local:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                remote = not is_loopback(sock.getpeername()[0])
            except OSError:
                sock.close()  # the peer has gone already
                return
        connection = Connection(sock, self._numbers, self._changed, trusted=local, remote=remote)
        self._connections[connection.number] = connection
        self._update(connection)
        if local and self._known() > limits.MAX_CONNECTIONS:
            connection.refuse(LimitError("too many connections; close one first"))
        elif not local:
            self._bound_strangers()
        else:
            try:
                check_peer(sock)
            except AuthError as error:
                log.warning("peer refused", extra={"error": str(error)})
                connection.refuse(error)

    def _known(self) -> int:
        """Connections of peers that may be here."""
        return sum(not (one.stranger or one.lingering) for one in self._connections.values())

    def _bound_strangers(self) -> None:
        """Those who have not shown the token take no place from those who may be here, nor from
        each other for long: who shows it does so at once, so the one who waited longest goes."""
        strangers = [one for one in self._connections.values() if one.stranger]
        for connection in strangers[: max(0, len(strangers) - limits.MAX_STRANGERS)]:
            connection.refuse(LimitError("too many connections without a token; greet at once"))
            self._drop(connection, "too many connections without a token")

    def _attend(self, connection: Connection, mask: int) -> None:
        if connection.closed:
            return
        if mask & selectors.EVENT_WRITE and connection.flush():
            self.dispatcher.uncongested(connection)
        if mask & selectors.EVENT_READ:
            try:
                for message in connection.receive():
                    self.dispatcher.handle(connection, message)
            except ConnectionError as error:
                self._drop(connection, str(error))
                return
            except LarsError as error:
                log.warning(
                    "connection refused",
                    extra={"connection": connection.number, "error": str(error)},
                )
                self.dispatcher.end_stream(connection)
                connection.refuse(error)
            except Exception as error:
                # A fault of ours must end one connection, not the engine.
                log.exception("connection failed", extra={"connection": connection.number})
                self.dispatcher.end_stream(connection)
                connection.refuse(BridgeError(f"internal error ({type(error).__name__}: {error})"))
        self._update(connection)

    def _update(self, connection: Connection) -> None:
        """Tell the selector what the connection waits for."""
        if connection.closed:
            return
        if connection.doomed:
            self._drop(connection, "the peer is gone, or does not read")
            return
        session = connection.session
        if session is not None and session.closed:
            self.dispatcher.end_stream(connection)  # the engine ended it
        wanted = selectors.EVENT_READ if connection.wants_read or connection.lingering else 0
        if connection.wants_write:
            wanted |= selectors.EVENT_WRITE
        if wanted == connection.interest:
            return
        if not connection.interest:
            self._selector.register(connection.sock, wanted, connection)
        elif not wanted:
            self._selector.unregister(connection.sock)
        else:
            self._selector.modify(connection.sock, wanted, connection)
        connection.interest = wanted

    def _drop(self, connection: Connection, why: str) -> None:
        if connection.interest:
            self._selector.unregister(connection.sock)
            connection.interest = 0
        self._connections.pop(connection.number, None)
        self.dispatcher.forget(connection)
        connection.close()
        log.info("disconnected", extra={"connection": connection.number, "why": why})

    def _tick(self, now: float) -> None:
        while self._resting:
            self._selector.register(self._resting.pop(), selectors.EVENT_READ)
        self.dispatcher.bury()
        for connection in list(self._connections.values()):
            if not connection.interest & selectors.EVENT_READ and connection.gone:
                self._drop(connection, "closed by the peer")
                continue
            if connection.overdue(now):
                if connection.lingering:
                    self._drop(connection, "done")
                else:
                    self.dispatcher.end_stream(connection)
                    connection.refuse(ConnectionLostError("the rest of the message did not come"))
            self._update(connection)

    # Wakes from other threads.

    def _changed(self, connection: Connection) -> None:
        self._changes.append(connection)
        self._waker.wake()

    def _progressed(self, session: Session) -> None:
        """Called by a model's thread: reading may go on, or the session has ended."""
        connection = self._by_session.get(session.number)
        if connection is not None and (session.closed or not connection.interest & 1):
            self._changed(connection)

    def _apply_changes(self) -> None:
        while self._changes:
            self._update(self._changes.popleft())

    # The end.

    def close(self) -> None:
        """Let go of everything, if ``serve`` did not."""
        if not self._closed:
            self._close_all()

    def _shut_down(self) -> None:
        log.info("stopping", extra={"connections": len(self._connections)})
        for connection in self._connections.values():
            self.dispatcher.forget(connection)
            connection.refuse(ConnectionLostError("the engine stops"))
        for listener in self._listeners:
            if listener not in self._resting:
                self._selector.unregister(listener)
            listener.close()
        until = time.monotonic() + _GRACE_SECONDS
        while self._connections and time.monotonic() < until:
            for connection in list(self._connections.values()):
                self._update(connection)
            for key, mask in self._selector.select(0.05):
                if isinstance(key.data, Connection):
                    self._attend(key.data, mask)
        self.dispatcher.stop_jobs(_JOB_SECONDS)
        self.pool.stop(_GRACE_SECONDS)
        self._close_all()

    def _close_all(self) -> None:
        self._closed = True
        for connection in list(self._connections.values()):
            self._drop(connection, "the engine stops")
        for listener in self._listeners:
            listener.close()
        self._selector.close()
        self._waker.close()
        if self._bound is not None:
            with contextlib.suppress(OSError):
                self._bound.unlink(missing_ok=True)
