# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs, and the file that keeps them while no server runs."""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lars_plugin.batch.jobs import one_line
from lars_plugin.errors import InputError, LarsError
from lars_plugin.files import AtomicFiles, printable
from lars_plugin.studio.settings import JobSettings

__all__ = ["MIXTURE", "Job", "Ledger"]

log = logging.getLogger(__name__)

# The lane that is not a stem.
MIXTURE = "mixture"

# Jobs in the ledger, done or not.
_MOST_JOBS = 1000

_ID = re.compile(r"[0-9a-f]{16}")

# Attributes that only this process knows.
_PASSING = ("stage", "progress", "left")


@dataclass
class Job:
    """One recording on its way to stems.

    Attributes:
        id: 16 hexadecimal digits.
        name: of the recording, for people.
        source: the recording's file.
        folder: of the stems, a name below the studio's folder.
        settings: what to do.
        uploaded: the recording lies in the studio's folder and goes with the job.
        status: ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``.
        stage: of a running job: ``reading``, ``loading`` or ``separating``.
        progress: 0 to 1, of the stage.
        left: seconds until it is done, or None where that is not known.
        error: one line.
        warnings: of the reader.
        rate, channels, frames: of the mixture lane, 0 until it has been read.
        stems: names of the stems that are there.
        peaks: largest sample of each lane; full scale is 1.
        elapsed: seconds that the separation took.
        hits: ``none``, ``waiting``, ``running``, ``done`` or ``failed``.
        hit_error: one line.
        created: seconds since 1970.
    """

    name: str
    source: str
    folder: str
    settings: JobSettings
    uploaded: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: str = "waiting"
    stage: str = ""
    progress: float = 0.0
    left: float | None = None
    error: str = ""
    warnings: list[str] = field(default_factory=list)
    rate: int = 0
    channels: int = 0
    frames: int = 0
    stems: list[str] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)
    elapsed: float = 0.0
    hits: str = "none"
    hit_error: str = ""
    created: float = field(default_factory=time.time)

    def to_json(self) -> dict[str, Any]:
        """For the page and the ledger."""
        return {**asdict(self), "settings": self.settings.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Job:
        """From the ledger. What was at work waits again."""
        kept = {name: value for name, value in data.items() if name not in _PASSING}
        settings = JobSettings.from_json(kept.pop("settings"))
        job = cls(**kept, settings=settings)
        if not _ID.fullmatch(job.id):
            raise InputError("a job without an id")
        if job.status == "running":
            job.status = "waiting"
        if job.hits == "running":
            job.hits = "waiting"
        return job

    @property
    def lanes(self) -> list[str]:
        """What can be heard now, the mixture first."""
        return [*([MIXTURE] if self.frames else []), *(self.stems if self.frames else [])]


class Ledger:
    """All jobs, in the order in which they came; may be used from several threads.

    Args:
        path: the file that keeps them; it need not be there.
        on_change: called with each job that has changed, or with an id whose job was removed.

    Attributes:
        complete: False: jobs were left out that could not be read. A copy of the file is kept.
    """

    def __init__(self, path: Path, on_change: Callable[[Job | str], None]) -> None:
        self._path = path
        self._on_change = on_change
        self._lock = threading.RLock()
        # Held from the choice of a new job's folder until the job is added.
        self.naming = threading.Lock()
        self._jobs: dict[str, Job] = {}
        found, self.complete = _read(path)
        for job in found:
            self._jobs[job.id] = job

    def __iter__(self) -> Iterator[Job]:
        with self._lock:
            return iter(list(self._jobs.values()))

    def __contains__(self, job: Job) -> bool:
        with self._lock:
            return self._jobs.get(job.id) is job

    def get(self, job_id: str) -> Job:
        """The job with this id.

        Raises:
            InputError: there is none.
        """
        with self._lock:
            if job_id not in self._jobs:
                raise InputError("no such job; it may have been removed")
            return self._jobs[job_id]

    def add(self, job: Job) -> None:
        """Put a new job at the end.

        Raises:
            InputError: there are too many.
        """
        with self._lock:
            if len(self._jobs) >= _MOST_JOBS:
                raise InputError(f"there are {_MOST_JOBS} jobs already; remove some")
            self._jobs[job.id] = job
            try:
                self._save()
            except LarsError:
                del self._jobs[job.id]
                raise
        self._on_change(job)

    def update(self, job: Job, *, save: bool = True, **changes: Any) -> None:
        """Change attributes of a job.

        Args:
            job: of this ledger.
            save: False for what need not survive a restart, as progress.
            changes: new values.
        """
        with self._lock:
            for name, value in changes.items():
                setattr(job, name, value)
            if job.id not in self._jobs:
                return  # removed meanwhile
            if save:
                self._try_to_save()
        self._on_change(job)

    def remove(self, job: Job) -> None:
        """Forget a job."""
        with self._lock:
            self._jobs.pop(job.id, None)
            self._try_to_save()
        self._on_change(job.id)

    def _try_to_save(self) -> None:
        """On a full disk the work goes on and can be removed; the next change saves it all."""
        try:
            self._save()
        except LarsError as error:
            log.warning("the list of jobs is not saved: %s", one_line(str(error)))

    def _save(self) -> None:
        jobs = [job.to_json() for job in self._jobs.values()]
        text = json.dumps({"format": 1, "jobs": jobs}, indent=1)
        with AtomicFiles() as files:
            files.create(self._path, 0o600).write(text.encode())


def _read(path: Path) -> tuple[list[Job], bool]:
    """The jobs of a file, and whether these are all.

    Those that cannot be read, as of a model that is not here this time, are left out with a
    warning, and the file is copied before the next change overwrites it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        entries = list(data["jobs"])
    except FileNotFoundError:
        return [], True
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("%s is left out: %s", printable(path), error)
        _keep(path)
        return [], False
    jobs = []
    for entry in entries:
        try:
            jobs.append(Job.from_json(entry))
        except (InputError, KeyError, TypeError, AttributeError) as error:
            log.warning("a job of %s is left out: %s", printable(path), error)
    complete = len(jobs) == len(entries)
    if not complete:
        _keep(path)
    return jobs, complete


def _keep(path: Path) -> None:
    """Copy a ledger that is not understood, under another name."""
    copy = path.with_name(f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    try:
        shutil.copyfile(path, copy)
        log.warning("the list of jobs as it was is kept as %s", printable(copy))
    except OSError as error:
        log.warning("cannot copy %s: %s", printable(path), error)
