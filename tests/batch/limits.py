# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk with little room, and processes with little memory: the system's own limits, which only
root may set."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEMORY = Path("/sys/fs/cgroup/memory")  # cgroups of version 1; one of version 2 is above


@contextmanager
def small_disk(place: Path, megabytes: float) -> Iterator[None]:
    """A disk of its own at an empty folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    place.mkdir(exist_ok=True)
    size = f"size={round(megabytes * (1 << 20))}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "none", place],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no mounts here: {mounted.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


class Group:
    """Processes that have so much memory together. Those that a member starts are members, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be a member meanwhile."""
        before = _own_group()
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            (before / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self) -> int:
        """How many members the system has killed for memory."""
        for name in ("memory.events", "memory.oom_control"):
            path = self._folder / name
            if path.exists():
                lines = dict(line.split() for line in path.read_text().splitlines())
                return int(lines.get("oom_kill", 0))
        return 0


def _own_group() -> Path:
    """Where this process's memory is counted."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kinds, name = line.split(":", 2)
        if MEMORY.is_dir() and "memory" in kinds.split(","):
            return MEMORY / name.strip("/")
        if not MEMORY.is_dir() and not kinds:
            return MEMORY.parent / name.strip("/")
    pytest.skip("no cgroup counts memory here")


@contextmanager
def little_memory(megabytes: int) -> Iterator[Group]:
    """A group of processes that the system keeps below a limit: it kills one where that fails."""
    first = MEMORY.is_dir()
    folder = (MEMORY if first else MEMORY.parent) / f"lars-tests-{os.getpid()}"
    limit = "memory.limit_in_bytes" if first else "memory.max"
    _own_group()
    try:
        folder.mkdir()
        (folder / limit).write_text(str(megabytes << 20))
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        pytest.skip(f"no limits of memory can be set here: {error}")
    try:
        yield Group(folder)
    finally:
        for number in (folder / "cgroup.procs").read_text().split():
            # Who is still there ends by itself, elsewhere.
            try:
                (_own_group() / "cgroup.procs").write_text(number)
            except OSError:
                pass
        folder.rmdir()
