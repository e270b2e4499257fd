# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in threads that Ctrl-C ends in order.

Python runs signal handlers in the main thread. Files are written by other threads, even when
it is one at a time, so that an interrupt never strikes inside a library that calls us back
(there the exception would be printed and lost), but where we wait for it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from lars_plugin.audio import discard_unfinished
from lars_plugin.cli import Terminated

__all__ = ["run_all"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# Seconds that the running work has to notice that it must stop.
_GRACE = 10.0


def run_all(
    work: Callable[[Item, threading.Event], Result],
    items: Sequence[Item],
    jobs: int,
    done: Callable[[Item, Result], None],
) -> None:
    """Call ``work(item, stop)`` for all items, ``jobs`` at a time.

    Args:
        work: must return soon after ``stop`` is set, and raise nothing but bugs.
        items: in the order in which they are begun.
        jobs: threads.
        done: called in this thread with each item and its result, in the order they come.

    Raises:
        KeyboardInterrupt: passed on when all work has stopped. If it does not within ten
            seconds, or at a second interrupt, files in the making are removed and the process
            ends here.
    """
    stop = threading.Event()
    pool = ThreadPoolExecutor(jobs)
    untold: dict[Future[Result], Item] = {}

    def tell(future: Future[Result]) -> None:
        result = future.result()
        done(untold.pop(future), result)

    try:
        for item in items:
            untold[pool.submit(work, item, stop)] = item
        while untold:
            # With a timeout, because on Windows a wait without one cannot be interrupted.
            for future in wait(untold, timeout=0.2, return_when=FIRST_COMPLETED).done:
                tell(future)
    except KeyboardInterrupt as interrupt:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        print("lars: stopping; once more to stop at once", file=sys.stderr)
        # Those that never began are cancelled, which `wait` does not count as done.
        running = {future for future in untold if not future.cancelled()}
        _wait_or_exit(running, interrupt)
        for future in running:
            if future.exception() is None:
                tell(future)
        raise
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _wait_or_exit(running: set[Future[Result]], interrupt: KeyboardInterrupt) -> None:
    try:
        _, unfinished = wait(running, timeout=_GRACE)
    except KeyboardInterrupt:
        unfinished = running
    if unfinished:
        discard_unfinished(exiting=True)
        print("lars: stopped", file=sys.stderr, flush=True)
        os._exit(143 if isinstance(interrupt, Terminated) else 130)
