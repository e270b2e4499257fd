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
from typing import Any, TypeVar

import numpy as np

__all__ = ["default_threads", "one_thread_each", "run_parts"]

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


def run_parts(work: Callable[[Part], Result], parts: Iterable[Part], threads: int) -> list[Result]:
    """``[work(part) for part in parts]``, in that many threads.

    NaN and Inf pass without a warning, as in PyTorch: they are for the caller to find.
    """

    def quiet(part: Part) -> Result:
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
    it, and the last who leaves lifts it.
    """
    global _inside, _limit
    with _lock:
        if not _inside:
            _limit = _libraries(os.getpid()).limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _limit.restore_original_limits()


_lock = threading.Lock()
_inside = 0
_limit: Any = None


def _alone() -> None:
    """In a forked child: threads that were in there are gone, and nobody else lifts the limit."""
    global _lock, _inside
    _lock = threading.Lock()
    if _inside:
        _inside = 0
        _limit.restore_original_limits()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_alone)


@functools.lru_cache(maxsize=1)
def _libraries(_process: int) -> Any:
    # Looking for them takes milliseconds, and they stay where they are.
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


@functools.lru_cache
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """One for each process: a fork takes the object along but not its threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="lars-parts")
