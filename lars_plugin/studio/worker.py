# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that does the jobs, one at a time, by the functions of ``lars separate``."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lars_plugin.audio import AudioReader, AudioWriter
from lars_plugin.audio.channels import ChannelChoice, channel_places
from lars_plugin.batch.jobs import one_line
from lars_plugin.cli.inputs import Found
from lars_plugin.cli.plan import make_plan
from lars_plugin.cli.separate import make_separator
from lars_plugin.cli.work import separate_one
from lars_plugin.errors import CancelledError, LarsError
from lars_plugin.files import AtomicFiles, printable
from lars_plugin.separation.separator import Separator
from lars_plugin.studio import levels
from lars_plugin.studio.costs import Costs
from lars_plugin.studio.folders import Folders
from lars_plugin.studio.lanes import Overview, overview, save_overview
from lars_plugin.studio.ledger import MIXTURE, Job, Ledger
from lars_plugin.studio.settings import JobSettings, separate_options

__all__ = ["Worker"]

log = logging.getLogger(__name__)

_BLOCK = 1 << 16
_TELL = 0.15  # seconds between two words about progress
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds after an error that nobody foresaw


class Worker:
    """Does waiting jobs in their order, then hears their hits, then measures what models cost.

    Args:
        ledger: of the jobs.
        folders: where files go.
        costs: learns how long the jobs take.
    """

    def __init__(self, ledger: Ledger, folders: Folders, costs: Costs) -> None:
        self._ledger, self._folders, self._costs = ledger, folders, costs
        self._wake = threading.Event()
        self._ending = False
        self._at_work: tuple[str, threading.Event] | None = None
        self._lock = threading.Lock()
        self._loaded: tuple[JobSettings, Separator] | None = None
        self._thread = threading.Thread(target=self._run, name="studio-jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def stop(self, seconds: float = 10.0) -> None:
        """Stop soon. The job at work begins again with the next server."""
        self._ending = True
        with self._lock:
            if self._at_work is not None:
                self._at_work[1].set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def cancel(self, job: Job) -> None:
        """Cancel a job, waiting or at work."""
        with self._lock:
            if self._at_work is not None and self._at_work[0] == job.id:
                self._at_work[1].set()
            elif job.status == "waiting":
                self._ledger.update(job, status="cancelled")

    def release(self, job: Job) -> bool:
        """Whether nothing is being done for a job any more; asks it to stop if it is."""
        with self._lock:
            if self._at_work is None or self._at_work[0] != job.id:
                return True
            self._at_work[1].set()
            return False

    def _run(self) -> None:
        said, pause = "", _FIRST_PAUSE
        while not self._ending:
            self._wake.clear()
            try:
                found = self._next()
            except Exception as error:  # foreseen ones end their job; the studio outlives others
                log.debug("in the studio's worker", exc_info=True)
                if repr(error) != said:  # once, however often it comes back
                    said = repr(error)
                    log.error("internal error, trying again: %s", one_line(said))
                self._wake.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            said, pause = "", _FIRST_PAUSE
            if not found:
                self._wake.wait()

    def _next(self) -> bool:
        """Do one thing; False: there is nothing to do."""
        jobs = list(self._ledger)
        tasks: list[tuple[Callable[[Job], bool], Callable[[Job, threading.Event], None]]] = [
            (lambda job: job.hits == "waiting" and job.status == "done", self._hear),
            (lambda job: job.status == "waiting", self._separate),
        ]
        for wanted, do in tasks:
            for job in jobs:
                with self._lock:
                    if self._ending:
                        return False
                    if not wanted(job) or job not in self._ledger:
                        continue
                    stop = threading.Event()
                    self._at_work = job.id, stop
                try:
                    do(job, stop)
                finally:
                    with self._lock:
                        self._at_work = None
                return True
        return self._costs.measure_next(lambda: self._ending or self._busy())

    def _busy(self) -> bool:
        return any(job.status == "waiting" or job.hits == "waiting" for job in self._ledger)

    def _separate(self, job: Job, stop: threading.Event) -> None:
        update = self._ledger.update
        update(job, status="running", stage="reading", progress=0.0, left=None, error="", stems=[])
        try:
            self._read(job, stop)
            update(job, stage="loading", progress=0.0)
            separator = self.separator(job.settings)
            update(job, stage="separating", progress=0.0)
            elapsed = self._run_separation(job, separator, stop)
        except CancelledError:
            status = "waiting" if self._ending else "cancelled"
            update(job, status=status, stage="", left=None)
            return
        except LarsError as error:
            update(job, status="failed", stage="", left=None, error=_line(error, job))
            return
        except Exception as error:
            log.debug("while separating %s", job.source, exc_info=True)
            message = f"internal error: {error!r}"
            update(job, status="failed", stage="", left=None, error=message)
            return
        stems = [*separator.stems, *(["residual"] if job.settings.residual else [])]
        update(job, status="done", stage="", progress=1.0, left=0.0, elapsed=elapsed, stems=stems,
            hits="waiting")  # fmt: skip
        seconds = job.frames / job.rate
        self._costs.learn(job.settings.model, job.settings.preset, seconds, elapsed)
        self._wake.set()

    def _read(self, job: Job, stop: threading.Event) -> None:
        """Decode the recording once: what is drawn and played needs any part at any time."""
        with AudioReader(job.source) as reader:
            places = channel_places(job.source, reader.channels) if reader.channels > 2 else None
            choice = ChannelChoice(job.settings.channels or None, reader.channels, places, job.name)
            path = self._folders.cache(job.id) / "mixture.wav"
            view = Overview(reader.frames)
            bar = _Pace(self._ledger, job)
            with AudioWriter(path, reader.rate, choice.count, bits="32f") as writer:
                for block in reader.blocks(_BLOCK):
                    if stop.is_set():
                        raise CancelledError("cancelled")
                    chosen = choice(block)
                    writer.write(chosen)
                    view.add(chosen)
                    bar(reader.position, max(reader.frames, reader.position))
            save_overview(self._folders.cache(job.id) / "mixture.peaks", view)
            self._ledger.update(
                job,
                rate=reader.rate,
                channels=choice.count,
                frames=reader.position,
                warnings=list(reader.warnings),
                peaks={MIXTURE: view.peak},
            )

    def separator(self, settings: JobSettings) -> Separator:
        """The separator of a job; the last one is kept."""
        key = dataclasses.replace(settings, channels="", residual=False)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # its memory first
            args = separate_options(key, Path("recording.wav"), Path())
            self._loaded = key, make_separator(args, args.stems)
        return self._loaded[1]

    def _run_separation(self, job: Job, separator: Separator, stop: threading.Event) -> float:
        args = separate_options(job.settings, Path(job.source), self._folders.stems(job))
        plan = make_plan(args, separator, [Found(Path(job.source), True)])
        for outcome in plan.settled:
            raise LarsError(outcome.error)
        (task,) = plan.work
        pace = _Pace(self._ledger, job)

        def progress(done: int, total: int) -> bool:
            pace(done, total)
            return not stop.is_set()

        outcome = separate_one(args, separator, task, progress)
        if outcome.status == "cancelled":
            raise CancelledError("cancelled")
        if outcome.result is None:
            raise LarsError(outcome.error)
        return outcome.result.elapsed

    def _hear(self, job: Job, stop: threading.Event) -> None:
        """Peaks, hits and levels of a job whose stems are there and can be played already."""
        from lars_plugin.studio.hits import find

        self._ledger.update(job, hits="running")
        cache = self._folders.cache(job.id)
        try:
            found = dict(job.peaks)
            for lane in job.lanes:
                if stop.is_set():
                    raise CancelledError("cancelled")
                path = self._folders.lane(job, lane)
                found[lane] = overview(path, cache / f"{lane}.peaks")[2]
            self._ledger.update(job, peaks=found)
            lanes = [self._folders.lane(job, lane) for lane in job.lanes]
            matrix = levels.products(lanes, stop.is_set)
            if matrix is None:
                raise CancelledError("cancelled")
            with AtomicFiles() as files:
                text = json.dumps({"lanes": job.lanes, **matrix})
                files.create(cache / "levels.json").write(text.encode())
            find(job, self._folders)
            self._ledger.update(job, hits="done", hit_error="")
        except CancelledError:
            self._ledger.update(job, hits="waiting" if self._ending else "none")
        except LarsError as error:
            self._ledger.update(job, hits="failed", hit_error=_line(error, job))
        except Exception as error:
            log.debug("while hearing the hits of %s", job.source, exc_info=True)
            self._ledger.update(job, hits="failed", hit_error=f"internal error: {error!r}")


def _line(error: BaseException, job: Job) -> str:
    """An error in the words of whoever dropped the recording, who knows its name only."""
    text = one_line(str(error))
    return text.replace(printable(job.source), job.name) if job.uploaded else text


class _Pace:
    """Progress of a job, told a few times a second, with the time left."""

    def __init__(self, ledger: Ledger, job: Job) -> None:
        self._ledger, self._job = ledger, job
        self._begun = time.monotonic()
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _TELL
        part = min(done / total, 1.0) if total else 0.0
        spent = now - self._begun
        left = spent / part * (1 - part) if part > 0.02 else None
        self._ledger.update(self._job, save=False, progress=part, left=left)
