# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that a run of the tests has left behind: found by a mark in their environment, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

__all__ = ["MARK", "end", "left_behind"]

MARK = "LARS_TEST_RUN"  # tests/conftest.py sets it; who starts a program without it passes it on


def left_behind(seconds: float = 0.0) -> dict[int, str]:
    """The ``lars serve`` of this run that go on running: process numbers to command lines.

    The plugin starts engines in a session of their own, so they are nobody's children: the mark is
    what tells whose they are. Where there is no ``/proc``, none is found.

    Args:
        seconds: to wait for the end of those that are ending.
    """
    until = time.monotonic() + seconds
    while (found := _marked()) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def end(engines: dict[int, str]) -> None:
    """End them by force."""
    for pid in engines:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(pid, signal.SIGKILL)


def _marked() -> dict[int, str]:
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # Processes end while we look, and other users' are not shown to us.
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"serve" in words and mark in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = b" ".join(words).decode(errors="replace").strip()
    return found
