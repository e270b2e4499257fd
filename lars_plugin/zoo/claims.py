# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several downloads of one file goes on with what an earlier one left."""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["part_of"]


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """The file to download into: ``target`` with ``.part``, which stays when the block fails; or,
    while another download has that one, a file of our own, which does not.

    Args:
        target: in a folder that is there.
    """
    shared = target.with_name(target.name + ".part")
    # The folder itself is locked: no file is left over, and the system lets go when we die.
    folder = _opened(target.parent)
    try:
        if folder is None or _locked(folder):
            yield shared
            return
        own = target.with_name(f".{target.name}-{secrets.token_hex(4)}.part")
        try:
            yield own
        finally:
            with suppress(OSError):
                own.unlink()
    finally:
        if folder is not None:
            os.close(folder)


def _opened(folder: Path) -> int | None:
    # Windows can lock no folders: two downloads at once disturb each other there.
    return None if os.name == "nt" else os.open(folder, os.O_RDONLY)


def _locked(folder: int) -> bool:
    fcntl = importlib.import_module("fcntl")
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
