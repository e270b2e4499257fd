# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of engines of one's own, and what killed processes have left of theirs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

__all__ = ["scratch_folder"]

_NAME = re.compile(r"lars-engine-(\d+)-\w+")


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A new temporary folder that says whose it is. Those of processes that were killed before
    they could remove theirs are removed, unless an engine still runs in one."""
    if os.name == "posix":
        _sweep(Path(tempfile.gettempdir()))
    return tempfile.TemporaryDirectory(prefix=f"lars-engine-{os.getpid()}-")


def _sweep(where: Path) -> None:
    with contextlib.suppress(OSError):
        for folder in where.iterdir():
            named = _NAME.fullmatch(folder.name)
            with contextlib.suppress(OSError):
                if named and _is_ours(folder) and not _in_use(folder, int(named[1])):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return not folder.is_symlink() and folder.is_dir() and folder.stat().st_uid == os.geteuid()


def _in_use(folder: Path, owner: int) -> bool:
    if _runs(owner):
        return True
    try:
        return _runs(int(json.loads((folder / "run" / "engine.json").read_bytes())["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # another user's now, or no number of a process at all: leave it alone
    return True
