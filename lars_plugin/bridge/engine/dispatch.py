# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine does with each message of a client."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lars_plugin.bridge.auth import tokens_match
from lars_plugin.bridge.engine.chain_desk import build_chain, tell_effects
from lars_plugin.bridge.engine.connection import Connection
from lars_plugin.bridge.engine.job_desk import JobDesk
from lars_plugin.bridge.engine.jobs import check_path
from lars_plugin.bridge.engine.memory import Memory, stream_bytes
from lars_plugin.bridge.engine.model_pool import ModelPool
from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.bridge.engine.plan import check_position, check_requested
from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.engine.status import as_json, engine_name, engine_status
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.codes import error_message
from lars_plugin.bridge.protocol.messages import FROM_CLIENT, Message
from lars_plugin.errors import (
    AuthError,
    EngineError,
    LarsError,
    LimitError,
    ProtocolError,
)

if TYPE_CHECKING:
    from lars_plugin.bridge.engine.server import Settings

__all__ = ["Dispatcher"]

log = logging.getLogger(__name__)

# Not requests: they have no answer, or one that can be told without a number.
_UNNUMBERED = (messages.Hello, messages.Ping, messages.Audio, messages.JobCancel)
_FOR_SESSION = (
    messages.Audio,
    messages.Flush,
    messages.Reset,
    messages.Parameter,
    messages.Stats,
    messages.Hear,
    messages.Chain,
)


