# SPDX-License-Identifier: GPL-3.0-or-later
"""Separating a file for a client: paths checked, progress told, cancel obeyed."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lars_plugin.bridge import messages
from lars_plugin.bridge.codes import error_message
from lars_plugin.bridge.messages import Message
from lars_plugin.bridge.worker import Worker
from lars_plugin.bridge.worker_backend import shared_model
from lars_plugin.errors import AudioFileError, InputError, LarsError
from lars_plugin.separation.files import separate_file
from lars_plugin.separation.separator import Separator
from lars_plugin.zoo.composites import Composite

__all__ = ["FileJob", "check_path"]

log = logging.getLogger(__name__)

_PROGRESS_SECONDS = 0.1


def check_path(text: str, roots: Sequence[Path] | None) -> Path:
    """A client's path, with links resolved.

    Args:
        text: absolute; the last part need not exist.
        roots: folders it must lie in; None for anywhere.

    Raises:
        InputError: relative, or outside the folders.
    """
    path = Path(text)
    if not path.is_absolute():
        raise InputError(f"give an absolute path, got {text!r}: the engine runs somewhere else")
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot resolve {text}: {error}") from error
    if roots is not None and not any(real.is_relative_to(root.resolve()) for root in roots):
        raise InputError(f"this engine may not touch {text}; see lars serve --files")
    return real


class FileJob:
    """One file on its way, on a thread of its own; the network runs on the model's.

    Args:
        asked: the JOB.
        worker: of the model.
        send: for progress and the result; never waits.
        finished: called, from the thread, when all is over.
        roots: folders that paths must lie in; None for anywhere.
    """

    def __init__(
        self,
        asked: messages.Job,
        worker: Worker,
        send: Callable[[Message], None],
        finished: Callable[[FileJob], None],
        roots: Sequence[Path] | None,
    ) -> None:
        self.asked = asked
        self.worker = worker
        self.done = self.total = 0
        self._send = send
        self._finished = finished
        self._roots = roots
        self._cancelled = threading.Event()
        self._told = 0.0
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to stop; it does so after the run of the network that it waits for."""
        self._cancelled.set()

    def join(self, timeout: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            answer: Message = self._separate()
        except LarsError as error:
            answer = error_message(error, request=self.asked.request)
        except Exception as error:
            # A fault of ours or of a library: it ends this job, and the client hears of it.
            log.exception("job failed", extra={"source": self.asked.source})
            answer = error_message(error, request=self.asked.request)
        # In this order: who has the answer may ask for the next job at once.
        self._finished(self)
        self._send(answer)

    def _separate(self) -> messages.JobDone:
        asked = self.asked
        source = check_source(asked.source, self._roots)
        folder = check_path(asked.folder, self._roots)
        model = self.worker.wait_model()
        shared = model
        if not isinstance(model, Composite) or model.fused:
            shared = shared_model(self.worker, model)
        separator = Separator(
            shared,
            preset=asked.preset or None,
            overlap=asked.overlap or None,
            stems=asked.stems or None,
        )
        outputs = {stem: folder / f"{stem}.wav" for stem in separator.stems}
        existing = [str(path) for path in outputs.values() if os.path.lexists(path)]
        if existing and not asked.overwrite:
            raise InputError(f"{existing[0]} exists; choose another folder, or overwrite")
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise AudioFileError(f"cannot make the folder {folder}: {error.strerror}") from error
        separate_file(
            separator,
            source,
            outputs.__getitem__,
            bits=asked.bits or "24",
            progress=self._progress,
        )
        return messages.JobDone(
            request=asked.request, folder=str(folder), files=tuple(f"{s}.wav" for s in outputs)
        )

    def _progress(self, done: int, total: int) -> bool:
        self.done, self.total = done, total
        now = time.monotonic()
        if now - self._told >= _PROGRESS_SECONDS or done == total:
            self._told = now
            self._send(messages.JobProgress(request=self.asked.request, done=done, total=total))
        return not self._cancelled.is_set()


def check_source(text: str, roots: Sequence[Path] | None) -> Path:
    """A client's audio file: there, and a plain file, so that reading it cannot hang.

    Raises:
        InputError: see ``check_path``.
        AudioFileError: not there, or a folder, a pipe, a device.
    """
    path = check_path(text, roots)
    try:
        info = path.stat()
    except OSError as error:
        raise AudioFileError(f"cannot read {path}: {error.strerror}") from error
    if not stat.S_ISREG(info.st_mode):
        raise AudioFileError(f"{path} is not a plain file")
    return path
