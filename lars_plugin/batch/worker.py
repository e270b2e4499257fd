# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker: models that stay loaded, and one job after the other."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import socket
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.audio import AudioReader
from lars_plugin.batch import pieces
from lars_plugin.batch.jobs import Job, Output, Result, kind_of, one_line
from lars_plugin.batch.locations import (
    exists,
    fetch,
    is_remote,
    pure_path,
    put,
)
from lars_plugin.batch.settings import Settings
from lars_plugin.cli.inputs import Found
from lars_plugin.cli.makings import MIDI, makings
from lars_plugin.cli.naming import OutputNames
from lars_plugin.cli.plan import Task, fate_of, make_task
from lars_plugin.cli.records import Making, Record
from lars_plugin.cli.report import Outcome
from lars_plugin.errors import AudioFileError, CancelledError, LarsError
from lars_plugin.files import sha256_of
from lars_plugin.separation.files import RESIDUAL

if TYPE_CHECKING:
    from lars_plugin.separation.separator import Separator

log = logging.getLogger(__name__)

__all__ = ["Worker"]

# Models that stay loaded, for manifests with several.
_MODELS = 2
# Options that make another separator.
_OF_SEPARATOR = (
    "model", "preset", "overlap", "shifts", "batch_size", "device", "precision", "backend",
    "wiener", "gate", "redistribute", "stems",
)  # fmt: skip


