# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings that come through the page: bounded, written to disk as they come, never trusted."""

from __future__ import annotations

import secrets
import shutil
from functools import partial
from pathlib import Path

from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from lars_plugin.audio import AudioReader
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.files import AtomicFiles, printable
from lars_plugin.studio.folders import Folders
from lars_plugin.studio.ledger import Job, Ledger
from lars_plugin.studio.names import safe_name
from lars_plugin.studio.requests import parse_object
from lars_plugin.studio.settings import JobSettings

__all__ = ["Uploads"]

_PIECE = 1 << 20
_AT_ONCE = 4


class Uploads:
    """Takes recordings and makes jobs of them.

    Args:
        folders: of the studio.
        ledger: of the jobs.
        most_bytes: of one file.
    """

    def __init__(self, folders: Folders, ledger: Ledger, most_bytes: int) -> None:
        self._folders, self._ledger, self.most_bytes = folders, ledger, most_bytes
        self._running = 0

    async def take(self, request: Request) -> Job:
        """The job of a request whose body is a file.

        Raises:
            InputError: an invalid name or setting, or no audio.
            HTTPException: too large (413), or too many at once (429).
        """
        wanted = parse_object(request.query_params.get("settings", "{}"), "settings")
        settings = JobSettings.from_json(wanted)
        name = safe_name(request.query_params.get("name", ""))
        length = request.headers.get("content-length", "")
        size = int(length) if length.isdigit() else 0
        self._check_size(size)
        self._folders.enough_room(size)
        if self._running >= _AT_ONCE:
            raise HTTPException(429, f"{_AT_ONCE} files are coming in already; wait for one")
        job_id = secrets.token_hex(8)
        path = self._folders.uploads(job_id) / name
        self._running += 1
        try:
            await self._write(request, path)
            return await run_sync(partial(self._job, job_id, name, path, settings))
        except BaseException:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise
        finally:
            self._running -= 1

    def _check_size(self, size: int) -> None:
        if size > self.most_bytes:
            raise HTTPException(
                413, f"the file is larger than {self.most_bytes >> 20} MiB; cut it, or run"
                " `lars separate`, which has no limit"
            )  # fmt: skip

    async def _write(self, request: Request, path: Path) -> None:
        size = 0
        with AtomicFiles() as files:
            handle = files.create(path, 0o600)
            waiting = bytearray()
            try:
                async for chunk in request.stream():
                    size += len(chunk)
                    self._check_size(size)
                    waiting += chunk
                    if len(waiting) >= _PIECE:
                        await run_sync(handle.write, bytes(waiting))
                        waiting.clear()
            except ClientDisconnect:
                raise InputError("the upload broke off; drop the file again") from None
            handle.write(waiting)

    def _job(self, job_id: str, name: str, path: Path, settings: JobSettings) -> Job:
        try:
            with AudioReader(path):  # by its content, whatever it is called
                pass
        except AudioFileError as error:
            # Whoever dropped it knows its name, not where it lies here.
            raise AudioFileError(str(error).replace(printable(path), name)) from error
        return self.add(path, settings, name=name, uploaded=True, job_id=job_id)

    def add(
        self,
        path: Path,
        settings: JobSettings,
        *,
        name: str = "",
        uploaded: bool = False,
        job_id: str = "",
    ) -> Job:
        """A new job for a file that is here."""
        name = name or safe_name(path.name)
        wanted = safe_name(Path(name).stem)
        with self._ledger.naming:
            folder = self._folders.free_name(wanted, list(self._ledger))
            job = Job(name, str(path), folder, settings, uploaded=uploaded)
            job.id = job_id or job.id
            self._ledger.add(job)
        return job
