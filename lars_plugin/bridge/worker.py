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
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends import Model
from lars_plugin.bridge.session import Session
from lars_plugin.errors import ConnectionLostError, EngineError, LarsError, ModelError

__all__ = ["Worker", "WorkerBackend"]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]

# Chunks of live sessions in one run: enough to pay, few enough to be in time.
_MAX_BATCH = 16
_POLL_SECONDS = 0.5


class _Task:
    """A run of the network that another thread waits for."""

    def __init__(self, chunks: Wave) -> None:
        self.chunks = chunks
        self.made: Wave | None = None
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
        self._wake: SimpleQueue[Session | _Task | None] = SimpleQueue()
        self._sessions: dict[int, Session] = {}
        self._tasks: deque[_Task] = deque()
        self._stopping = False
        self._loaded = threading.Event()
        self._error: LarsError | None = None
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)
        self._thread.start()

    def notify(self, session: Session) -> None:
        """A session has something to do, or was closed. From any thread, never waits."""
        self._wake.put(session)

    def stop(self, timeout: float | None = None) -> None:
        """Ask the thread to end after the run it is in, and wait for that."""
        self._stopping = True
        self._wake.put(None)
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

    def run_task(self, chunks: Wave) -> Wave:
        """Run the network on chunks when nothing else is waiting; the caller's thread waits.

        Raises:
            ConnectionLostError: the engine stops.
            Exception: what the network raised.
        """
        task = _Task(chunks)
        self._wake.put(task)
        while not task.done.wait(_POLL_SECONDS):
            if self._stopping and not self._thread.is_alive():
                raise ConnectionLostError("the engine stops; try again when it is back")
        if task.error is not None:
            raise task.error
        if task.made is None:
            raise ConnectionLostError("the engine stops; try again when it is back")
        return task.made

    # The thread.

    def _run(self) -> None:
        try:
            self.model = self._load(self.name)
        except Exception as error:
            self._error = error if isinstance(error, LarsError) else _wrapped(self.name, error)
            log.warning("model not loaded", extra={"model": self.name, "error": str(self._error)})
        self._loaded.set()
        while not self._stopping:
            busy = self._work() if self.model is not None else self._refuse()
            if not busy and not self._collect(wait=True) and self._retire(self):
                break
            self._collect(wait=False)
        for task in self._tasks:
            task.done.set()

    def _collect(self, *, wait: bool) -> bool:
        """Take what was put into the queue; False: nothing came for a while."""
        try:
            item = self._wake.get(block=wait, timeout=_POLL_SECONDS if wait else None)
            while True:
                if isinstance(item, Session):
                    self._sessions[item.number] = item
                elif item is not None:
                    self._tasks.append(item)
                wait = False
                item = self._wake.get(block=False)
        except Empty:
            return not wait
        finally:
            for number in [n for n, session in self._sessions.items() if session.closed]:
                self._sessions.pop(number).release()

    def _refuse(self) -> bool:
        """The model could not be loaded: say so to all who come."""
        error = self._error or ModelError(f"model {self.name!r} could not be loaded")
        for session in self._sessions.values():
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
        sessions = list(self._sessions.values())
        waiting = [
            (session, chunks)
            for session in sessions
            if session.live and (chunks := self._advance(session)) is not None
        ]
        if waiting:
            self._run_live(waiting)
            return True
        for session in sessions:
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

    def _advance(self, session: Session) -> Wave | None:
        if not session.ready:
            return None
        start = time.perf_counter()
        try:
            chunks = session.advance()
        except Exception as error:
            # A fault of ours must end one session, not the thread that all share.
            log.exception("session failed", extra={"session": session.number})
            session.abandon(_wrapped(self.name, error))
            chunks = None
        session.busy += time.perf_counter() - start
        self._progressed(session)
        return chunks

    def _run_live(self, waiting: list[tuple[Session, Wave]]) -> None:
        """Run chunks of one size together, as many as allowed; the rest is due next round."""
        by_size: dict[int, list[tuple[Session, Wave]]] = {}
        for session, chunks in waiting:
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
            made = self._infer(chunks)
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
            task.made = self._infer(task.chunks)
        except Exception as error:
            task.error = error
        task.done.set()

    def _infer(self, chunks: Wave) -> Wave:
        if self.model is None:
            raise EngineError(f"model {self.name!r} is not loaded")
        self.runs += 1
        self.chunks += chunks.shape[0]
        return self.model.backend(chunks)


class WorkerBackend:
    """A backend for other threads: each run waits for the model's own thread."""

    def __init__(self, worker: Worker, name: str) -> None:
        self._worker = worker
        self._name = name

    @property
    def name(self) -> str:
        """What runs where, as the model's own backend says."""
        return self._name

    def __call__(self, batch: Wave) -> Wave:
        return self._worker.run_task(batch)


def _wrapped(name: str, error: Exception) -> LarsError:
    return EngineError(f"model {name!r} failed ({type(error).__name__}: {error})")
