# SPDX-License-Identifier: GPL-3.0-or-later
"""A setting of the C library's allocator that makes large networks fast on a CPU."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_freed_memory", "return_freed_memory", "returning_memory"]

# <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -3, -4, -8
_MANY = 65536  # glibc's own number of mappings

_keeps = False  # whether freed memory is kept


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks for reuse instead of returning them to the system.

    A network allocates and frees large blocks at every layer. By default each one is a fresh
    mapping whose pages the kernel has to zero one by one: in training that took four times as
    long as the arithmetic. Other threads would have their own arenas, and no setting keeps those
    from being returned, so all threads share the first. The setting applies to the whole process,
    so programs (the command line, training) call it; importing the library never does.

    Returns:
        Whether it was done; False with another C library.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not hasattr(libc, "gnu_get_libc_version"):
        return False
    done = libc.mallopt(_M_MMAP_MAX, 0)
    done &= libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    done &= libc.mallopt(_M_TOP_PAD, 2**26)
    done &= libc.mallopt(_M_ARENA_MAX, 1)
    global _keeps
    _keeps = bool(done)
    return _keeps


@contextmanager
def returning_memory() -> Iterator[None]:
    """Work in which freed blocks of 1 MiB and more do return, whatever `keep_freed_memory` said.

    Where large blocks and very many small ones take turns, as while a network is traced, what is
    kept is in pieces, and a network of 130 million parameters needs 18 GB instead of 4.
    """
    if not _keeps:
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, 2**20)
    libc.mallopt(_M_MMAP_MAX, _MANY)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_MAX, 0)


def return_freed_memory() -> bool:
    """Return free memory to the system: once, after work that needed far more than the rest.

    Returns:
        Whether anything was returned; False with another C library.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    return hasattr(libc, "malloc_trim") and bool(libc.malloc_trim(0))
