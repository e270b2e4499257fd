# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that are loaded now: one worker each, shared, and let go when idle."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.engine.worker import Worker
from lars_plugin.bridge.protocol import limits
from lars_plugin.errors import LimitError, ModelNotFoundError
from lars_plugin.model import AnyModel

__all__ = ["WorkerPool"]

log = logging.getLogger(__name__)


class WorkerPool:
    """Hands out workers by model name.

    Args:
        names: the models that clients may ask for; nothing else is ever loaded.
        load: loads one.
        progressed: see ``Worker``.
        idle_seconds: after which a model that nobody uses is let go.
    """

    def __init__(
        self,
        names: Sequence[str],
        load: Callable[[str], AnyModel],
        *,
        progressed: Callable[[Session], None],
        idle_seconds: float,
    ) -> None:
        self.names = tuple(names)
        self._load = load
        self._progressed = progressed
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._workers: dict[str, Worker] = {}

    def lease(self, name: str) -> Worker:
        """A worker for a model, started if need be; give it back with ``release``.

        Raises:
            ModelNotFoundError: the name is not on offer.
            LimitError: too many models are loaded.
        """
        if name not in self.names:
            raise ModelNotFoundError(
                f"no model {name!r}; this engine offers {', '.join(self.names) or 'none'}"
            )
        with self._lock:
            worker = self._workers.get(name)
            if worker is None or not worker.alive:
                self._workers.pop(name, None)
                self._make_room()
                log.info("loading model", extra={"model": name})
                worker = Worker(name, self._load, retire=self._retire, progressed=self._progressed)
                self._workers[name] = worker
            worker.leases += 1
            return worker

    def release(self, worker: Worker) -> None:
        """Give back what ``lease`` gave."""
        with self._lock:
            worker.leases -= 1
            worker.idle_since = time.monotonic()

    def workers(self) -> list[Worker]:
        """Those there are now."""
        with self._lock:
            return list(self._workers.values())

    def bury(self) -> list[Worker]:
        """Workers whose thread has died: they are not handed out any more, and the next who wants
        the model gets a new one."""
        with self._lock:
            dead = [worker for worker in self._workers.values() if not worker.alive]

            for worker in dead:
                del self._workers[worker.name]
                worker.clear()
        return dead

    def stop(self, timeout: float) -> None:
        """End all threads, waiting at most so many seconds in all."""
        until = time.monotonic() + timeout
        for worker in self.workers():
            worker.stop(max(0.0, until - time.monotonic()))

    def _make_room(self) -> None:
        if len(self._workers) < limits.MAX_MODELS:
            return
        idle = [worker for worker in self._workers.values() if worker.leases == 0]
        if not idle:
            raise LimitError(
                f"{limits.MAX_MODELS} models are in use; close a session of another model first"
            )
        oldest = min(idle, key=lambda worker: worker.idle_since)
        del self._workers[oldest.name]
        oldest.stop(0.0)

    def _retire(self, worker: Worker) -> bool:
        """Called by a worker that has nothing to do."""
        with self._lock:
            failed = worker.model is None
            idle = time.monotonic() - worker.idle_since
            if worker.leases or (idle < self._idle_seconds and not failed):
                return False
            if self._workers.get(worker.name) is worker:
                del self._workers[worker.name]
            log.info("model let go", extra={"model": worker.name})
            return True
