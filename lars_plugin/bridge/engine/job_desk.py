# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that are running: one for each connection, and so many in all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from lars_plugin.bridge.engine.background import BackgroundJob
from lars_plugin.bridge.engine.connection import Connection
from lars_plugin.bridge.engine.errands import FetchWeights, background_job
from lars_plugin.bridge.engine.model_pool import ModelPool
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.errors import LimitError

__all__ = ["JobDesk"]

log = logging.getLogger(__name__)


class JobDesk:
    """Begins jobs, and ends them.

    Args:
        pool: of the models.
        fetch: downloads weights.
    """

    def __init__(self, pool: ModelPool, fetch: FetchWeights) -> None:
        self._pool = pool
        self._fetch = fetch
        self._jobs: dict[int, BackgroundJob] = {}  # by the connection's number
        self._lock = threading.Lock()

    def start(
        self,
        connection: Connection,
        message: messages.Job | messages.Fetch | messages.Convert | messages.Transcribe,
        roots: Sequence[Path] | None,
    ) -> None:
        """Begin a job; its thread sends the answer.

        Args:
            connection: of the client.
            message: what it asks for.
            roots: folders that paths must lie in; None for anywhere.

        Raises:
            LimitError: a job is running on this connection, or too many in all.
            ModelNotFoundError: there is no such model.
        """
        with self._lock:
            if connection.number in self._jobs:
                raise LimitError("a job is running on this connection; wait for it or cancel it")
            if len(self._jobs) >= limits.MAX_JOBS:
                raise LimitError(f"{limits.MAX_JOBS} jobs are running; try again when one is done")
            model_thread = None
            if isinstance(message, messages.Job):
                model_thread = self._pool.lease(message.model)
            elif isinstance(message, messages.Fetch):
                self._pool.check(message.model)

            def finished(_: BackgroundJob) -> None:
                with self._lock:
                    self._jobs.pop(connection.number, None)
                if model_thread is not None:
                    self._pool.release(model_thread)

            # The thread cannot finish before it is listed: finishing takes the lock.
            self._jobs[connection.number] = job = background_job(
                message,
                model_thread,
                self._fetch,
                send=connection.send,
                finished=finished,
                roots=roots,
            )
        log.info(
            "job started",
            extra={
                "client": connection.client,
                "request": type(message).__name__,
                "model": job.model,
            },
        )

    def cancel(self, connection: Connection, request: int) -> None:
        """End the connection's job, if it has this number."""
        with self._lock:
            job = self._jobs.get(connection.number)
        if job is not None and job.requested.request == request:
            job.cancel()

    def forget(self, connection: Connection) -> None:
        """The connection ends, and so does its job."""
        with self._lock:
            job = self._jobs.get(connection.number)
        if job is not None:
            job.cancel()

    def running(self) -> list[BackgroundJob]:
        """Those there are now."""
        with self._lock:
            return list(self._jobs.values())

    def stop(self, seconds: float) -> None:
        """Cancel all, and wait for their end, at most so long."""
        jobs = self.running()
        for job in jobs:
            job.cancel()
        until = time.monotonic() + seconds
        for job in jobs:
            job.join(max(0.0, until - time.monotonic()))
