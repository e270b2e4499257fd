# SPDX-License-Identifier: GPL-3.0-or-later
"""The allocator setting is a program's choice, and says whether it was made."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="another C library does as it likes"
)


def test_the_setting_tells_whether_the_c_library_took_it() -> None:
    # In a process of its own: it cannot be undone.
    code = "from lars_plugin.allocator import keep_freed_memory; print(keep_freed_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
    assert done.stdout.strip() == str(expected)


FREE = """
from pathlib import Path
import ctypes
from lars_plugin.allocator import keep_freed_memory, return_freed_memory, returning_memory

SIZE = 200 << 20
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])

def kept():
    before = resident()
    block = libc.malloc(ctypes.c_size_t(SIZE))
    ctypes.memset(ctypes.c_void_p(block), 1, SIZE)
    libc.free(ctypes.c_void_p(block))
    return resident() - before > SIZE // 2048

keep_freed_memory()
"""


def _said(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", FREE + code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@glibc
def test_freed_memory_that_was_kept_can_be_returned() -> None:
    returned = "before = resident(); return_freed_memory()\n"
    said = _said(f"print(kept())\n{returned}print(before - resident() > SIZE // 2048)")
    assert said == ["True", "True"]


@glibc
def test_large_blocks_return_while_they_are_meant_to() -> None:
    said = _said("with returning_memory(): print(kept(), kept())\nprint(kept())")
    assert said == ["False", "False", "True"]
