# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the studio keeps things: stems in plain sight, the rest below a hidden folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lars_plugin.errors import InputError
from lars_plugin.files import printable, write_failure
from lars_plugin.studio.ledger import MIXTURE, Job
from lars_plugin.studio.names import unique_name

__all__ = ["Folders", "default_folder"]

_HIDDEN = ".studio"


def default_folder() -> Path:
    """Where results are kept unless ``--folder`` says otherwise."""
    import platformdirs

    return Path(platformdirs.user_music_dir()) / "LARS"


class Folders:
    """The studio's folder and the places in it.

    Args:
        root: made if it is missing.

    Raises:
        AudioFileError: it cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root.expanduser()))
        self.hidden = self.root / _HIDDEN
        try:
            self.hidden.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.temporary.mkdir(exist_ok=True)
        except OSError as error:
            raise write_failure(self.hidden, error) from error

    @property
    def jobs(self) -> Path:
        """The ledger."""
        return self.hidden / "jobs.json"

    @property
    def state(self) -> Path:
        """Says where the running server is, and its secret."""
        return self.hidden / "server.json"

    @property
    def sessions(self) -> Path:
        """Digests of the cookies that were given out."""
        return self.hidden / "sessions.json"

    @property
    def temporary(self) -> Path:
        """Files on their way out."""
        return self.hidden / "temporary"

    def uploads(self, job_id: str) -> Path:
        """Where the recording of a job lies that came through the page."""
        return self.hidden / "uploads" / job_id

    def cache(self, job_id: str) -> Path:
        """What was worked out for a job: its mixture, peaks, hits."""
        return self.hidden / "cache" / job_id

    def stems(self, job: Job) -> Path:
        """The folder of a job's stems."""
        return self.root / job.folder

    def lane(self, job: Job, lane: str) -> Path:
        """The float WAV file of a lane.

        Raises:
            InputError: the job has no such lane (yet).
        """
        if lane not in job.lanes:
            raise InputError(f"{job.name} has no lane {lane[:40]!r} yet")
        path = (
            self.cache(job.id) / "mixture.wav"
            if lane == MIXTURE
            else self.stems(job) / f"{lane}.wav"
        )
        if not path.is_file():
            raise InputError(f"{printable(path)} is gone; separate {job.name} again")
        return path

    def free_name(self, wanted: str, jobs: list[Job]) -> str:
        """A name for a new folder of stems."""
        taken = {job.folder.casefold() for job in jobs}
        taken |= {path.name.casefold() for path in self.root.iterdir()}
        return unique_name(wanted, taken)

    def enough_room(self, size: int) -> None:
        """Whether the disk takes a file and what is made of it.

        Raises:
            InputError: it does not.
        """
        free = shutil.disk_usage(self.root).free
        if free < size + (256 << 20):
            raise InputError(
                f"{printable(self.root)} has only {free >> 20} MiB left; free some space, or"
                " choose another --folder"
            )

    def remove(self, job: Job) -> None:
        """Remove what belongs to a job that is not at work, except its stems."""
        for folder in (self.uploads(job.id), self.cache(job.id)):
            # What another program has open goes with the next start: see `clear`.
            shutil.rmtree(folder, ignore_errors=True)

    def remove_stems(self, job: Job) -> None:
        """Remove the stems that the job wrote, and their folder if nothing else lies in it.

        Raises:
            OSError: one cannot be removed.
        """
        folder = self.stems(job)
        for name in job.stems:
            (folder / f"{name}.wav").unlink(missing_ok=True)
        for record in folder.glob(".lars-*.json"):
            record.unlink(missing_ok=True)
        try:
            folder.rmdir()
        except OSError:
            pass  # somebody else's files, or it is gone already

    def clear(self, jobs: list[Job]) -> None:
        """Remove what no job needs: after a crash."""
        ids = {job.id for job in jobs}
        for kind in ("uploads", "cache"):
            for folder in (self.hidden / kind).glob("*"):
                if folder.name not in ids:
                    shutil.rmtree(folder, ignore_errors=True)
        for path in self.temporary.iterdir():
            path.unlink(missing_ok=True)
