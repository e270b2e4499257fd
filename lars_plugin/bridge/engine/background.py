# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work for a client on a thread of its own: progress told, cancel obeyed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.codes import error_message
from lars_plugin.bridge.protocol.messages import Message
from lars_plugin.dsp.parallel import stoppable
from lars_plugin.errors import CancelledError, LarsError

__all__ = ["BackgroundJob"]

log = logging.getLogger(__name__)

_PROGRESS_SECONDS = 0.05  # at least ten a second are promised, on a busy machine too


class BackgroundJob:
    """Work whose result, or error, is the answer to a request; begun at once.

    A second thread tells of the progress, so that the client hears of it as often as promised
    while a network runs for seconds.

    Args:
        requested: the request.
        send: for progress and the result; never waits.
        finished: called, from the thread, when all is over.
    """

    def __init__(
        self,
        requested: Message,
        send: Callable[[Message], None],
        finished: Callable[[BackgroundJob], None],
    ) -> None:
        self.requested = requested
        self._reached = (0, 0)  # one object: other threads never see halves
        self._send = send
        self._finished = finished
        self._cancelled, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)
        self._thread.start()

    def _work(self) -> Message:
        """Do it all; the answer."""
        raise NotImplementedError

    @property
    def model(self) -> str:
        """Of the model that it is about; empty for none."""
        return ""

    @property
    def done(self) -> int:
        """How much is done: frames of the input, or bytes."""
        return self._reached[0]

    @property
    def total(self) -> int:
        """How much there is in all; 0 before that is known."""
        return self._reached[1]

    def cancel(self) -> None:
        """Ask it to stop: soon, whatever it is at. Only the run of a network that has begun goes
        on to its end, without it."""
        self._cancelled.set()

    def join(self, timeout: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def _check(self) -> None:
        """What long work calls now and then."""
        if self._cancelled.is_set():
            raise CancelledError(f"cancelled after {self.done} of {self.total}")

    def _progress(self, done: int, total: int) -> bool:
        """What the work calls when it has come further; False: stop."""
        self._reached = (done, total)
        return not self._cancelled.is_set()

    def _run(self) -> None:
        teller = threading.Thread(target=self._tell, name="job progress", daemon=True)
        teller.start()
        try:
            with stoppable(self._check):
                answer = self._work()
        except LarsError as error:
            answer = error_message(error, request=self.requested.request)
        except BaseException as error:
            # A fault of ours or of a library: it ends this job, and the client hears of it.
            log.exception("job failed", extra={"request": type(self.requested).__name__})
            answer = error_message(error, request=self.requested.request)
        self._over.set()
        teller.join()
        if not isinstance(answer, messages.Error):
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
