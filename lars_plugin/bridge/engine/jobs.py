# SPDX-License-Identifier: GPL-3.0-or-later
"""Separating a file for a client, and the paths that clients may name."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lars_plugin.bridge.engine.background import BackgroundJob
from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.bridge.engine.plan import check_overlap
from lars_plugin.bridge.engine.shared_model import shared_model
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.separation.files import separate_file
from lars_plugin.separation.separator import Separator

__all__ = ["FileJob", "check_path", "check_source", "folder_made"]


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


class FileJob(BackgroundJob):
    """One file on its way, on a thread of its own; the network runs on the model's.

    Args:
        requested: the JOB.
        model_thread: of the model.
        send, finished: see ``BackgroundJob``.
        roots: folders that paths must lie in; None for anywhere.
    """

    def __init__(
        self,
        requested: messages.Job,
        model_thread: ModelThread,
        send: Callable[[Message], None],
        finished: Callable[[BackgroundJob], None],
        roots: Sequence[Path] | None,
    ) -> None:
        self.model_thread = model_thread
        self._job = requested
        self._roots = roots
        super().__init__(requested, send, finished)

    @property
    def model(self) -> str:
        """Its name."""
        return self._job.model

    def _work(self) -> Message:
        return self._separate()

    def _separate(self) -> messages.JobDone:
        requested = self._job
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
        with folder_made(folder):
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


@contextlib.contextmanager
def folder_made(folder: Path) -> Iterator[None]:
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
