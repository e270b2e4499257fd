# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine whose one worker is this process: what is tested of the ledger, of names and of stores
needs no other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lars_plugin.batch.engine import Broken, Engine, Event, Finished
from lars_plugin.batch.jobs import Job, kind_of
from lars_plugin.batch.worker import Worker
from lars_plugin.errors import LarsError


class InlineEngine(Engine):
    """Does a job when it is asked for events."""

    def __init__(self, args: argparse.Namespace, waiting: int) -> None:
        del waiting
        self._worker = Worker(args)
        self._job: Job | None = None
        self._broken: Broken | None = None
        try:
            self._worker.warm()
        except LarsError as error:
            self._broken = Broken(kind_of(error), str(error))

    def free(self) -> int:
        return int(self._job is None and self._broken is None)

    def submit(self, job: Job) -> str:
        self._job = job
        return self._worker.name

    def events(self, timeout: float) -> Sequence[Event]:
        if self._broken is not None:
            return [self._broken]
        if self._job is None:
            return []
        job, self._job = self._job, None
        return [Finished(job, self._worker.do(job))]

    def workers(self) -> int:
        return 1

    def close(self, *, stop: bool) -> Sequence[Event]:
        return []
