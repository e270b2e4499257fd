# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the network that other threads wait for: those of jobs."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from lars_plugin.dsp.parallel import stop_check
from lars_plugin.errors import ConnectionLostError

__all__ = ["Tasks"]

Result = TypeVar("Result")

# How often one who waits for a run looks whether it still wants it.
_CHECK_SECONDS = 0.1


class _Task:
    """Runs in the context of who asks, so that what may stop that one stops the run as well."""

    def __init__(self, run: Callable[[], Any], owner: Hashable) -> None:
        context = contextvars.copy_context()
        self.run: Callable[[], Any] = lambda: context.run(run)
        self.owner = owner
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()


class Tasks:
    """A line of runs, each with an owner whose turn it may be."""

    def __init__(self) -> None:
        self._waiting: deque[_Task] = deque()

    def owners(self) -> list[Hashable]:
        """Of those that wait, in the order they came."""
        return list(dict.fromkeys(task.owner for task in list(self._waiting)))

    def ask(
        self,
        run: Callable[[], Result],
        owner: Hashable,
        *,
        wake: Callable[[], None],
        over: Callable[[], bool],
    ) -> Result:
        """Put a run into the line and wait for its result; not longer than the caller's own
        ``stop_check`` allows.

        Args:
            run: what.
            owner: whose turn it is.
            wake: wakes the thread that runs it.
            over: whether nobody will run it any more.

        Raises:
            ConnectionLostError: it is over.
            BaseException: what the run or the check raised.
        """
        task, check = _Task(run, owner), stop_check()
        check()  # also where each run is over before the first look
        self._waiting.append(task)
        wake()
        try:
            while not task.done.wait(_CHECK_SECONDS):
                check()
                if over():
                    raise ConnectionLostError(
                        "the engine stops, or the model's thread has; try again"
                    )
        except BaseException:
            self._take(task)  # if it runs already, its result is of no use to anybody
            raise
        if task.error is not None:
            raise task.error
        result: Result = task.result
        return result

    def run_of(self, owner: Hashable) -> bool:
        """Make the first run of this owner; False: there is none."""
        for task in list(self._waiting):
            if task.owner == owner and self._take(task):
                try:
                    task.result = task.run()
                except BaseException as error:
                    task.error = error
                task.done.set()
                return True
        return False

    def fail(self, error: Exception) -> None:
        """Nothing that waits will be run."""
        while self._waiting:
            task = self._waiting.popleft()
            task.error = error
            task.done.set()

    def _take(self, task: _Task) -> bool:
        try:
            self._waiting.remove(task)
        except ValueError:
            return False
        return True
