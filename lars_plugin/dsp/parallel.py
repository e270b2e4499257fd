# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in numpy on several cores: parts of arrays, each part in a thread.

NumPy and SciPy let go of the interpreter while they compute, so threads run side by side as long
as each call is worth more than a switch between them.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

__all__ = ["default_threads", "one_thread_each", "run_parts", "stop_check", "stoppable"]

Part = TypeVar("Part")
Result = TypeVar("Result")


def default_threads() -> int:
    """As many as PyTorch uses, if it is there; else OMP_NUM_THREADS, else the cores we may use."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        return int(torch.get_num_threads())
    wish = os.environ.get("OMP_NUM_THREADS", "")
    if wish.isdigit() and int(wish):
        return int(wish)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def stoppable(check: Callable[[], None]) -> Iterator[None]:
    """Have ``check`` called between the parts of all that this thread works on in here.

    Args:
        check: from any thread; it raises what shall end the work.
    """
    token = _stop_check.set(check)
    try:
        yield
    finally:
        _stop_check.reset(token)


def stop_check() -> Callable[[], None]:
    """What to call now and then in a long piece of work that this thread begins: it may raise."""
    return _stop_check.get()


def run_parts(work: Callable[[Part], Result], parts: Iterable[Part], threads: int) -> list[Result]:
    """``[work(part) for part in parts]``, in that many threads.

    NaN and Inf pass without a warning, as in PyTorch: they are for the caller to find. Between
    the parts the caller's ``stoppable`` check is called.
    """
    check = stop_check()

    def quiet(part: Part) -> Result:
        check()
        with np.errstate(all="ignore"):
            return work(part)

    if threads < 2:
        return [quiet(part) for part in parts]
    return list(_pool(threads, os.getpid()).map(quiet, parts))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Matrix products of NumPy in the caller's thread alone, for work that is in parts already.

    OpenBLAS's own threads wait for each other by spinning, which on a busy machine makes products
    of small matrices many times slower. The limit is the process's: the first who is in here sets
    it, and the last who leaves lifts it, whichever threads they are.
    """
    global _inside, _lifted
    with _lock:
        if not _inside:
            _lifted = _limit_blas([1] * len(_libraries(os.getpid())))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _limit_blas(_lifted)


def _limit_blas(counts: list[int]) -> list[int]:
    """Set the threads of each BLAS; returns what they were."""
    before = []
    for library, count in zip(_libraries(os.getpid()), counts, strict=True):
        before.append(library.num_threads or 1)
        # threadpoolctl (3.6 and later) lets only the first thread of a process that ever asked
        # set OpenBLAS's number, for as long as that thread lives, and ignores all others without
        # a word. Here a lock keeps the threads from getting in each other's way.
        release = getattr(library, "clear_controlling_thread", None)
        if release is not None:
            release(force=True)
        library.set_num_threads(count)
        if release is not None:
            release(force=True)
    return before


def _never() -> None:
    """The check of work that nobody stops."""


_stop_check: ContextVar[Callable[[], None]] = ContextVar("lars_stop_check", default=_never)
_lock = threading.Lock()
_inside = 0
_lifted: list[int] = []


def _alone() -> None:
    """In a forked child: threads that were in there are gone, and nobody else lifts the limit."""
    global _lock, _inside
    _lock = threading.Lock()
    if _inside:
        _inside = 0
        _limit_blas(_lifted)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_alone)


@functools.lru_cache(maxsize=1)
def _libraries(_process: int) -> tuple[Any, ...]:
    # Looking for them takes milliseconds, and they stay where they are.
    import threadpoolctl

    found = threadpoolctl.ThreadpoolController().lib_controllers
    return tuple(one for one in found if one.user_api == "blas")


@functools.lru_cache
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """One for each process: a fork takes the object along but not its threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="lars-parts")