class Worker:
    """Does jobs. One at a time; :meth:`stop` may be called from another thread.

    Args:
        args: of the command line.
        shares: how many workers share this machine's cores; 1: it has them alone.
        threads: of PyTorch, instead of such a share.
    """

    def __init__(
        self, args: argparse.Namespace, *, shares: int = 1, threads: int | None = None
    ) -> None:
        self._settings = Settings(args)
        self._out, self._shares, self._threads = str(args.out), shares, threads
        self._separators: OrderedDict[tuple[Any, ...], Separator] = OrderedDict()
        self._making: dict[str, Mapping[str, Making]] = {}
        self._stop = threading.Event()
        self.name = f"{socket.gethostname()}:{os.getpid()}"

    def warm(self) -> str:
        """Load the run's model, and say on what it runs.

        Raises:
            LarsError: it cannot be loaded, or settings do not fit it.
        """
        args = self._settings.of({})
        return self._separator(args).model.backend_name

    def stop(self) -> None:
        """End the job at its next block, and do no other."""
        self._stop.set()

    def do(self, job: Job) -> Result:
        """Do a job. Raises nothing: what goes wrong is in the result."""
        start = time.perf_counter()
        result = Result(job.key, "failed", job.piece, worker=self.name)
        try:
            with tempfile.TemporaryDirectory(
                prefix="lars-batch-", ignore_cleanup_errors=True
            ) as scratch:
                result = self._do(job, result, Path(scratch))
        except CancelledError:
            result = dataclasses.replace(result, status="cancelled")
        except Exception as error:
            # A bug, too: the ledger has it with its file, and the other files need not suffer.
            log.debug("while working on %s", job.location, exc_info=True)
            text = (
                str(error) if isinstance(error, LarsError) else f"{type(error).__name__}: {error}"
            )
            result = dataclasses.replace(result, kind=kind_of(error), error=one_line(text))
        return dataclasses.replace(result, elapsed=time.perf_counter() - start)

    def _do(self, job: Job, result: Result, scratch: Path) -> Result:
        args = self._settings.of(job.overrides)
        separator = self._separator(args)
        remote = is_remote(job.location)
        path = fetch(job.location, scratch) if remote else Path(job.location)

        def progress(_done: int, _total: int) -> bool:
            return not self._stop.is_set()

        if job.piece is not None:
            pieces.make(job, args, separator, path, self._out, scratch, progress)
            return dataclasses.replace(result, status="done")
        if not job.pieces and args.piece_seconds:
            plan = pieces.plan(separator, path, args)
            if plan:
                return dataclasses.replace(result, status="split", pieces=plan)
        task = self._task(args, separator, job, path, scratch)
        if job.pieces:
            joined = pieces.Joined(job, separator, self._out, scratch)
            outcome, skipped = self._make(args, joined, job, task, progress)
        else:
            outcome, skipped = self._make(args, separator, job, task, progress)
        if job.pieces and outcome.status != "cancelled":
            pieces.clear(self._out, job.key)
        if outcome.status == "cancelled":
            return dataclasses.replace(result, status="cancelled")
        if outcome.status == "failed":
            kind = "refused" if outcome.cause is None else kind_of(outcome.cause)
            return dataclasses.replace(result, kind=kind, error=one_line(outcome.error))
        return self._done(args, job, task, outcome, result, skipped=skipped)

    def _make(
        self,
        args: argparse.Namespace,
        separator: Any,
        job: Job,
        task: Task,
        progress: Callable[[int, int], bool],
    ) -> tuple[Outcome, bool]:
        """Do what is to be done, and whether that was nothing."""
        from lars_plugin.cli.work import separate_one, with_midi

        fate = fate_of(task, overwrite=args.overwrite)
        if isinstance(fate, Outcome) and fate.status == "failed" and self._ours(job, task):
            fate = "do"
        if isinstance(fate, Outcome):
            return fate, True
        if fate == "midi":
            return with_midi(args, task, Outcome(task.path, "skipped", outputs=task.outputs)), False
        return separate_one(args, separator, task, progress), False

    def _ours(self, job: Job, task: Task) -> bool:
        """Whether all that is in the way of a file was written for it by this batch."""
        for path in (*task.outputs.values(), *([task.midi] if task.midi else [])):
            if not os.path.lexists(path):
                continue
            name, info = self._below(path), path.lstat()
            if job.known.get(name) != (info.st_size, info.st_mtime_ns):
                return False
        return bool(job.known)

    def _task(
        self,
        args: argparse.Namespace,
        separator: Separator,
        job: Job,
        path: Path,
        scratch: Path,
    ) -> Task:
        """What is to be made of the input, and where.

        Raises:
            InputError: its name cannot be used in names of outputs.
            AudioFileError: in the remote output folder somebody else's files are in the way.
        """
        stems = (*separator.stems, *([RESIDUAL] if args.residual else []))
        making = self._makings(args, separator, job, stems)
        self._base = scratch / "out" if is_remote(self._out) else Path(self._out)
        names = OutputNames(self._base, args.filename, args.format, separator.model.config.name)
        remote = is_remote(job.location)
        named, root = (
            (Path(pure_path(job.location)), Path(pure_path(job.root)))
            if remote
            else (path, Path(job.root))
        )
        task = make_task(names, Found(named, False, root=root), stems, making)
        task = dataclasses.replace(task, path=path, named=job.location if remote else "")
        if is_remote(self._out) and not (job.ours or job.known or args.overwrite):
            for output in task.outputs.values():
                if exists(self._url(output)):
                    raise AudioFileError(
                        f"{self._url(output)} is there already, and not from this batch; use"
                        " --overwrite, or another -o or --filename"
                    )
        return task

    def _makings(
        self, args: argparse.Namespace, separator: Separator, job: Job, stems: tuple[str, ...]
    ) -> Mapping[str, Making]:
        key = repr(sorted(job.overrides.items()))
        if key not in self._making:
            wanted = [*stems, *([MIDI] if args.midi else [])]
            self._making[key] = makings(args, separator, wanted)
        return self._making[key]

    def _below(self, path: Path) -> str:
        return os.path.relpath(path, self._base).replace(os.sep, "/")

    def _url(self, path: Path) -> str:
        return f"{self._out.rstrip('/')}/{self._below(path)}"

    def _done(
        self,
        args: argparse.Namespace,
        job: Job,
        task: Task,
        outcome: Outcome,
        result: Result,
        *,
        skipped: bool,
    ) -> Result:
        found = dict(task.outputs) | ({MIDI: task.midi} if task.midi else {})
        outputs = {}
        for stem, path in found.items():
            info = path.stat()
            outputs[stem] = Output(
                self._below(path), info.st_size, info.st_mtime_ns, sha256_of(path)
            )
        if is_remote(self._out):
            # The record first, as on a disk: no stem without one.
            for path in (task.record, *found.values()):
                put(path, self._url(path))
        source = next((run.source for run in Record(task.record).runs[::-1]), None)
        whole = outcome.result
        scores: tuple[Mapping[str, Any], ...] = ()
        if args.evaluate:
            from lars_plugin.batch.scores import score_outputs

            scores = score_outputs(job, task, self._separator(args), whole)
        return dataclasses.replace(
            result,
            status="done",
            seconds=whole.seconds if whole is not None else _seconds(task.path),
            sha256=source.sha256 if source is not None else "",
            outputs=outputs,
            warnings=whole.warnings if whole is not None else (),
            skipped=skipped,
            scores=scores,
        )

    def _separator(self, args: argparse.Namespace) -> Separator:
        from lars_plugin.cli.separate import make_separator
        from lars_plugin.cli.work import share_cores

        key = tuple(getattr(args, name) for name in _OF_SEPARATOR)
        if key in self._separators:
            self._separators.move_to_end(key)
            return self._separators[key]
        while len(self._separators) >= _MODELS:
            self._separators.popitem(last=False)
        first = not self._separators
        separator = make_separator(args, args.stems)
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)
        elif first:
            share_cores(separator.model, self._shares)
        self._separators[key] = separator
        return separator


def _seconds(path: Path) -> float:
    """Length of a recording, by its header."""
    try:
        with AudioReader(path) as reader:
            return reader.frames / reader.rate
    except LarsError:
        return 0.0
