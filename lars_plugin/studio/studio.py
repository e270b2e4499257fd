# SPDX-License-Identifier: GPL-3.0-or-later
"""The studio's parts, put together: what all routes share."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter

from lars_plugin import __version__
from lars_plugin.audio import EXTENSIONS
from lars_plugin.cli.inputs import find_inputs
from lars_plugin.errors import InputError
from lars_plugin.studio.costs import Costs
from lars_plugin.studio.events import Events
from lars_plugin.studio.folders import Folders
from lars_plugin.studio.ledger import Job, Ledger
from lars_plugin.studio.models import Download, Downloads, menu
from lars_plugin.studio.settings import JobSettings
from lars_plugin.studio.uploads import Uploads
from lars_plugin.studio.worker import Worker
from lars_plugin.zoo.registry import cache_folder

__all__ = ["Studio"]

_PATIENCE = 20.0  # seconds


class Studio:
    """Jobs, models and the thread that works.

    Args:
        folder: where results are kept.
        most_bytes: of one upload.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folders = Folders(folder)
        self.events = Events()
        self.ledger = Ledger(self.folders.jobs, self._tell_job)
        if self.ledger.complete:
            self.folders.clear(list(self.ledger))
        self.costs = Costs(cache_folder() / "studio-costs.json", self.tell_models)
        self.downloads = Downloads(self._tell_download)
        self.uploads = Uploads(self.folders, self.ledger, most_bytes)
        self.worker = Worker(self.ledger, self.folders, self.costs)
        self._retrying = threading.Lock()
        self.exporting: CapacityLimiter | None = None  # made in the event loop

    def start(self) -> None:
        """Begin to work; call it in the event loop."""
        self.events.start()
        self.worker.start()

    def stop(self) -> None:
        """Stop the work; waiting jobs stay in the ledger."""
        self.downloads.stop()
        self.worker.stop()

    def snapshot(self) -> dict[str, Any]:
        """All that a page has to know."""
        return {
            "version": __version__,
            "folder": str(self.folders.root),
            "extensions": list(EXTENSIONS),
            "most_bytes": self.uploads.most_bytes,
            "jobs": [job.to_json() for job in self.ledger],
            "models": menu(self.costs),
            "downloads": self.downloads.to_json(),
        }

    def open(self, names: Sequence[str], settings: JobSettings) -> list[str]:
        """Make jobs of files, folders and patterns on this machine.

        Returns:
            Why some are left out, a line for each.

        Raises:
            InputError: none of them is a recording; says why.
        """
        found = find_inputs(list(names), self.folders.root)
        good = [item for item in found if not item.error]
        for item in good:
            self.uploads.add(item.path.resolve(), settings, name=item.path.name)
        self.worker.wake()
        left_out = [item.error for item in found if item.error]
        if left_out and not good:
            raise InputError(left_out[0])
        return left_out

    def retry(self, job: Job, settings: JobSettings | None) -> None:
        """Do a job once more, perhaps with other settings.

        Raises:
            InputError: it is at work, or does not stop, or its recording is gone.
        """
        with self._retrying:  # from two pages: the second finds it waiting
            if job.status in ("waiting", "running"):
                raise InputError(f"{job.name} is waiting or at work; cancel it first")
            if not Path(job.source).is_file():
                raise InputError(f"the recording {job.name} is gone; drop it again")
            if not self._let_go(job):  # its hits are being found
                raise InputError(f"{job.name} is stopping; try again in a moment")
            self.folders.remove_stems(job)
            self.ledger.update(
                job, status="waiting", error="", stems=[], frames=0, hits="none", hit_error="",
                progress=0.0, left=None, settings=settings or job.settings,
            )  # fmt: skip
        self.worker.wake()

    def remove(self, job: Job, *, stems: bool) -> bool:
        """Remove a job, when it has stopped; False: that takes too long.

        Raises:
            OSError: its stems cannot be removed; the job stays.
        """
        self.worker.cancel(job)
        if not self._let_go(job):
            return False
        if stems:
            self.folders.remove_stems(job)
        self.ledger.remove(job)
        self.folders.remove(job)
        return True

    def _let_go(self, job: Job) -> bool:
        """Wait until nothing is done for a job any more; False: that takes too long."""
        deadline = time.monotonic() + _PATIENCE
        while not self.worker.release(job):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def tell_models(self) -> None:
        """Tell the pages that the menu has changed."""
        self.events.tell("models", "", menu(self.costs))

    def _tell_job(self, job: Job | str) -> None:
        if isinstance(job, str):
            self.events.tell("removed", job, {"id": job})
        else:
            self.events.tell("job", job.id, job.to_json())

    def _tell_download(self, item: Download) -> None:
        self.events.tell("download", item.name, item.to_json())
        if item.status != "running":
            self.tell_models()
