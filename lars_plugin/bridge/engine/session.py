# SPDX-License-Identifier: GPL-3.0-or-later
"""A session: one client's stream inside the engine.

The network thread only appends to the inbox; everything else happens on the thread of the
model. A session advances until its network is needed, hands out the chunks, and goes on when the
result is delivered, so that the thread can run the chunks of several sessions together.
"""

from __future__ import annotations

import logging
import math
import time

import numpy as np

from lars_plugin.bridge.engine.plan import check_position, late_slack
from lars_plugin.bridge.engine.session_base import SessionBase
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.messages import Message, Open
from lars_plugin.bridge.protocol.wire import encode, encode_samples
from lars_plugin.errors import (
    CancelledError,
    EngineError,
    InputError,
    LarsError,
    NonFiniteError,
    ProtocolError,
)
from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import Steps, run_steps

__all__ = ["Session"]

log = logging.getLogger(__name__)

# One turn of preparing what the network shall see; much of what is overdue is much of that.
_TURN_SECONDS = 0.02
# Live errors are reported at most this often; all are counted.
_ERROR_SECONDS = 1.0


class Session(SessionBase):
    """One stream, from OPEN to its end.

    Args:
        number: for logs and status.
        requested: the OPEN.
        client: the client's name.
    """

    # Called by the model's thread.

    @property
    def ready(self) -> bool:
        """Whether ``advance`` may have something to do."""
        if not self._prepared or self.closed:
            return False
        if self._outbox and self.congested and not self._stale:
            return False
        return self._steps is not None or bool(self._inbox) or bool(self._outbox)

    def advance(self) -> Wave | None:
        """Go on until the network is needed, and return what it should see; None: all is done,
        or, while the session is still ``ready``, it is the others' turn."""
        until = time.perf_counter() + _TURN_SECONDS
        while not self.closed:
            if self._stale:
                self._cut_short()
            if self._outbox and not self._send_waiting():
                return None
            if time.perf_counter() > until:
                return None
            if self._steps is None:
                if not self._inbox:
                    return None
                self._begin(self._inbox[0])
                self._inbox.popleft()
                continue
            try:
                run = self._steps.send(self._result)
            except StopIteration as stop:
                self._steps = self._result = None
                self._finish(stop.value)
            except LarsError as error:
                self._steps = self._result = None
                self._fail(error)
            else:
                self._chunks = run.chunks
                self.backend = None if run.own is None else run.network
                if self.live:
                    self._substitute.see(run)
                if not (self.live and self._too_late()):
                    return self._chunks
                self._replace()
        return None

    def _cut_short(self) -> None:
        """A RESET is on its way through the inbox: what it ends need not be gone on with."""
        self._outbox.clear()
        if self._steps is not None:
            self._steps.close()
            self._steps = self._result = None
        if self._flush is not None:
            flush, self._flush = self._flush, None
            self._send(self._error(CancelledError("a RESET ended this FLUSH"), flush.request))

    def _send_waiting(self) -> bool:
        """Send what the client has room for; True when that was all."""
        while self._outbox:
            if self.congested:
                return False
            self._send_bytes(self._outbox.popleft())
        return True

    def deliver(self, result: Wave) -> None:
        """The network's answer to the chunks of the last ``advance``."""
        if not self.live:
            self._result = result  # the stream checks it
        elif self._chunks is None or result.shape != self._shape(self._chunks):
            self.fail(EngineError(f"the model returned {result.shape}; the fallback replaces it"))
        elif np.count_nonzero(np.isfinite(result)) != result.size:
            self.fail(NonFiniteError("the model returned NaN or Inf; the fallback replaces it"))
        else:
            if self._substitute.mending:
                self._taint()
            self._result = self._substitute.mend(result, self._fallback == Open.DRY)

    def fail(self, error: Exception) -> None:
        """The network failed on the chunks of the last ``advance``."""
        if not isinstance(error, LarsError):
            error = EngineError(f"the model failed ({type(error).__name__}: {error})")
        if self.live:
            self._report(error)
            self._replace()
        else:
            self._steps = self._result = None
            self._fail(error)

    @property
    def _stale(self) -> bool:
        """Whether a RESET has come in that was not acted on yet."""
        return self._epoch != self.newest_epoch

    def abandon(self, error: LarsError) -> None:
        """The session ends here: tell the client, who may wait for several answers."""
        self.ended_by = error
        self.closed = True
        waiting = {self._flush.request} if self._flush else set()
        waiting |= {message.request for message in list(self._inbox)}
        # Without an answer to OPEN there is nothing else that the client knows of.
        waiting = waiting | {0} if self._prepared else {self.requested.request}
        for request in sorted(waiting):
            try:
                self._send(self._error(error, request))
            except LarsError:
                # This is the last resort: it must not fail itself.
                log.exception("error not sent", extra={"session": self.number})

    def _begin(self, message: Message) -> None:
        if isinstance(message, messages.Audio):
            self._bytes_out += len(message.data) + limits.HEADER_BYTES
            self._begin_audio(message)
        elif isinstance(message, messages.Flush):
            self._begin_flush(message)
        elif isinstance(message, messages.Reset):
            self._restart(message.position, message.epoch)
            self._reported = -math.inf  # a new life, whose first error is news
            self._forget()
            self._send(
                messages.ResetDone(
                    position=message.position, epoch=message.epoch, request=message.request
                )
            )
        elif isinstance(message, messages.Parameter):
            self._set(message)
        elif isinstance(message, messages.Hear):
            self._hear(message)
        elif isinstance(message, messages.Chain):
            self._chain(message)
        elif isinstance(message, messages.Stats):
            self._send(self._statistics(message.request))
        elif isinstance(message, Open):
            self._send(self._opened)

    def _begin_audio(self, message: messages.Audio) -> None:
        if self._failure or self._halted or self._stale or message.epoch != self._epoch:
            return  # of a life that is over: its sender knows, or was told
        try:
            self._place(message)
            wave = self._samples(message)
        except LarsError as error:
            if self.live:
                self._report(error)
            else:
                self._fail(error)
            return
        self._expected = message.position + message.frames
        self.taken += message.frames
        if self._hears and self.hearing is not None:
            # Before the stems that this block finishes: who has those has its hits.
            for news in self.hearing.push(message.position, wave, self._epoch):
                self._send(news)
        self._start(self._stream.push_steps(wave))

    def _place(self, message: messages.Audio) -> None:
        """Check that a block fits and is where it belongs; a live stream may jump ahead."""
        if self._ended:
            raise ProtocolError("audio after FLUSH: send RESET first")
        if message.streams != 1 or message.channels != self.requested.channels:
            raise InputError(
                f"a block of {message.streams} x {message.channels} channels in a stream of"
                f" {self.requested.channels}; open another stream for that"
            )
        check_position(message.position + message.frames)
        if message.position == self._expected:
            return
        if not self.live or message.position < self._expected:
            raise ProtocolError(f"audio at position {message.position}, expected {self._expected}")
        # The client lost blocks. What comes now is where it says it is.
        self._forget()
        self.dropped += message.position - self._expected
        self._restart(message.position, self._epoch)

    def _samples(self, message: messages.Audio) -> Wave:
        """The block ``(channels, n)``; for a live stream silence where it holds NaN or Inf."""
        wave: Wave = message.wave()[0]
        if np.count_nonzero(np.isfinite(wave)) == wave.size:
            return wave
        error = NonFiniteError(
            f"the block at position {message.position} holds NaN or Inf; repair it first"
        )
        if not self.live:
            raise error
        self._report(error)
        return np.zeros_like(wave)

    def _begin_flush(self, message: messages.Flush) -> None:
        if message.epoch != self._epoch:
            error = ProtocolError(f"FLUSH in epoch {message.epoch}, but it is {self._epoch}")
            self._send(self._error(error, message.request))
            return
        failure = self._failure
        if self._halted:
            failure = ProtocolError("a CHAIN has changed the stream: send RESET first")
        if failure:
            self._send(self._error(failure, message.request))
            return
        self._ended = True
        self._flush = message
        if self._hears and self.hearing is not None:
            for news in self.hearing.flush(self._epoch):
                self._send(news)
        self._start(self._stream.flush_steps())

    def _start(self, steps: Steps) -> None:
        """Begin a push or a flush."""
        self._steps, self._result = _at_once(steps) if self._alone else steps, None

    def _finish(self, stems: Wave) -> None:
        """A push or a flush is through."""
        try:
            stems = self._board.push(stems)
            if self._flush is not None:
                stems = np.concatenate([stems, self._board.flush()], axis=2)
        except LarsError as error:
            self._fail(error)
            return
        for problem in self._board.errors():
            if not self.live:
                self._fail(problem)
                return
            self._report(problem)
        self._give(stems)
        if self._flush is not None:
            done = messages.Flushed(
                position=self._output, epoch=self._epoch, request=self._flush.request
            )
            self._flush = None
            self._queue(encode(done, version=self.version))

    def _give(self, stems: Wave) -> None:
        most = limits.MAX_SAMPLES // (stems.shape[0] * stems.shape[1])
        most = min(most, limits.MAX_BLOCK)
        for start in range(0, stems.shape[2], most):
            part = stems[..., start : start + most]
            frames = part.shape[2]
            replaced = self._output < self._tainted
            if self.congested and self.live:
                self.dropped += frames
            else:
                flags = messages.Stems.REPLACED if replaced else 0
                self._queue(
                    encode_samples(
                        messages.Stems,
                        part,
                        position=self._output,
                        epoch=self._epoch,
                        flags=flags,
                        version=self.version,
                    )
                )
            self._output += frames
            self.given += frames
            self.replaced += frames if replaced else 0

    def _queue(self, data: bytes) -> None:
        """Send, live; offline when the client has read what there is: a window of a refined model
        is finished all at once, and more than may wait for a client."""
        if self.live or not (self._outbox or self.congested):
            self._send_bytes(data)
        else:
            self._outbox.append(data)

    def _too_late(self) -> bool:
        """Whether nobody waits any more for what the next run of the network would finish."""
        if self.latency is None or self._flush is not None:
            return False
        needed = self.newest - self.latency.total
        return self._output + self._step + late_slack(self.requested, self._largest) < needed

    def _replace(self) -> None:
        """Let the fallback take the network's place: in time, in place and cross-faded."""
        self._result = self._substitute.stems(self._fallback == Open.DRY)
        self._substitute.missed()
        self._taint()

    def _taint(self) -> None:
        """What comes next is not all the network's."""
        self._tainted = max(self._tainted, self._output + self._spread)

    def _shape(self, chunks: Wave) -> tuple[int, ...]:
        return (chunks.shape[0], self._outputs, *chunks.shape[1:])

    def _report(self, error: LarsError) -> None:
        """Tell a live client, now and then; the stream goes on."""
        self.errors += 1
        now = time.monotonic()
        if now - self._reported >= _ERROR_SECONDS:
            self._reported = now
            self._send(self._error(error))
            log.warning("live error", extra={"session": self.number, "error": str(error)})

    def _fail(self, error: LarsError) -> None:
        """The stream cannot go on; RESET starts anew."""
        self.errors += 1
        request = self._flush.request if self._flush else 0
        self._failure, self._flush = error, None
        self._send(self._error(error, request))
        log.warning("stream failed", extra={"session": self.number, "error": str(error)})


def _at_once(steps: Steps) -> Steps:
    """A push or flush that runs its networks itself, and so is never waited for."""
    yield from ()
    return run_steps(steps)