class Dispatcher:
    """Turns messages into sessions and jobs, on the network thread.

    Args:
        pool: of the models.
        settings: of the server.
        by_session: kept up to date here: session number to connection.
        changed: wakes the network thread for a connection.
        known: how many connections have been greeted, or need no token.
    """

    def __init__(
        self,
        pool: ModelPool,
        settings: Settings,
        by_session: dict[int, Connection],
        *,
        changed: Callable[[Connection], None],
        known: Callable[[], int],
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._by_session = by_session
        self._changed, self._known = changed, known
        self._sessions = 0
        self._started = time.monotonic()
        self._jobs = JobDesk(pool, settings.fetch)
        self._to_wake: set[ModelThread] = set()
        self._memory = Memory()

    def handle(self, connection: Connection, message: Message) -> None:
        """Act on one message. What the client did wrong is answered with an ERROR.

        Raises:
            LarsError: the connection cannot go on.
        """
        if not connection.welcome:
            self._greet(connection, message)
            return
        try:
            if not isinstance(message, _UNNUMBERED):
                try:
                    answers = (*_FOR_SESSION, messages.Open)
                    connection.ask(message.request, stream=isinstance(message, answers))
                except ProtocolError as error:
                    # Under the number that is in use it would be taken for that one's answer.
                    connection.send(error_message(error))
                    return
            self._act(connection, message)
        except LarsError as error:
            connection.send(
                error_message(
                    error,
                    request=message.request,
                    position=message.position,
                    epoch=message.epoch,
                )
            )

    def wake_model_threads(self) -> None:
        """Wake the model threads: last before the network thread sleeps, and once for all that
        came in together. A thread that wakes earlier only waits for the interpreter."""
        while self._to_wake:
            self._to_wake.pop().wake()

    def _greet(self, connection: Connection, message: Message) -> None:
        if not isinstance(message, messages.Hello):
            raise ProtocolError("the first message must be HELLO")
        low, high = message.min_version, message.max_version
        version = min(high, limits.VERSION_MAX)
        if version < max(low, limits.VERSION_MIN):
            raise ProtocolError(
                f"no common protocol version: the client speaks {low} to {high}, the engine"
                f" {limits.VERSION_MIN} to {limits.VERSION_MAX}; update the older one"
            )
        if not connection.trusted and not tokens_match(message.token, self._settings.token):
            raise AuthError("the token is wrong; read it again from the engine's token file")
        if connection.stranger and self._known() >= limits.MAX_CONNECTIONS:
            raise LimitError("too many connections; close one first")
        connection.client = message.client
        connection.decoder.accept = FROM_CLIENT - {messages.Hello}
        connection.decoder.version = version
        connection.welcome = True
        connection.send(
            messages.Welcome(
                request=message.request,
                version=version,
                engine=engine_name(),
                pid=os.getpid(),
                max_block=limits.MAX_BLOCK,
                max_sessions=self._settings.max_sessions,
                models=self._pool.names[: limits.MAX_NAMES],
            )
        )
        log.info("connected", extra={"connection": connection.number, "client": connection.client})

    def _act(self, connection: Connection, message: Message) -> None:
        if isinstance(message, _FOR_SESSION):
            session = connection.session
            if session is None or session.closed or connection.model_thread is None:
                if session is not None and session.ended_by is not None:
                    connection.ended_by = session.ended_by  # the network thread is about to see it
                self._too_late(connection, message)
                return
            if isinstance(message, messages.Reset):
                check_position(message.position)
                if message.epoch == session.newest_epoch:
                    raise ProtocolError(
                        f"RESET into epoch {message.epoch}, which it is already; take another"
                    )
            elif isinstance(message, messages.Audio) and message.request:
                raise ProtocolError("AUDIO has no request number; leave it 0")
            if isinstance(message, messages.Hear) and message.on:
                threading.Thread(
                    target=self._listen,
                    args=(connection, session, connection.model_thread, message),
                    name="listen",
                    daemon=True,
                ).start()
                return
            if isinstance(message, messages.Chain):
                self._build(connection, session, connection.model_thread, message)
                return
            session.put(message)
            connection.model_thread.notify(session, wake=False)
            self._to_wake.add(connection.model_thread)
            if session.closed:
                # It ended just now, and may not have seen this request.
                connection.ended_by = session.ended_by
                self._too_late(connection, message)
        elif isinstance(message, messages.Ping):
            connection.send(messages.Pong(payload=message.payload, request=message.request))
        elif isinstance(message, messages.Open):
            self._open(connection, message)
        elif isinstance(message, messages.Close):
            self.end_stream(connection)
            connection.ended_by = None
            connection.send(messages.Closed(request=message.request))
        elif isinstance(
            message, messages.Job | messages.Fetch | messages.Convert | messages.Transcribe
        ):
            self._jobs.start(connection, message, self._roots(connection))
        elif isinstance(message, messages.JobCancel):
            self._jobs.cancel(connection, message.request)
        elif isinstance(message, messages.Effects):
            tell_effects(connection, message)
        elif isinstance(message, messages.Status):
            connection.send(
                messages.StatusReport(report=as_json(self.status()), request=message.request)
            )

    def _too_late(self, connection: Connection, message: Message) -> None:
        """Answer what came for a stream that has ended.

        A client that has not yet read why the engine ended its stream goes on sending: that audio
        is dropped, or its answer would hide the reason, and requests are answered with the reason.

        Raises:
            LarsError: the reason, or that there was no stream.
        """
        if connection.ended_by is None:
            raise ProtocolError(f"{type(message).__name__} without a stream: send OPEN first")
        if not isinstance(message, messages.Audio):
            raise connection.ended_by.with_traceback(None)  # or each raise would lengthen it

    # Streams.

    def _open(self, connection: Connection, message: messages.Open) -> None:
        self.end_stream(connection, message.request)
        connection.ended_by = None
        check_requested(message)
        if len(self._by_session) >= self._settings.max_sessions:
            raise LimitError(
                f"{self._settings.max_sessions} streams are open; close one of them first"
            )
        if message.board:
            check_path(message.board, self._roots(connection))
        model_thread = self._pool.lease(message.model)
        self._sessions += 1
        session = Session(self._sessions, message, client=connection.client)
        session.version = connection.decoder.version
        session.connect(functools.partial(connection.send_from, session))
        connection.model_thread = model_thread
        connection.attach(session)
        self._by_session[session.number] = connection
        threading.Thread(
            target=self._prepare, args=(connection, session, model_thread), name="open", daemon=True
        ).start()
        log.info(
            "stream opened",
            extra={
                "session": session.number,
                "client": connection.client,
                "model": message.model,
                "mode": "live" if session.live else "offline",
                "rate": message.sample_rate,
                "channels": message.channels,
            },
        )

    def _prepare(self, connection: Connection, session: Session, model_thread: ModelThread) -> None:
        """On a thread of its own: a model to load or a plugin to start keeps nobody waiting."""
        try:
            model = model_thread.wait_model()
            self._memory.take(session.number, stream_bytes(model, session.requested))
            session.prepare(model)
        except LarsError as error:
            session.abandon(error)
        except Exception as error:
            log.exception("stream not opened", extra={"session": session.number})
            session.abandon(EngineError(f"internal error ({type(error).__name__}: {error})"))
        if session.closed:
            self._memory.give(session.number)
        model_thread.notify(session)
        self._changed(connection)

    def _listen(
        self,
        connection: Connection,
        session: Session,
        model_thread: ModelThread,
        message: messages.Hear,
    ) -> None:
        """On a thread of its own: a transcriber to load keeps nobody waiting."""
        from lars_plugin.bridge.engine.hearing import Hearing

        try:
            session.hearing = Hearing(session.requested.sample_rate, session.requested.channels)
            session.check_goes_on()
        except LarsError as error:
            connection.send(error_message(error, request=message.request))
            return
        session.put(message)
        model_thread.notify(session)
        self._changed(connection)

    def _build(
        self,
        connection: Connection,
        session: Session,
        model_thread: ModelThread,
        message: messages.Chain,
    ) -> None:
        """On the plugin thread: effects to make keep nobody waiting.

        Raises:
            LarsError: what is wanted is not understood, or comes too early.
        """

        def ready() -> None:
            session.put(message)
            model_thread.notify(session)
            self._changed(connection)

        build_chain(connection, session, message, ready)

    def end_stream(self, connection: Connection, keep: int = 0) -> None:
        """End the connection's stream, if there is one.

        Args:
            keep: the number of a request that stays in use: that of the OPEN which comes after.
        """
        session, model_thread = connection.session, connection.model_thread
        if session is None or model_thread is None:
            return
        connection.ended_by = session.ended_by
        session.closed = True
        self._memory.give(session.number)
        connection.attach(None, keep)
        connection.model_thread = None
        self._by_session.pop(session.number, None)
        model_thread.notify(session)
        self._pool.release(model_thread)
        log.info(
            "stream closed",
            extra={
                "session": session.number,
                "taken": session.taken,
                "replaced": session.replaced,
                "errors": session.errors,
                "real_time_ratio": round(session.real_time_ratio, 4),
            },
        )

    def uncongested(self, connection: Connection) -> None:
        """The client has read what there was: an offline session may go on."""
        if connection.session is not None and connection.model_thread is not None:
            connection.model_thread.notify(connection.session)

    def forget(self, connection: Connection) -> None:
        """The connection ends: so do its stream and its job."""
        self.end_stream(connection)
        self._jobs.forget(connection)

    # Jobs.

    def stop_jobs(self, seconds: float) -> None:
        """Cancel all jobs and wait for their end: what they have not finished is removed then."""
        self._jobs.stop(seconds)

    def bury(self) -> None:
        """See whether a model's thread has died: its sessions hear of it, and end."""
        dead = self._pool.bury()
        if not dead:
            return
        for connection in list(self._by_session.values()):
            session, model_thread = connection.session, connection.model_thread
            if session is not None and model_thread in dead:
                log.error("model thread died", extra={"model": session.requested.model})
                session.abandon(
                    EngineError(
                        f"the thread of model {session.requested.model!r} has died; open the stream"
                        " again, it is started anew"
                    )
                )
                self._changed(connection)

    def _roots(self, connection: Connection) -> tuple[Path, ...] | None:
        roots = self._settings.roots
        if roots is None:
            # Another machine's user has no files here unless told so.
            return () if connection.remote else None
        return tuple(roots)

    # Status.

    def status(self) -> dict[str, object]:
        """What ``lars serve --status`` shows; JSON types only."""
        sessions = [
            session
            for connection in list(self._by_session.values())
            if (session := connection.session) is not None
        ]
        offers = [
            {
                "name": name,
                "weights": self._settings.installed(name),
                **self._settings.describe(name),
            }
            for name in self._pool.names
        ]
        uptime = time.monotonic() - self._started
        return engine_status(uptime, self._pool.threads(), offers, sessions, self._jobs.running())
