# SPDX-License-Identifier: GPL-3.0-or-later
"""A model thread: loads the model and runs it for every session that shares it.

Live sessions come first and their chunks are run together; between them there is one run for an
offline session or a job, in turns by time, and the live ones are looked at again. Live sessions
that leave no gap, because they need more than real time, get three quarters of it. Offline results
must be those of ``Separator`` to the bit, so their batches stay as they are.

What goes wrong with one session ends that session. What goes wrong beyond that, down to an error
that is not an ``Exception``, ends all that had something to do; the thread goes on with the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.engine.tasks import Tasks
from lars_plugin.bridge.engine.turns import Turns
from lars_plugin.bridge.engine.waker import Waker
from lars_plugin.errors import ConnectionLostError, EngineError, LarsError, ModelError
from lars_plugin.model import Model

__all__ = ["ModelThread"]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]
Result = TypeVar("Result")

# Chunks of live sessions in one run: enough to pay, few enough to be in time.
_MAX_BATCH = 16
_POLL_SECONDS = 0.5
_CHECK_SECONDS = 0.1  # how often one who waits for a run looks whether it still wants it
# Live sessions that leave no gap let another kind run after this many times the seconds that its
# last run took, and at least this many seconds.
_LIVE_SHARE = 3.0
_LIVE_SECONDS = 0.25
# Seconds by which a live session may have used the network more than another before it waits.
_LIVE_AHEAD = 0.05
_CALM_SECONDS = 0.02


class _JobOf(NamedTuple):
    """A job among those who wait for a turn."""

    owner: Hashable


class ModelThread:
    """One loaded model and the thread that runs it.

    Args:
        name: of the model.
        load: loads it; called on the thread.
        retire: called when the thread has been idle; True lets it end.
        progressed: called, on the thread, when a session has taken audio from its inbox.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[str], Model],
        *,
        retire: Callable[[ModelThread], bool],
        progressed: Callable[[Session], None],
    ) -> None:
        self.name = name
        self.leases = 0  # sessions and jobs that hold it; guarded by its owner
        self.idle_since = time.monotonic()
        self.model: Model | None = None
        self.runs = self.chunks = 0
        self.restarts = 0  # times that the thread went on after an error that ended all sessions
        self._load = load
        self._retire = retire
        self._progressed = progressed
        self._waker = Waker(_POLL_SECONDS)
        self._news: deque[Session] = deque()  # sessions with something to do, or closed
        self._tasks = Tasks()
        self._sessions: dict[int, Session] = {}  # those that may have something to do
        self._stopping = False
        self._turns, self._live_turns = Turns(), Turns()
        self._shared = False  # whether there are several live sessions
        self._live_used = 0.0  # seconds of live runs without a gap
        self._live_due = _LIVE_SECONDS  # after so many another kind has a run
        self._loaded = threading.Event()
        self._error: LarsError | None = None
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)
        self._thread.start()

    def notify(self, session: Session, *, wake: bool = True) -> None:
        """A session has something to do, or was closed. From any thread, never waits.

        Args:
            wake: wake the thread now; else the caller must call ``wake`` when it is done.
        """
        self._news.append(session)
        if wake:
            self.wake()

    def wake(self) -> None:
        """Wake the thread, so that it looks at the sessions it was notified of."""
        self._waker.wake()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def state(self) -> str:
        """``loading``, ``ready``, ``failed`` (it could not be loaded) or ``dead``."""
        if not self.alive:
            return "dead"
        if not self._loaded.is_set():
            return "loading"
        return "failed" if self.model is None else "ready"

    def stop(self, timeout: float | None = None) -> None:
        """Ask the thread to end after the run it is in, and wait for that."""
        self._stopping = True
        self._waker.wake()
        self._thread.join(timeout)

    def wait_model(self, check: Callable[[], None] | None = None) -> Model:
        """The model once it is loaded; for other threads.

        Args:
            check: called now and then; it raises what ends the wait.

        Raises:
            ModelError or another LarsError: it could not be loaded.
        """
        while not self._loaded.wait(_CHECK_SECONDS):
            if check is not None:
                check()
            if not self.alive and not self._loaded.is_set():
                raise EngineError(f"the thread of model {self.name!r} has ended; try again")
        if self.model is None:
            raise self._error or ModelError(f"model {self.name!r} could not be loaded")
        return self.model

    def run_task(self, run: Callable[[], Result], owner: Hashable = None) -> Result:
        """Have the thread run something when it is its turn; the caller's waits, and stops
        waiting when its own ``stop_check`` says so.

        Args:
            run: what.
            owner: whose turn it is.

        Raises:
            ConnectionLostError: the engine stops.
            Exception: what the network or the check raised.
        """
        return self._tasks.ask(
            run,
            owner,
            wake=self._waker.wake,
            over=lambda: self._stopping or not self.alive,
        )

    # The thread.

    def _run(self) -> None:
        self._load_model()
        while not self._stopping:
            try:
                busy = self._work() if self.model is not None else self._refuse()
                if not busy and not self._waker.wait() and self._retire(self):
                    break
                self._read_news()
            except BaseException as error:
                self._recover(error)
                time.sleep(_CALM_SECONDS)  # if it goes on like this, others need the core too
        self.clear()

    def clear(self) -> None:
        """At the thread's end, by it, or after it if that was its death."""
        self._waker.close()
        self._tasks.fail(ConnectionLostError("the engine stops; try again when it is back"))

    def _load_model(self) -> None:
        try:
            self.model = self._load(self.name)
        except BaseException as error:
            self._error = error if isinstance(error, LarsError) else _wrapped(self.name, error)
            log.warning("model not loaded", extra={"model": self.name, "error": str(self._error)})
        finally:
            self._loaded.set()

    def _recover(self, error: BaseException) -> None:
        """After an error that is nobody's in particular: end all that had something to do, who
        may be in any state, and go on."""
        self.restarts += 1
        log.error("model thread failed", extra={"model": self.name}, exc_info=error)
        wrapped = _wrapped(self.name, error)
        sessions = {session.number: session for session in self._news}
        for session in [*self._sessions.values(), *sessions.values()]:
            if not session.closed:
                session.abandon(wrapped)
                self._progressed(session)
        self._sessions.clear()
        self._tasks.fail(wrapped)

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
        self._tasks.fail(error)
        return False

    def _work(self) -> bool:
        """One round; False: there was nothing to do."""
        others = self._others()
        if not others or self._live_used < self._live_due:
            start = time.perf_counter()
            if self._work_live():
                self._live_used += time.perf_counter() - start
                return True
        self._live_used = 0.0
        start = time.perf_counter()
        if not self._work_other(others):
            return any(session.ready for session in self._sessions.values() if session.live)
        self._live_due = max(_LIVE_SECONDS, _LIVE_SHARE * (time.perf_counter() - start))
        return True

    def _others(self) -> list[int | _JobOf]:
        """Who waits that is not live: numbers of offline sessions, and jobs."""
        sessions = [
            number
            for number, session in self._sessions.items()
            if not (session.live or session.congested)
        ]
        return [*sessions, *(_JobOf(owner) for owner in self._tasks.owners())]

    def _work_other(self, others: list[int | _JobOf]) -> bool:
        """One run for the one whose turn it is."""
        for who in self._turns.order(others):
            start = time.perf_counter()
            if isinstance(who, _JobOf):
                worked = self._tasks.run_of(who.owner)
            else:
                session = self._sessions[who]
                chunks = self._advance(session)
                if chunks is not None:
                    self._run_batch([session], chunks)
                worked = chunks is not None or session.ready
            self._turns.spent(who, time.perf_counter() - start)
            if worked:
                return True
        return False

    def _work_live(self) -> bool:
        live = [session for session in self._sessions.values() if session.live]
        self._shared = len(live) > 1
        if self._shared:
            # In turns by time: who has had more than the others waits until they had as much.
            # Those who have something to do seldom are ahead of nobody.
            turns = self._live_turns
            numbers = turns.order(session.number for session in live if session.ready)
            late = {number for number in numbers if turns.ahead(number) > _LIVE_AHEAD}
            live = [session for session in live if session.number not in late]
        waiting: list[tuple[Session, Wave]] = []
        busy = False
        for session in live:
            start = time.perf_counter()
            if (chunks := self._advance(session)) is not None:
                waiting.append((session, chunks))
            busy = busy or chunks is not None or session.ready
            if self._shared:
                self._live_turns.spent(session.number, time.perf_counter() - start)
        if waiting:
            self._run_live(waiting)
        return busy

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
        if chunks is None and not session.ready:
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
            result = self.infer(chunks, sessions[0].backend)
        except Exception as error:
            if len(sessions) == 1:
                sessions[0].fail(error)
            else:
                for session, single in zip(sessions, np.split(chunks, len(sessions)), strict=True):
                    self._run_batch([session], single)
            return
        share = (time.perf_counter() - start) / len(sessions)
        if len(sessions) == 1:
            parts: Iterable[Wave] = [result]
        elif result.shape[0] == chunks.shape[0]:
            parts = np.split(result, len(sessions))
        else:
            parts = [result] * len(sessions)  # of a shape that each will refuse
        for session, part in zip(sessions, parts, strict=True):
            session.busy += share
            if session.live and self._shared:
                self._live_turns.spent(session.number, share)
            session.deliver(part)

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


def _wrapped(name: str, error: BaseException) -> LarsError:
    return EngineError(f"model {name!r} failed ({type(error).__name__}: {error})")
