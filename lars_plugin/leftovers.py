# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary files, and telling those of living processes from what a dead one has left.

Whoever writes a temporary file holds a lock on it (``flock``), which the system takes away when
the process ends, however it ends. Unlike a process number this holds across containers that
share a folder, and is never given to somebody else. Windows has no such lock, but does not let
anyone remove an open file either.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

__all__ = ["hold", "new_part", "part_name", "remove_leftovers"]

log = logging.getLogger(__name__)

_NAME = re.compile(r"\.lars-[0-9a-f]{16}\.part")


def _load_locks() -> ModuleType | None:
    if sys.platform == "win32":
        return None
    import fcntl

    return fcntl


_locks = _load_locks()


def part_name(folder: Path) -> Path:
    """A name in a folder that nothing has yet, for what will be renamed when it is complete."""
    return folder / f".lars-{secrets.token_hex(8)}.part"


def new_part(folder: Path, mode: int = 0o666) -> tuple[Path, int]:
    """A new temporary file in a folder: its path, and its descriptor, for reading and writing.

    Args:
        folder: that is there.
        mode: of the file, from its first moment on; the umask takes its part.

    Raises:
        OSError: it cannot be made.
    """
    # Not tempfile: its files can be read by their owner only, and keep that mode.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = part_name(folder)
        descriptor = os.open(path, flags, mode)
        if _lock(descriptor) and (_locks is None or os.fstat(descriptor).st_nlink):
            return path, descriptor
        os.close(descriptor)  # removed, between making and locking, by one who looked for leftovers


def hold(descriptor: int) -> int | None:
    """A second descriptor that keeps a temporary file locked when the first is closed.

    It is for the time until the file has its final name. None where the system has no locks: there
    the file has to be closed before it is renamed.
    """
    return None if _locks is None else os.dup(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files in a folder that no process is writing. Never raises."""
    if _locks is None:
        for path in _parts(folder):
            with contextlib.suppress(OSError):  # open in a process
                path.unlink()
        return
    for path in _parts(folder):
        with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode) and _lock(descriptor, sure=True):
                    path.unlink()
                    log.info("removed %s, which an earlier run has left", path.name)
            finally:
                os.close(descriptor)


def _parts(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                yield folder / entry.name


def _lock(descriptor: int, *, sure: bool = False) -> bool:
    """Whether the file is ours now.

    Args:
        descriptor: of the file.
        sure: count a file system without locks as a no; else as a yes.
    """
    if _locks is None:
        return not sure
    try:
        _locks.flock(descriptor, _locks.LOCK_EX | _locks.LOCK_NB)
    except OSError as error:
        return not sure and error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True
