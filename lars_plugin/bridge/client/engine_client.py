# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking an engine: requests and answers, its state, and jobs; streams are in ``client``."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from lars_plugin.bridge.client.link import Address, Link, resolve
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.codes import exception_of
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.errors import BridgeError, ConnectionLostError, InputError, LarsError

__all__ = ["EngineClient"]

log = logging.getLogger(__name__)

_PING = b"alive"
Answer = TypeVar("Answer", bound=Message)
Me = TypeVar("Me", bound="EngineClient")


class EngineClient:
    """A connection to an engine. Synchronous, for one thread.

    Args:
        address: path of a Unix socket, or (host, port); None for the engine that is running.
        token: for TCP.
        name: for the engine's log.
        timeout: seconds of silence after which the engine counts as lost.

    Raises:
        ConnectionLostError: there is no engine.
        AuthError, LimitError: it refused.
    """

    def __init__(
        self,
        address: Address | None = None,
        *,
        token: str | None = None,
        name: str = "lars python client",
        timeout: float = 10.0,
    ) -> None:
        self._where = (address, token)
        self._name, self._timeout = name, timeout
        self._request = 0
        self._answers: dict[int, Message] = {}
        self._on_progress: Callable[[messages.JobProgress], None] | None = None
        self.error: LarsError | None = None  # the last that a live stream went on after
        self._link: Link | None = self._connect()

    def _connect(self) -> Link:
        address, token = resolve(*self._where)
        return Link(address, token, name=self._name, timeout=self._timeout, receive=self._receive)

    def __enter__(self: Me) -> Me:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End stream and connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    @property
    def connected(self) -> bool:
        """Whether the engine was there when last heard of."""
        return self._link is not None

    @property
    def engine(self) -> messages.Welcome:
        """What the engine said of itself."""
        return self._live_link().welcome

    def status(self) -> dict[str, Any]:
        """The engine's state: models, sessions, jobs."""
        report = json.loads(self._ask(messages.Status(), messages.StatusReport).report)
        if not isinstance(report, dict):
            raise BridgeError("the engine's status is not a table")
        return report

    def ping(self) -> None:
        """Wait until the engine answers a PING, as it does even while models are busy.

        Raises:
            ConnectionLostError: it does not.
        """
        self._ask(messages.Ping(payload=_PING), messages.Pong)

    def separate_file(
        self,
        source: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        model: str,
        *,
        preset: str | None = None,
        overlap: float | None = None,
        stems: Sequence[str] | None = None,
        bits: str = "24",
        overwrite: bool = False,
        progress: Callable[[int, int], bool | None] | None = None,
    ) -> list[Path]:
        """Have the engine separate a file into ``<folder>/<stem>.wav``; the files written.

        Args:
            progress: called with (frames done, frames in all); returning False cancels.

        Raises:
            LarsError: what went wrong; CancelledError when cancelled. No file is left then.
        """
        request = messages.Job(
            overwrite=int(overwrite),
            overlap=overlap or 0.0,
            model=model,
            preset=preset or "",
            bits=bits,
            source=str(Path(source).absolute()),
            folder=str(Path(folder).absolute()),
            stems=tuple(stems or ()),
        )
        done = self._job(request, messages.JobDone, progress)
        return [Path(done.folder) / name for name in done.files]

    def fetch_model(
        self, model: str, *, progress: Callable[[int, int], bool | None] | None = None
    ) -> Path:
        """Have the engine download a model's weights, unless they are on its machine; their file.

        Args:
            model: one of the engine's.
            progress: called with (bytes here, bytes in all or 0); returning False cancels.

        Raises:
            LarsError: what went wrong; CancelledError when cancelled.
        """
        return Path(self._job(messages.Fetch(model=model), messages.Fetched, progress).file)

    def convert_file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        sample_rate: float = 0.0,
        bits: str = "32f",
        progress: Callable[[int, int], bool | None] | None = None,
    ) -> messages.Converted:
        """Have the engine write an audio file of any kind it reads as WAV.

        Args:
            source: the file.
            target: ending in ``.wav``; a file in the way is replaced.
            sample_rate: Hz; 0 for the file's own.
            bits: ``16``, ``24`` or ``32f``.
            progress: called with (frames done, frames in all); returning False cancels.

        Returns:
            Rate, channels and frames of the new file.

        Raises:
            LarsError: what went wrong; CancelledError when cancelled. No file is left then.
        """
        request = messages.Convert(
            sample_rate=sample_rate,
            bits=bits,
            source=str(Path(source).absolute()),
            target=str(Path(target).absolute()),
        )
        return self._job(request, messages.Converted, progress)

    def transcribe_stems(
        self,
        stems: Sequence[str | os.PathLike[str]],
        folder: str | os.PathLike[str],
        *,
        tempo: float = 0.0,
        progress: Callable[[int, int], bool | None] | None = None,
    ) -> list[Path]:
        """Have the engine write MIDI files of stems, as ``lars midi`` does of their recording.

        Args:
            stems: ``<stem>.wav`` of one folder, in the order of :meth:`separate_file`'s answer.
            folder: made if only its last part is missing; files in the way are replaced.
            tempo: BPM that the files say; 0 for 120. It does not move notes.
            progress: called with (frames done, frames in all); returning False cancels.

        Returns:
            ``drums.mid`` with all hits, then ``<stem>.mid`` for each stem that has any.

        Raises:
            LarsError: what went wrong; CancelledError when cancelled. No file is left then.
        """
        paths = [Path(stem).absolute() for stem in stems]
        if len({path.parent for path in paths}) != 1:
            raise InputError("give the stems of one folder")
        request = messages.Transcribe(
            tempo=tempo,
            source=str(paths[0].parent),
            folder=str(Path(folder).absolute()),
            stems=tuple(path.stem for path in paths),
        )
        answer = self._job(request, messages.Transcribed, progress)
        return [Path(answer.folder) / name for name in answer.files]

    # Messages.

    def _job(
        self,
        request: Message,
        kind: type[Answer],
        progress: Callable[[int, int], bool | None] | None,
    ) -> Answer:
        """Ask for long work, tell of its progress, and wait for its end."""
        link = self._live_link()
        if link.version < request.SINCE:
            raise BridgeError(
                f"{self.engine.engine} is too old for that; stop it, and start a newer lars serve"
            )

        def tell(message: messages.JobProgress) -> None:
            if progress is not None and progress(message.done, message.total) is False:
                link.send(messages.JobCancel(request=message.request))

        self._on_progress = tell
        try:
            return self._ask(request, kind)
        finally:
            self._on_progress = None

    def _live_link(self) -> Link:
        if self._link is None:
            raise ConnectionLostError(f"the engine was lost ({self.error}); call reopen()")
        return self._link

    def _ask(self, message: Message, kind: type[Answer]) -> Answer:
        """Send a request and wait for its answer."""
        link = self._live_link()
        self._request += 1
        number = self._request
        try:
            link.send(dataclasses.replace(message, request=number))
            link.wait(lambda: number in self._answers)
        except ConnectionLostError as error:
            self._lose(error)
            raise
        answer = self._answers.pop(number)
        if isinstance(answer, messages.Error):
            raise exception_of(answer)
        if not isinstance(answer, kind):
            raise BridgeError(f"expected {kind.__name__}, got {type(answer).__name__}")
        return answer

    def _lose(self, error: LarsError) -> None:
        log.warning("engine lost", extra={"error": str(error)})
        self.error = error
        self.close()

    def _receive(self, message: Message) -> None:
        if isinstance(message, messages.JobProgress):
            if self._on_progress is not None:
                self._on_progress(message)
        elif message.request:
            self._answers[message.request] = message
        elif isinstance(message, messages.Error):
            self.error = exception_of(message)
