# SPDX-License-Identifier: GPL-3.0-or-later
"""Separating a file for a client: paths checked, progress told, cancel obeyed."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.bridge.engine.plan import check_overlap
from lars_plugin.bridge.engine.shared_model import shared_model
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.codes import error_message
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.dsp.parallel import stoppable
from lars_plugin.errors import AudioFileError, CancelledError, InputError, LarsError
from lars_plugin.separation.files import separate_file
from lars_plugin.separation.separator import Separator

__all__ = ["FileJob", "check_path"]

log = logging.getLogger(__name__)

_PROGRESS_SECONDS = 0.05  # at least ten a second are promised, on a busy machine too


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

    A second thread tells of the progress, so that the client hears of it as often as promised
    while a network runs for seconds.

    Args:
        requested: the JOB.
        model_thread: of the model.
        send: for progress and the result; never waits.
        finished: called, from the thread, when all is over.
        roots: folders that paths must lie in; None for anywhere.
    """

    def __init__(
        self,
        requested: messages.Job,
        model_thread: ModelThread,
        send: Callable[[Message], None],
        finished: Callable[[FileJob], None],
        roots: Sequence[Path] | None,
    ) -> None:
        self.requested = requested
        self.model_thread = model_thread
        self._reached = (0, 0)  # one object: other threads never see halves
        self._send = send
        self._finished = finished
        self._roots = roots
        self._cancelled, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)
        self._thread.start()

    @property
    def done(self) -> int:
        """Frames that are separated."""
        return self._reached[0]

    @property
    def total(self) -> int:
        """Frames in all; 0 before the file is open."""
        return self._reached[1]

    def cancel(self) -> None:
        """Ask it to stop: soon, whatever it is at. Only the run of a network that has begun goes
        on to its end, without it."""
        self._cancelled.set()

    def _check(self) -> None:
        """What long work calls now and then."""
        if self._cancelled.is_set():
            raise CancelledError(f"cancelled after {self.done} of {self.total} frames")

    def join(self, timeout: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        teller = threading.Thread(target=self._tell, name="job progress", daemon=True)
        teller.start()
        try:
            with stoppable(self._check):
                answer: Message = self._separate()
        except LarsError as error:
            answer = error_message(error, request=self.requested.request)
        except BaseException as error:
            # A fault of ours or of a library: it ends this job, and the client hears of it.
            log.exception("job failed", extra={"source": self.requested.source})
            answer = error_message(error, request=self.requested.request)
        self._over.set()
        teller.join()
        if isinstance(answer, messages.JobDone):
            self._send_progress()
        # In this order: who has the answer may ask for the next job at once.
        self._finished(self)
        self._send(answer)

    def _tell(self) -> None:
        while not self._over.wait(_PROGRESS_SECONDS):
            self._send_progress()

    def _send_progress(self) -> None:
        done, total = self._reached
        self._send(messages.JobProgress(request=self.requested.request, done=done, total=total))

    def _separate(self) -> messages.JobDone:
        requested = self.requested
        source = check_source(requested.source, self._roots)
        folder = check_path(requested.folder, self._roots)
        check_overlap(requested.overlap)
        model = self.model_thread.wait_model(self._check)
        separator = Separator(
            shared_model(self.model_thread, model, owner=self),
            preset=requested.preset or None,
            overlap=requested.overlap or None,
            stems=requested.stems or None,
        )
        outputs = {stem: folder / f"{stem}.wav" for stem in separator.stems}
        existing = [str(path) for path in outputs.values() if os.path.lexists(path)]
        if existing and not requested.overwrite:
            raise InputError(f"{existing[0]} exists; choose another folder, or overwrite")
        with _folder_made(folder):
            separate_file(
                separator,
                source,
                outputs.__getitem__,
                bits=requested.bits or "24",
                progress=self._progress,
            )
        return messages.JobDone(
            request=requested.request, folder=str(folder), files=tuple(f"{s}.wav" for s in outputs)
        )

    def _progress(self, done: int, total: int) -> bool:
        self._reached = (done, total)
        return not self._cancelled.is_set()


@contextlib.contextmanager
def _folder_made(folder: Path) -> Iterator[None]:
    """Make a folder, if it is missing; it goes again if the block fails.

    Raises:
        AudioFileError: it cannot be made.
    """
    new = not os.path.lexists(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise AudioFileError(f"cannot make the folder {folder}: {error.strerror}") from error
    try:
        yield
    except BaseException:
        if new:
            with contextlib.suppress(OSError):  # not empty: somebody else uses it
                folder.rmdir()
        raise


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
