# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time on one ledger."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from lars_plugin.errors import InputError
from lars_plugin.files import printable, write_failure

__all__ = ["only_run", "try_lock"]


@contextlib.contextmanager
def only_run(ledger: Path) -> Iterator[None]:
    """Hold the ledger's lock. The system takes it away when the process ends, however it ends.

    Args:
        ledger: the file; the lock is a file beside it, with ``.lock`` at its end.

    Raises:
        InputError: another run has it, or its file system has no locks.
        AudioFileError: the lock file cannot be written.
    """
    path = ledger.with_name(ledger.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise write_failure(path, error) from error
    try:
        try:
            free = try_lock(descriptor)
        except OSError as error:
            raise InputError(
                f"cannot lock {printable(path)}: {error.strerror}; give a --ledger on a file system"
                " with locks"
            ) from error
        if not free:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip()
            raise InputError(
                f"another run is at work on {printable(ledger)}"
                f" ({printable(holder) or 'unknown process'}); wait for it, or stop it first"
            )
        os.ftruncate(descriptor, 0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(
            descriptor, f"process {os.getpid()} on {socket.gethostname()} since {started}".encode()
        )
        yield
    finally:
        os.close(descriptor)  # and with it the lock; the file stays, or two could hold two files


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False: another has the lock.

    Raises:
        OSError: its file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            # A byte far behind the text, which others may read.
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
