# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that are loaded now: one thread each, shared, and let go when idle."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.protocol import limits
from lars_plugin.errors import LimitError, ModelNotFoundError
from lars_plugin.model import AnyModel

__all__ = ["ModelPool"]

log = logging.getLogger(__name__)


class ModelPool:
    """Hands out threads by model name.

    Args:
        names: the models that clients may ask for; nothing else is ever loaded.
        load: loads one.
        progressed: see ``ModelThread``.
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
        self._threads: dict[str, ModelThread] = {}

    def check(self, name: str) -> None:
        """Whether a model is on offer.

        Raises:
            ModelNotFoundError: it is not.
        """
        if name not in self.names:
            raise ModelNotFoundError(
                f"no model {name!r}; this engine offers {', '.join(self.names) or 'none'}"
            )

    def lease(self, name: str) -> ModelThread:
        """A thread for a model, started if need be; give it back with ``release``.

        Raises:
            ModelNotFoundError: the name is not on offer.
            LimitError: too many models are loaded.
        """
        self.check(name)
        with self._lock:
            thread = self._threads.get(name)
            if thread is None or not thread.alive:
                self._threads.pop(name, None)
                self._make_room()
                log.info("loading model", extra={"model": name})
                thread = ModelThread(
                    name, self._load, retire=self._retire, progressed=self._progressed
                )
                self._threads[name] = thread
            thread.leases += 1
            return thread

    def release(self, thread: ModelThread) -> None:
        """Give back what ``lease`` gave."""
        with self._lock:
            thread.leases -= 1
            thread.idle_since = time.monotonic()

    def threads(self) -> list[ModelThread]:
        """Those there are now."""
        with self._lock:
            return list(self._threads.values())

    def bury(self) -> list[ModelThread]:
        """Threads that have died: they are not handed out any more, and the next who wants
        the model gets a new one."""
        with self._lock:
            dead = [thread for thread in self._threads.values() if not thread.alive]
            for thread in dead:
                del self._threads[thread.name]
                thread.clear()
        return dead

    def stop(self, timeout: float) -> None:
        """End all threads, waiting at most so many seconds in all."""
        until = time.monotonic() + timeout
        for thread in self.threads():
            thread.stop(max(0.0, until - time.monotonic()))

    def _make_room(self) -> None:
        if len(self._threads) < limits.MAX_MODELS:
            return
        idle = [thread for thread in self._threads.values() if thread.leases == 0]
        if not idle:
            raise LimitError(
                f"{limits.MAX_MODELS} models are in use; close a session of another model first"
            )
        oldest = min(idle, key=lambda thread: thread.idle_since)
        del self._threads[oldest.name]
        oldest.stop(0.0)

    def _retire(self, thread: ModelThread) -> bool:
        """Called by a thread that has nothing to do."""
        with self._lock:
            failed = thread.model is None
            idle = time.monotonic() - thread.idle_since
            if thread.leases or (idle < self._idle_seconds and not failed):
                return False
            if self._threads.get(thread.name) is thread:
                del self._threads[thread.name]
            log.info("model let go", extra={"model": thread.name})
            return True
