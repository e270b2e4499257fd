# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver needs of an engine, and the engine of this machine: a process for each worker."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from lars_plugin.batch.jobs import Job, Result, kind_of, one_line
from lars_plugin.errors import LarsError

__all__ = ["Broken", "Engine", "Event", "Finished", "LocalEngine", "Lost", "Ready", "default_jobs"]

# Seconds that workers have to notice that they must stop.
_GRACE = 10.0
# What a loaded model takes, roughly; so many workers fit into half of the memory.
_BYTES_PER_WORKER = 2 << 30


@dataclass(frozen=True)
class Ready:
    """A worker has loaded the model; ``runs_on`` says on what it runs."""

    worker: str
    runs_on: str


@dataclass(frozen=True)
class Finished:
    """A job came to an end."""

    job: Job
    result: Result


@dataclass(frozen=True)
class Lost:
    """A job's worker is gone; ``guilty``: perhaps because of the job."""

    job: Job
    worker: str
    reason: str
    guilty: bool = True


@dataclass(frozen=True)
class Broken:
    """Workers cannot be started: the run cannot go on."""

    kind: str
    reason: str


Event = Ready | Finished | Lost | Broken


class Engine(ABC):
    """Workers, each with one job at a time: so memory is bounded, and when one dies it is known
    over which file."""

    @abstractmethod
    def free(self) -> int:
        """How many jobs it can take now."""

    @abstractmethod
    def submit(self, job: Job) -> str:
        """Give a job to a free worker; its name."""

    @abstractmethod
    def events(self, timeout: float) -> Sequence[Event]:
        """What happened; waits up to so many seconds for something."""

    @abstractmethod
    def workers(self) -> int:
        """How many are ready."""

    @abstractmethod
    def close(self, *, stop: bool) -> Sequence[Event]:
        """End all workers.

        Args:
            stop: cancel what they do.

        Returns:
            Jobs that came to an end meanwhile.
        """


def default_jobs() -> int:
    """A worker for each core, as far as half of the memory goes."""
    cores = _cores()
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return cores
    return max(1, min(cores, memory // 2 // _BYTES_PER_WORKER))


class _Worker:
    """A process, and the job that it has."""

    def __init__(self, process: Any, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.job: Job | None = None
        self.ready = False

    @property
    def name(self) -> str:
        return f"process {self.process.pid}"


class LocalEngine(Engine):
    """Processes of this machine that share its cores.

    Args:
        args: of the command line.
        jobs: how many.
    """

    def __init__(self, args: argparse.Namespace, jobs: int) -> None:
        self._args, self._jobs = args, jobs
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._deaths_at_start = 0
        for _ in range(jobs):
            self._start()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_main, args=(self._args, self._jobs, theirs), daemon=True
        )
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def free(self) -> int:
        return sum(worker.ready and worker.job is None for worker in self._workers)

    def workers(self) -> int:
        return sum(worker.ready for worker in self._workers)

    def submit(self, job: Job) -> str:
        worker = next(worker for worker in self._workers if worker.ready and worker.job is None)
        worker.job = job
        with contextlib.suppress(OSError):  # it is dead: the next look at it says so
            worker.pipe.send(job)
        return worker.name

    def events(self, timeout: float) -> Sequence[Event]:
        found: list[Event | None] = []
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(pipes), timeout):
            worker = pipes[pipe]  # type: ignore[index]
            try:
                event = worker.pipe.recv()
            except (EOFError, OSError):
                found.append(self._died(worker))
                continue
            if isinstance(event, Ready):
                worker.ready = True
                self._deaths_at_start = 0
            elif isinstance(event, Result):
                assert worker.job is not None
                event, worker.job = Finished(worker.job, event), None
            found.append(event)
        return [event for event in found if event is not None]

    def _died(self, worker: _Worker) -> Event | None:
        worker.process.join(_GRACE)
        worker.pipe.close()
        self._workers.remove(worker)
        code = worker.process.exitcode
        reason = f"its worker ended with exit code {code}"
        if code is not None and code < 0:
            reason = f"its worker was killed by {signal.Signals(-code).name}"
        if worker.job is None:
            self._deaths_at_start += not worker.ready
            if self._deaths_at_start > 2:
                return Broken("killed", f"workers end before they are ready: {reason}")
            self._start()
            return None
        self._start()
        return Lost(worker.job, worker.name, reason)

    def close(self, *, stop: bool) -> Sequence[Event]:
        found: list[Event] = []
        for worker in self._workers:
            if stop and worker.process.pid is not None:
                with contextlib.suppress(OSError):
                    os.kill(worker.process.pid, signal.SIGTERM)
            with contextlib.suppress(OSError):
                worker.pipe.send(None)
        end = time.monotonic() + _GRACE
        while self._workers and time.monotonic() < end:
            pipes = {worker.pipe: worker for worker in self._workers}
            for pipe in wait(list(pipes), max(0.0, end - time.monotonic())):
                worker = pipes[pipe]  # type: ignore[index]
                try:
                    event = worker.pipe.recv()
                    if isinstance(event, Result) and worker.job is not None:
                        found.append(Finished(worker.job, event))
                        worker.job = None
                except (EOFError, OSError):
                    worker.process.join(1.0)
                    self._workers.remove(worker)
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
        self._workers.clear()
        return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _main(args: argparse.Namespace, shares: int, pipe: Connection) -> None:
    """Body of a worker's process."""
    from lars_plugin.batch.worker import Worker

    worker = Worker(args, shares=shares)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, who tells us

    def stop(_number: int, _frame: object) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_follow_parent, args=(worker.stop,), daemon=True).start()
    try:
        pipe.send(Ready(worker.name, worker.warm()))
    except Exception as error:  # the driver ends the run with it
        text = str(error) if isinstance(error, LarsError) else repr(error)
        pipe.send(Broken(kind_of(error), one_line(text)))
        return
    while True:
        try:
            job = pipe.recv()
            if job is None:
                return
            pipe.send(worker.do(job))
        except (EOFError, OSError):
            return  # the driver is gone


def _follow_parent(stop: Any) -> None:
    """An orphan ends: nobody would note what it does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stop()
