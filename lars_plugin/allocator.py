# SPDX-License-Identifier: GPL-3.0-or-later
"""One setting of the C library's allocator that decides the speed of large networks on a CPU."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory", "return_freed_memory"]

# <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks for reuse instead of handing them back to the system.

    A network allocates and frees large blocks at every layer. By default each one is a fresh
    mapping whose pages the kernel has to zero one by one: in training that took four times as
    long as the arithmetic. Further threads would have arenas of their own, which no setting keeps
    from being handed back, so they share the first. It is a setting of the whole process, so
    programs (the command line, training) call it; importing the library never does.

    Returns:
        Whether it was done; False where the C library is another.
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
    return bool(done)


def return_freed_memory() -> bool:
    """Hand what is free back to the system: once, after work that needed far more than the rest.

    Returns:
        Whether anything was handed back; False where the C library is another.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    return hasattr(libc, "malloc_trim") and bool(libc.malloc_trim(0))
