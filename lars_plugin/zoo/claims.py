# SPDX-License-Identifier: GPL-3.0-or-later
"""Deciding which of several downloads of a file may continue an earlier one."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lars_plugin.leftovers import new_part, remove_leftovers

__all__ = ["part_of"]


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """The file to download into: ``target`` with ``.part``, which is kept if the block fails. While
    another download uses that one, it is a temporary file, which is removed. Those of downloads
    that were killed are removed too.

    The block may write, truncate or rename the file, but not remove it: another one of that name
    would not be held by this process.

    Args:
        target: in an existing folder.
    """
    remove_leftovers(target.parent)
    shared = target.with_name(target.name + ".part")
    # The folder itself is locked: no lock file remains, and the system unlocks it if we die.
    folder = _opened(target.parent)
    try:
        if folder is None or _locked(folder):
            try:
                yield shared
            finally:
                with suppress(OSError):
                    if not shared.stat().st_size:
                        shared.unlink()
            return
        own, descriptor = new_part(target.parent)
        try:
            yield own
        finally:
            with suppress(OSError):
                own.unlink()
            os.close(descriptor)
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
