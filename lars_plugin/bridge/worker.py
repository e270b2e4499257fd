# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's thread: loads the model and runs it for every session that shares it.

Live sessions come first and their chunks are run together; then one run for an offline session,
then one for a job, and the live ones are looked at again. Offline results must be those of
``Separator`` to the bit, so their batches stay as they are.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends import Model
from lars_plugin.bridge.session import Session
from lars_plugin.bridge.wake import Wake
from lars_plugin.errors import ConnectionLostError, EngineError, LarsError, ModelError

__all__ = ["Worker"]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]
Made = TypeVar("Made")

# Chunks of live sessions in one run: enough to pay, few enough to be in time.
_MAX_BATCH = 16
_POLL_SECONDS = 0.5
# Runs of an instant network that the network thread makes before it hands over.
_ROUNDS = 8


class _Task:
    """A run of the network that another thread waits for."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self.run = run
        self.made: Any = None
        self.error: Exception | None = None
        self.done = threading.Event()


class Worker:
    """One loaded model and the thread that runs it.

    Args:
        name: of the model.
        load: loads it; called on the thread.
        retire: asked when the worker has been idle; True lets it end.
        progressed: told, from the thread, that a session has taken audio from its inbox.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[str], Model],
        *,
        retire: Callable[[Worker], bool],
        progressed: Callable[[Session], None],
    ) -> None:
        self.name = name
        self.leases = 0  # sessions and jobs that hold it; guarded by its owner
        self.idle_since = time.monotonic()
        self.model: Model | None = None
        self.runs = self.chunks = 0
        self._load = load
        self._retire = retire
        self._progressed = progressed
        self._wake = Wake(_POLL_SECONDS)
        self._news: deque[Session] = deque()  # sessions with something to do, or closed
        self._tasks: deque[_Task] = deque()
        self._sessions: dict[int, Session] = {}  # those that may have something to do
        self._stopping = False
        self._turn = threading.Lock()  # who holds it looks after the sessions
        self._instant = False
        self._loaded = threading.Event()
        self._error: LarsError | None = None
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)
        self._thread.start()

    def notify(self, session: Session, *, ring: bool = True) -> None:
        """A session has something to do, or was closed. From any thread, never waits.

        Args:
            ring: now; else the caller must, when it is through with what it does.
        """
        self._news.append(session)
        if ring:
            self._wake.ring()

    def ring(self) -> None:
        """Look at the news: for the network thread, which does it itself where it may.

        It may where the backend says of itself that it is ``instant``, some arithmetic that never
        waits for anything, when the model's thread is at rest, and for small pieces of live audio
        only. Waking a thread would then be most of the work.
        """
        if self._instant and self._turn.acquire(blocking=False):
            try:
                self._read_news()
                rounds = _ROUNDS if all(one.brief for one in self._sessions.values()) else 0
                while rounds and self._work_live():
                    rounds -= 1
                if not (self._sessions or self._news or self._tasks):
                    return
            finally:
                self._turn.release()
        self._wake.ring()

    def stop(self, timeout: float | None = None) -> None:
        """Ask the thread to end after the run it is in, and wait for that."""
        self._stopping = True
        self._wake.ring()
        self._thread.join(timeout)

    def wait_model(self) -> Model:
        """The model once it is loaded; for other threads.

        Raises:
            ModelError or another LarsError: it could not be loaded.
        """
        self._loaded.wait()
        if self.model is None:
            raise self._error or ModelError(f"model {self.name!r} could not be loaded")
        return self.model

    def run_task(self, run: Callable[[], Made]) -> Made:
        """Have the thread run something when nothing else is waiting; the caller's waits.

        Raises:
            ConnectionLostError: the engine stops.
            Exception: what the network raised.
        """
        task = _Task(run)
        self._tasks.append(task)
        self._wake.ring()
        while not task.done.wait(_POLL_SECONDS):
            if self._stopping and not self._thread.is_alive():
                raise ConnectionLostError("the engine stops; try again when it is back")
        if task.error is not None:
            raise task.error
        if task.made is None:
            raise ConnectionLostError("the engine stops; try again when it is back")
        made: Made = task.made
        return made

    # The thread.

    def _run(self) -> None:
        try:
            self.model = self._load(self.name)
        except Exception as error:
            self._error = error if isinstance(error, LarsError) else _wrapped(self.name, error)
            log.warning("model not loaded", extra={"model": self.name, "error": str(self._error)})
        self._instant = bool(getattr(self.model and self.model.backend, "instant", False))
        self._loaded.set()
        while not self._stopping:
            with self._turn:
                busy = self._work() if self.model is not None else self._refuse()
            if not busy and not self._wake.wait() and self._retire(self):
                break
            with self._turn:
                self._read_news()
        self._wake.close()
        for task in self._tasks:
            task.done.set()

    def _read_news(self) -> None:
        while self._news:
            session = self._news.popleft()
            if session.closed:
                self._sessions.pop(session.number, None)
                session.release()
            else:
                self._sessions[session.number] = session

    def _refuse(self) -> bool:
        """The model could not be loaded: say so to all who come."""
        error = self._error or ModelError(f"model {self.name!r} could not be loaded")
        for session in self._sessions.values():
            if not session.closed:
                session.abandon(error)
                self._progressed(session)
        self._sessions.clear()
        while self._tasks:
            task = self._tasks.popleft()
            task.error = error
            task.done.set()
        return False

    def _work(self) -> bool:
        """One round; False: there was nothing to do."""
        if self._work_live():
            return True
        for session in list(self._sessions.values()):
            if session.live or session.congested:
                continue
            chunks = self._advance(session)
            if chunks is not None:
                # To the end of the line, so that offline sessions take turns.
                self._sessions[session.number] = self._sessions.pop(session.number)
                self._run_batch([session], chunks)
                return True
        if self._tasks:
            self._run_one_task(self._tasks.popleft())
            return True
        return False

    def _work_live(self) -> bool:
        waiting: list[tuple[Session, Wave]] = []
        for session in list(self._sessions.values()):
            if session.live and (chunks := self._advance(session)) is not None:
                waiting.append((session, chunks))
        if waiting:
            self._run_live(waiting)
        return bool(waiting)

    def _advance(self, session: Session) -> Wave | None:
        """What a session wants the network to see; None: nothing, until it is in the news."""
        chunks: Wave | None = None
        if session.ready:
            start = time.perf_counter()
            try:
                chunks = session.advance()
            except Exception as error:
                # A fault of ours must end one session, not the thread that all share.
                log.exception("session failed", extra={"session": session.number})
                session.abandon(_wrapped(self.name, error))
            session.busy += time.perf_counter() - start
            self._progressed(session)
        if chunks is None:
            del self._sessions[session.number]
        return chunks

    def _run_live(self, waiting: list[tuple[Session, Wave]]) -> None:
        """Run chunks of one size together, as many as allowed; the rest is due next round."""
        if len(waiting) == 1:
            self._run_batch([waiting[0][0]], waiting[0][1])
            return
        by_size: dict[int, list[tuple[Session, Wave]]] = {}
        for session, chunks in waiting:
            if session.backend is not None:
                self._run_batch([session], chunks)  # its state is its own
            else:
                by_size.setdefault(chunks.shape[2], []).append((session, chunks))
        for group in by_size.values():
            for start in range(0, len(group), _MAX_BATCH):
                part = group[start : start + _MAX_BATCH]
                chunks = part[0][1]
                if len(part) > 1:
                    chunks = np.concatenate([chunks for _, chunks in part])
                self._run_batch([session for session, _ in part], chunks)

    def _run_batch(self, sessions: list[Session], chunks: Wave) -> None:
        """Run the network and hand out the results; if that fails, each one alone."""
        start = time.perf_counter()
        try:
            made = self.infer(chunks, sessions[0].backend)
        except Exception as error:
            if len(sessions) == 1:
                sessions[0].fail(error)
            else:
                for session, single in zip(sessions, np.split(chunks, len(sessions)), strict=True):
                    self._run_batch([session], single)
            return
        share = (time.perf_counter() - start) / len(sessions)
        if len(sessions) == 1:
            parts: Iterable[Wave] = [made]
        elif made.shape[0] == chunks.shape[0]:
            parts = np.split(made, len(sessions))
        else:
            parts = [made] * len(sessions)  # of a shape that each will refuse
        for session, part in zip(sessions, parts, strict=True):
            session.busy += share
            session.deliver(part)

    def _run_one_task(self, task: _Task) -> None:
        try:
            task.made = task.run()
        except Exception as error:
            task.error = error
        task.done.set()

    def infer(self, chunks: Wave, backend: Callable[[Wave], Wave] | None = None) -> Wave:
        """Run the network, for the thread only; a stream's own backend where it has a state.

        Raises:
            Exception: what the network raised.
        """
        if self.model is None:
            raise EngineError(f"model {self.name!r} is not loaded")
        if not chunks.shape[0]:  # a pause: live sessions have their turn
            return chunks
        self.runs += 1
        self.chunks += chunks.shape[0]
        return (backend or self.model.backend)(chunks)


def _wrapped(name: str, error: Exception) -> LarsError:
    return EngineError(f"model {name!r} failed ({type(error).__name__}: {error})")
