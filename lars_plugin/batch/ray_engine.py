# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine of a Ray cluster: an actor for each worker, on whichever nodes have room.

Actors are started anew when they die, on another node if theirs is gone, and more of them when the
cluster grows. What a Ray process dies of is found out here, not by Ray's own retries: so an attempt
counts for the file over which it happened, and for no other.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any

from lars_plugin.batch.engine import Broken, Engine, Event, Finished, Lost, Ready
from lars_plugin.batch.jobs import Job, Result, kind_of, one_line
from lars_plugin.cluster import connect, import_ray, reason_of, room_for
from lars_plugin.errors import LarsError

__all__ = ["RayEngine"]

log = logging.getLogger(__name__)

# Seconds between looks at the size of the cluster, and until a lack of room is told.
_LOOK, _PATIENCE = 5.0, 20.0
# Seconds that workers have to notice that they must stop.
_GRACE = 10.0
# Actors in a row that die before they are ready: something is wrong with all of them.
_DEATHS = 5


class _Actor:
    """What runs on a node; wrapped into a Ray actor when there is a cluster."""

    def __init__(self, args: argparse.Namespace, threads: int) -> None:
        from lars_plugin.batch.worker import Worker

        self._worker = Worker(args, threads=threads)

    def warm(self) -> Ready | Broken:
        try:
            return Ready(self._worker.name, self._worker.warm())
        except Exception as error:  # the driver ends the run with it
            text = str(error) if isinstance(error, LarsError) else repr(error)
            return Broken(kind_of(error), one_line(text))

    def do(self, job: Job) -> Result:
        return self._worker.do(job)

    def stop(self) -> None:
        self._worker.stop()


class _Worker:
    """An actor, and the call that it is at."""

    def __init__(self, actor: Any, call: Any) -> None:
        self.actor, self.call = actor, call
        self.job: Job | None = None
        self.ready = False
        self.name = "worker"


class RayEngine(Engine):
    """Workers of a Ray cluster.

    Args:
        args: of the command line: address, CPUs, GPUs and memory per worker, jobs.

    Raises:
        InputError: Ray is not installed.
        BridgeError: there is no cluster.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._ours = not import_ray().is_initialized()
        self._ray = connect(args.address)
        options: dict[str, Any] = {
            "num_cpus": args.cpus_per_worker,
            "num_gpus": args.gpus_per_worker,
            "max_restarts": 0,
            # `stop` comes while `do` is at work.
            "max_concurrency": 2,
        }
        if args.memory_per_worker:
            options["memory"] = int(args.memory_per_worker * (1 << 30))
        self._make = self._ray.remote(_Actor).options(**options)
        self._workers: list[_Worker] = []
        self._looked = float("-inf")
        self._began = time.monotonic()
        self._told = False
        self._deaths = 0
        self._grow()

    def _room(self) -> int:
        args = self._args
        memory = (args.memory_per_worker or 0) * (1 << 30)
        wanted = {"CPU": args.cpus_per_worker, "GPU": args.gpus_per_worker, "memory": memory}
        room = room_for(self._ray, wanted)
        if room and not any(wanted.values()):
            # Workers that take nothing of a node are as many as were requested.
            return max(room, args.jobs or 0)
        return room

    def _grow(self) -> None:
        """As many workers as there is room for, or as were requested."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        room = self._room()
        wanted = min(room, self._args.jobs) if self._args.jobs else room
        for _ in range(wanted - len(self._workers)):
            self._start()
        if not self.workers() and now - self._began > _PATIENCE and not self._told:
            self._told = True
            log.warning(
                "no worker is ready yet: each needs %g CPUs and %g GPUs of one node, and the"
                " cluster has room for %d; see `ray status`",
                self._args.cpus_per_worker, self._args.gpus_per_worker, room,
            )  # fmt: skip

    def _start(self) -> None:
        threads = max(1, int(self._args.cpus_per_worker))
        actor = self._make.remote(self._args, threads)
        self._workers.append(_Worker(actor, actor.warm.remote()))

    def free(self) -> int:
        return sum(worker.ready and worker.job is None for worker in self._workers)

    def workers(self) -> int:
        return sum(worker.ready for worker in self._workers)

    def submit(self, job: Job) -> str:
        worker = next(worker for worker in self._workers if worker.ready and worker.job is None)
        worker.job, worker.call = job, worker.actor.do.remote(job)
        return worker.name

    def events(self, timeout: float) -> Sequence[Event]:
        self._grow()
        calls = {worker.call: worker for worker in self._workers if worker.call is not None}
        if not calls:
            time.sleep(timeout)
            return []
        done, _ = self._ray.wait(list(calls), num_returns=1, timeout=timeout)
        if done:  # and whatever else is there already
            done, _ = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return [event for call in done if (event := self._take(calls[call])) is not None]

    def _take(self, worker: _Worker) -> Event | None:
        job, worker.job = worker.job, None
        call, worker.call = worker.call, None
        try:
            value = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            return self._lost(worker, job, error)
        if isinstance(value, Broken):
            return value
        if isinstance(value, Ready):
            worker.ready, worker.name = True, value.worker
            self._deaths = 0
            return value
        assert job is not None
        return Finished(job, value)

    def _lost(self, worker: _Worker, job: Job | None, error: Exception) -> Event | None:
        self._workers.remove(worker)
        # It may only be out of reach: what it did not report does not count.
        with contextlib.suppress(Exception):
            self._ray.kill(worker.actor, no_restart=True)
        reason, guilty = _reason(self._ray, error)
        self._looked = float("-inf")  # another takes its place at the next look
        if job is not None:
            return Lost(job, worker.name, reason, guilty)
        self._deaths += 1
        if self._deaths >= _DEATHS:
            return Broken("killed", f"workers end before they are ready: {reason}")
        return None

    def close(self, *, stop: bool) -> Sequence[Event]:
        found: list[Event] = []
        busy = {worker.call: worker for worker in self._workers if worker.job is not None}
        try:
            if stop:
                for worker in busy.values():
                    worker.actor.stop.remote()
            if busy:
                done, _ = self._ray.wait(list(busy), num_returns=len(busy), timeout=_GRACE)
                found = [event for call in done if (event := self._take(busy[call])) is not None]
        finally:
            for worker in self._workers:
                with contextlib.suppress(Exception):
                    self._ray.kill(worker.actor, no_restart=True)
            self._workers.clear()
            if self._ours:
                self._ray.shutdown()
        return found


def _reason(ray: Any, error: Exception) -> tuple[str, bool]:
    """Why a worker is gone, in one line, and whether its file may be the reason."""
    text = " ".join(str(error).split())
    kinds = ray.exceptions
    if isinstance(error, kinds.OutOfMemoryError) or "memory pressure" in text:
        return "its worker was killed, because its node ran out of memory", True
    # Ray's words for a node that was removed, or that nobody hears of any more.
    if "node died" in text.lower() or "node was terminated" in text.lower() or isinstance(
        error, kinds.NodeDiedError
    ):  # fmt: skip
        return "its node is gone", False
    if isinstance(error, kinds.ActorUnavailableError):
        return "its worker is out of reach", False
    if isinstance(error, kinds.ActorDiedError) and "creation task" not in text:
        # Ray cannot tell who killed it: it names the system, short of memory, among others.
        return "its worker was killed, perhaps because its node ran out of memory", True
    return f"its worker failed: {reason_of(error)}", True
