# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver: gives jobs to an engine and writes into the ledger what becomes of them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lars_plugin.batch.engine import Broken, Engine, Event, Finished, Lost, Ready
from lars_plugin.batch.jobs import RETRIED, Job, Result
from lars_plugin.batch.ledger import Ledger
from lars_plugin.errors import InputError, LarsError, ModelError

__all__ = ["Told", "run"]

log = logging.getLogger(__name__)

# Rows that are looked up together, and seconds between signs of life in the ledger.
_WINDOW, _BEAT = 256, 2.0
# Seconds until a second attempt; four times as many until each further one.
_PAUSE = 1.0
# So many files in a row that fail for the same outer reason: it is not the files.
_IN_A_ROW = 20
_OUTER = ("disk", "store")


@dataclass(frozen=True)
class Told:
    """What a caller is told of a file: done, skipped, split, again (another attempt follows) or
    failed."""

    location: str
    what: str
    detail: str
    result: Result | None = None


def run(ledger: Ledger, engine: Engine, *, attempts: int, tell: Callable[[Told], None]) -> None:
    """Do all that waits in the ledger.

    Args:
        ledger: of which a run has begun.
        engine: with its workers; closed at the end.
        attempts: that a file may have.
        tell: called with what becomes of each file.

    Raises:
        LarsError: workers cannot be started, or one outer cause makes all files fail.
        KeyboardInterrupt: passed on when the workers have stopped.
    """
    _Run(ledger, engine, attempts, tell).all()


class _Run:
    def __init__(
        self, ledger: Ledger, engine: Engine, attempts: int, tell: Callable[[Told], None]
    ) -> None:
        self._ledger, self._engine = ledger, engine
        self._attempts, self._report = attempts, tell
        self._next: deque[Job] = deque()
        self._busy: dict[tuple[int, int | None], Job] = {}
        self._beaten = 0.0
        self._in_a_row = 0

    def all(self) -> None:
        """Until nothing waits and nobody works."""
        finished = False
        try:
            while self._fill():
                self._beat()
                for event in self._engine.events(0.2):
                    self._take(event)
            finished = True
        finally:
            # On an error, Ctrl-C included, what is at work is cancelled and waits again; also
            # where a second Ctrl-C does not let workers end.
            try:
                for event in self._engine.close(stop=not finished):
                    self._take(event)
            finally:
                for job in self._busy.values():
                    self._ledger.give_back(job)
                self._ledger.commit()

    def _tell(self, news: Told) -> None:
        """Say what the ledger has: what was said survives the end of this process."""
        self._ledger.commit()
        self._report(news)

    def _fill(self) -> bool:
        """Keep the workers busy; whether something is at work or will be."""
        free = self._engine.free()
        while free > 0:
            if not self._next:
                self._next.extend(
                    job for job in self._ledger.next_jobs(_WINDOW) if _key(job) not in self._busy
                )
                if not self._next:
                    break
            job = self._next.popleft()
            self._busy[_key(job)] = job
            self._ledger.begun(job, self._engine.submit(job))
            free -= 1
        self._ledger.commit()
        return bool(self._busy or self._next) or self._ledger.waiting()[0] > 0

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten > _BEAT:
            self._beaten = now
            self._ledger.beat(self._engine.workers())

    def _take(self, event: Event) -> None:
        if isinstance(event, Broken):
            kinds = {"input": InputError, "model": ModelError}
            raise kinds.get(event.kind, LarsError)(event.reason)
        if isinstance(event, Ready):
            log.info("%s is ready: %s", event.worker, event.runs_on)
            return
        if self._busy.pop(_key(event.job), None) is None:
            return  # of a worker that was given up before
        if isinstance(event, Lost):
            self._lost(event)
        else:
            self._finished(event)

    def _lost(self, event: Lost) -> None:
        if not event.guilty:
            self._ledger.give_back(event.job)
            self._tell(Told(event.job.location, "again", event.reason))
            return
        self._failed(event.job, "killed", event.reason, event.worker, None)

    def _finished(self, event: Finished) -> None:
        job, result = event.job, event.result
        if result.status == "cancelled":
            self._ledger.give_back(job)
        elif result.status == "failed":
            self._failed(job, result.kind, result.error, result.worker, result)
        elif result.status == "split":
            self._ledger.split(result)
            self._tell(Told(job.location, "split", f"{len(result.pieces)} pieces", result))
        elif job.piece is not None:
            self._ledger.piece_done(result)
            self._in_a_row = 0
        else:
            self._ledger.done(result)
            self._in_a_row = 0
            self._tell(Told(job.location, "skipped" if result.skipped else "done", "", result))

    def _failed(self, job: Job, kind: str, error: str, worker: str, result: Result | None) -> None:
        tries = self._attempts if kind in RETRIED else 1
        if kind == "killed":
            error = f"{error} while it worked on this file"
        last = self._ledger.failed(
            job.key, job.piece, kind, error, worker=worker, tries=tries, wait=_PAUSE
        )
        if last and job.piece is not None:
            # The others of this file are of no use any more.
            self._next = deque(other for other in self._next if other.key != job.key)
        self._tell(Told(job.location, "failed" if last else "again", error, result))
        self._in_a_row = self._in_a_row + 1 if kind in _OUTER and last else 0
        if self._in_a_row >= _IN_A_ROW:
            raise LarsError(
                f"stopped: {_IN_A_ROW} files in a row failed, the last with: {error}; mend that and"
                " give the same command again"
            )


def _key(job: Job) -> tuple[int, int | None]:
    return job.key, None if job.piece is None else job.piece.number
