# SPDX-License-Identifier: GPL-3.0-or-later
"""Running systems over clips, several clips at a time, into a ledger."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lars_plugin.errors import CancelledError, InputError, LarsError
from lars_plugin.evaluation.clips import Clip, Recording
from lars_plugin.evaluation.ledger import Ledger
from lars_plugin.evaluation.scoring import Row, score
from lars_plugin.evaluation.systems import ModelSystem, System
from lars_plugin.evaluation.variants import load_variant

__all__ = ["Elsewhere", "Failure", "Outcome", "evaluate", "score_clip"]

log = logging.getLogger(__name__)

# (pairs of clip and system done, pairs in all, what was done last)
Progress = Callable[[int, int, str], None]
# (systems, clips with what is missing of each) -> clip, system's name, rows or why there are none
Elsewhere = Callable[
    [Sequence[System], Sequence["tuple[Clip, Sequence[System]]"]],
    Iterator["tuple[Clip, str, list[Row] | Exception]"],
]


@dataclass(frozen=True)
class Failure:
    """A clip that a system could not be scored on, and why."""

    clip: str
    system: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """All rows of the requested clips and systems, and the failures."""

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]


def evaluate(
    clips: Sequence[Clip],
    systems: Sequence[System],
    ledger: Ledger,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    elsewhere: Elsewhere | None = None,
) -> Outcome:
    """Score every system on every clip that the ledger does not hold yet.

    A clip that cannot be read, or that a system fails on, becomes a :class:`Failure`; the rest
    continues. Models are opened before the first clip, so that a missing one is reported at once.

    Args:
        clips: what to score on.
        systems: with names of their own.
        ledger: has the finished rows; gets the new ones.
        jobs: clips at a time. With more than one, the measured seconds are not comparable.
        progress: called in one thread at a time.
        elsewhere: has clips scored on other machines, see :mod:`lars_plugin.evaluation.remote`;
            then models are not opened here.

    Raises:
        InputError: no clips, no systems, two of one name, or jobs below 1.
        ModelError: a model cannot be opened.
        DatasetError: the ledger cannot be written.
    """
    names = [system.name for system in systems]
    if not clips or not systems:
        raise InputError("nothing to evaluate: give clips and at least one model or baseline")
    if len(set(names)) != len(names):
        raise InputError(f"a system is named twice: {', '.join(names)}")
    if jobs < 1:
        raise InputError(f"jobs must be 1 or more, got {jobs}")
    work = [
        (clip, missing)
        for clip in clips
        if (missing := [s for s in systems if ledger.get(clip.name, s.name, s.settings) is None])
    ]
    run = _Run(
        ledger, len(clips) * len(systems), sum(len(missing) for _, missing in work), progress
    )
    needed = {s.name: s for _, missing in work for s in missing}
    if elsewhere is None:
        for system in needed.values():
            if isinstance(system, ModelSystem):
                system.separator()
    ledger.begin()
    if elsewhere is not None:
        for clip, name, found in elsewhere(list(needed.values()), work):
            run.take(clip, needed[name], found)
    elif jobs == 1:
        for clip, missing in work:
            run.clip(clip, missing)
    elif work:
        _run_threads(run, work, jobs)
    rows = [
        row
        for clip in clips
        for system in systems
        for row in ledger.get(clip.name, system.name, system.settings) or ()
    ]
    return Outcome(tuple(rows), tuple(run.failures))


def score_clip(
    clip: Clip, recording: Recording, system: System, cancelled: Callable[[], bool]
) -> list[Row]:
    """The rows of a clip and a system."""
    start = time.perf_counter()
    estimates = system.estimate(recording, cancelled)
    work = time.perf_counter() - start
    return score(
        clip.name,
        clip.kit,
        system.name,
        system.settings,
        recording.mixture,
        recording.references,
        estimates,
        seconds=recording.seconds,
        work=work,
    )


def _run_threads(run: _Run, work: Sequence[tuple[Clip, Sequence[System]]], jobs: int) -> None:
    count = min(jobs, len(work))
    with ThreadPoolExecutor(count, "lars-evaluate") as pool:
        try:
            waiting = {pool.submit(run.clip, clip, missing) for clip, missing in work}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            # After Ctrl-C or on a full disk no new clip starts. Running ones stop at their next
            # block.
            run.cancelled.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class _Run:
    """State shared by the threads of one evaluation."""

    def __init__(self, ledger: Ledger, total: int, todo: int, progress: Progress | None) -> None:
        self.cancelled = threading.Event()
        self.failures: list[Failure] = []
        self._ledger = ledger
        self._total = total
        self._done = total - todo
        self._progress = progress
        self._lock = threading.Lock()
        self._tell(0, "")

    def clip(self, clip: Clip, systems: Sequence[System]) -> None:
        """Read a clip once and run these systems on it."""
        try:
            recording = load_variant(clip)
        except LarsError as error:
            for system in systems:
                self._fail(clip, system, error)
            return
        for system in systems:
            try:
                if self.cancelled.is_set():
                    raise CancelledError("the evaluation was stopped")
                rows = score_clip(clip, recording, system, self.cancelled.is_set)
            except CancelledError:
                raise
            except Exception as error:
                # Also a bug, or out of memory: the other clips should still be scored.
                self._fail(clip, system, error)
            else:
                self._add(clip, system, rows)

    def take(self, clip: Clip, system: System, found: list[Row] | Exception) -> None:
        """What another machine made of a clip."""
        if isinstance(found, Exception):
            self._fail(clip, system, found)
        else:
            self._add(clip, system, found)

    def _add(self, clip: Clip, system: System, rows: list[Row]) -> None:
        self._ledger.add(rows)
        self._tell(1, f"{system.name}: {clip.name}")

    def _fail(self, clip: Clip, system: System, error: Exception) -> None:
        reason = str(error) if isinstance(error, LarsError) else f"internal error: {error!r}"
        log.warning("%s on %s: %s", system.name, clip.name, reason)
        log.debug("while scoring", exc_info=error)
        with self._lock:
            self.failures.append(Failure(clip.name, system.name, reason))
        self._tell(1, f"{system.name}: {clip.name}")

    def _tell(self, more: int, what: str) -> None:
        with self._lock:
            self._done += more
            if what:
                log.info("%d of %d: %s", self._done, self._total, what)
            if self._progress is not None:
                self._progress(self._done, self._total, what)
