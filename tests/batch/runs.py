# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of ``lars batch`` share: recordings, and what is read of a run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lars_plugin.audio import write_audio
from lars_plugin.batch.command import LEDGER

RATE = 44100


class Run(NamedTuple):
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str


# The fixture ``batch``.
Batch = Callable[..., Run]


def noise(path: Path | str, seconds: float = 0.5, seed: int = 0, channels: int = 2) -> Path:
    """A recording of noise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).standard_normal((channels, round(seconds * RATE))) * 0.1
    write_audio(path, wave.astype(np.float32), RATE, bits="16")
    return path


def stems_in(folder: Path) -> dict[str, bytes]:
    """All audio and MIDI files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".wav", ".flac", ".mid")
    }


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """The ledger's rows by the name of the file."""
    path = out / LEDGER if out.is_dir() else out
    base = sqlite3.connect(path)
    base.row_factory = sqlite3.Row
    try:
        found = base.execute("SELECT * FROM files").fetchall()
        return {row["location"].rsplit("/", 1)[-1]: dict(row) for row in found}
    finally:
        base.close()


def noted(out: Path) -> list[dict[str, Any]]:
    """The ledger's rows, from beside a run that may not have begun."""
    if not (out / LEDGER).is_file() and not out.is_file():
        return []  # SQLite would make a file of that name
    try:
        return [*rows(out).values()]
    except sqlite3.Error:
        return []


def states(out: Path) -> dict[str, str]:
    """Of each file by its name."""
    return {name: row["state"] for name, row in rows(out).items()}


def holders(path: Path) -> list[int]:
    """Processes other than this one that have a file open."""
    found = []
    real = os.path.realpath(path)
    for number in filter(str.isdigit, os.listdir("/proc")):
        if int(number) == os.getpid():
            continue
        try:
            folder = f"/proc/{number}/fd"
            if any(os.readlink(f"{folder}/{link}") == real for link in os.listdir(folder)):
                found.append(int(number))
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


@contextmanager
def killing(path: Path, times: int | None = None) -> Iterator[list[int]]:
    """Kill whoever opens a file, so many times or always; gives the processes."""
    killed: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            for number in holders(path):
                if (times is None or len(killed) < times) and number not in killed:
                    os.kill(number, signal.SIGKILL)
                    killed.append(number)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


@contextmanager
def read_only(folder: Path, place: Path) -> Iterator[None]:
    """A folder at another place, where nothing can be written."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a folder")
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "--bind", folder, place], capture_output=True, check=False, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no mounts here: {mounted.stderr}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def times(folder: Path) -> dict[str, int]:
    """When each output below a folder was written."""
    return {
        path.as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.suffix in (".wav", ".flac", ".mid")
    }
