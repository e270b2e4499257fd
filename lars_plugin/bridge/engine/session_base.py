# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session has, apart from running: its inbox, its stream and chains, its figures."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from lars_plugin.bridge.engine.board import Board
from lars_plugin.bridge.engine.chains import Built, ChainBuilder
from lars_plugin.bridge.engine.fallback import Fallback
from lars_plugin.bridge.engine.plan import Latency, plan_latency, plan_stream
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.codes import error_message
from lars_plugin.bridge.protocol.messages import Message, Open
from lars_plugin.bridge.protocol.wire import encode
from lars_plugin.chain.plugin_thread import end_on_plugin_thread
from lars_plugin.composites.composite import Composite
from lars_plugin.errors import InputError, LarsError, ProtocolError
from lars_plugin.model import AnyModel, Wave
from lars_plugin.separation.streams.base import Network, Steps

if TYPE_CHECKING:
    from lars_plugin.bridge.engine.hearing import Hearing

__all__ = ["SessionBase"]

_MOST_32, _MOST_64 = (1 << 32) - 1, (1 << 64) - 1


class SessionBase:
    """One stream's state; see ``Session``.

    Args:
        number: for logs and status.
        requested: the OPEN.
        client: the client's name.
    """

    def __init__(self, number: int, requested: Open, *, client: str = "") -> None:
        self.number = number
        self.requested = requested
        self.client = client
        self.version = limits.VERSION_MIN  # of the protocol on its connection
        self.live = requested.mode == Open.LIVE
        self.closed = False  # set by anyone, for good
        self.ended_by: LarsError | None = None  # why the engine ended it
        self.congested = False  # the client does not read; set by the network thread
        self.newest = requested.position  # end of the audio received; of the network thread
        self.newest_epoch = requested.epoch
        self.latency: Latency | None = None
        self.model_rate = 0
        self.stems: tuple[str, ...] = ()
        # What runs the chunks of the last ``advance``, where it has a state of this stream's; None
        # for the model's own, which may run the chunks of several streams together.
        self.backend: Network | None = None
        self.hearing: Hearing | None = None  # what HEAR wants, made before HEAR is acted on
        self.chain_builder: ChainBuilder | None = None  # used on the plugin thread
        self.built: deque[Built] = deque()  # for each CHAIN in the inbox, its effects
        self.busy = 0.0  # seconds of computation
        self.taken = self.given = self.replaced = self.dropped = self.errors = 0
        self.effects = 0  # behind its stems, of CHAIN
        self._send_bytes: Callable[[bytes], None] = _nowhere
        self._inbox: deque[Message] = deque([requested])
        self._prepared = self._hears = False
        self._halted = False  # a CHAIN has changed the stream: until RESET there is no audio
        self._bytes_in = self._bytes_out = self._largest = 0
        self._fallback = requested.fallback
        self._steps: Steps | None = None
        self._result: Wave | None = None
        self._chunks: Wave | None = None
        self._flush: Message | None = None
        self._outbox: deque[bytes] = deque()  # offline: what waits until the client has read
        self._failure: LarsError | None = None
        self._reported = -math.inf
        self._restart(requested.position, requested.epoch)

    @property
    def prepared(self) -> bool:
        """Whether its stream and its chains are made."""
        return self._prepared

    # Called by the network thread.

    def connect(self, send: Callable[[bytes], None]) -> None:
        """How to send an encoded message to the client: from any thread, without waiting."""
        self._send_bytes = send

    def check_goes_on(self) -> None:
        """For work that took its time.

        Raises:
            LarsError: why the engine ended the stream meanwhile.
        """
        if self.ended_by is not None:
            raise self.ended_by.with_traceback(None)  # or each raise would lengthen it

    def put(self, message: Message) -> None:
        """Queue a message of the client."""
        if isinstance(message, messages.Audio):
            end = message.position + message.frames
            if message.epoch == self.newest_epoch and end <= limits.MAX_STREAM_END:
                self.newest = end
            self._largest = max(self._largest, message.frames)
            self._bytes_in += len(message.data) + limits.HEADER_BYTES
        elif isinstance(message, messages.Reset):
            self.newest, self.newest_epoch = message.position, message.epoch
        self._inbox.append(message)

    @property
    def queued_bytes(self) -> int:
        """Audio that waits for its turn."""
        return self._bytes_in - self._bytes_out

    def prepare(self, model: AnyModel) -> None:
        """Make the stream and its chains, before anything else; on a thread of its own, because
        plugins may take their time.

        Raises:
            LarsError: the settings, or the board, do not fit.
        """
        requested = self.requested
        self._stream, chunking = plan_stream(model, requested)
        self.stems, self.model_rate = self._stream.stems, model.config.sample_rate
        self._outputs = len(model.config.stems)
        # The parts of a composite run their own networks, in turn: no other stream's chunks join.
        self._alone = isinstance(model, Composite) and not model.fused
        self._board = Board(requested.board, self.stems, requested.sample_rate, requested.channels)
        self.latency = plan_latency(
            requested, self._stream, chunking, self.model_rate, self._board.latency_samples
        )
        ratio = requested.sample_rate / self.model_rate
        step = chunking.batch_size * chunking.step
        self._step = math.ceil(step * ratio)
        self._spread = math.ceil((step + chunking.fade) * ratio) + self.latency.resampling
        causal = chunking.convention == "causal"
        self._substitute = Fallback(
            self._outputs, len(self.stems), chunking.lookahead if causal else 0
        )
        self._opened = messages.Opened(
            position=requested.position,
            epoch=requested.epoch,
            request=requested.request,
            session=self.number,
            model_rate=self.model_rate,
            latency=self.latency.total,
            model_latency=self.latency.model,
            resampling_latency=self.latency.resampling,
            buffering_latency=self.latency.buffering,
            board_latency=self.latency.board,
            channels=requested.channels,
            stems=self.stems,
        )
        self._prepared = True

    # Called by the model's thread.

    def release(self) -> None:
        """Let go of everything large; for a closed session, by the last to touch it."""
        self._send_bytes = _ignore  # breaks the ring of session and connection
        self._steps = self._result = self._chunks = self.hearing = None
        self._inbox.clear()
        self._outbox.clear()
        if self._prepared:
            self._prepared = False
            self.backend = None
            things: list[object] = [self._board, self.chain_builder]
            with_plugins = self._board.has_plugins or self.chain_builder is not None
            self.chain_builder = None
            del self._stream, self._board, self._substitute
            if with_plugins:
                end_on_plugin_thread(things)
                end_on_plugin_thread(self.built)  # to which one that is being made still comes

    def _forget(self) -> None:
        """All audio, everywhere."""
        self._stream.reset()
        if self.hearing is not None:
            self.hearing.reset()
        self._substitute.forget()
        self._board.reset()

    def _restart(self, position: int, epoch: int) -> None:
        self._failure = None
        self._halted = False
        self._epoch = epoch
        self._expected = self._output = self._tainted = position
        self._ended = False

    def _send(self, message: Message) -> None:
        self._send_bytes(encode(message, version=self.version))

    def _error(self, error: LarsError, request: int = 0) -> messages.Error:
        position = min(self._expected, limits.MAX_POSITION)
        return error_message(error, request=request, position=position, epoch=self._epoch)

    def _set(self, message: messages.Parameter) -> None:
        try:
            if message.name == "fallback":
                if message.value not in (Open.DRY, Open.SILENCE):
                    raise InputError(
                        f"fallback must be 0 (dry) or 1 (silence), got {message.value}"
                    )
                self._fallback = int(message.value)
                value = float(self._fallback)
            else:
                value = self._board.set(message.name, message.value)
        except LarsError as error:
            self._send(self._error(error, message.request))
            return
        self._send(messages.ParameterSet(name=message.name, value=value, request=message.request))

    def _hear(self, message: messages.Hear) -> None:
        """Begin or end to tell of hits."""
        if not message.on:
            self.hearing = None
        self._hears = self.hearing is not None
        latency = self.hearing.latency_samples if self.hearing is not None else 0
        self._send(messages.Hearing(latency=latency, epoch=self._epoch, request=message.request))

    def _chain(self, message: messages.Chain) -> None:
        """Exchange the effects behind the stems."""
        built = self.built.popleft()
        self.effects = sum(map(len, built.slots.values()))
        anew = self._board.change(built)
        if self.latency is not None:
            self.latency = dataclasses.replace(self.latency, board=self._board.latency_samples)
        if anew:
            # What comes next belongs to another stream, so nothing of this one comes any more.
            self._halted = True
            self._outbox.clear()
        self._send(
            messages.ChainState(
                position=message.position,
                epoch=self._epoch,
                request=message.request,
                latency=self.latency.total if self.latency else 0,
                board_latency=self._board.latency_samples,
                anew=int(anew),
                total=int(self._board.total),
                chains=self._board.described(states=built.states),
            )
        )

    def _statistics(self, request: int) -> messages.Statistics:
        return messages.Statistics(
            request=request,
            taken=min(self.taken, _MOST_64),
            given=min(self.given, _MOST_64),
            replaced=min(self.replaced, _MOST_64),
            dropped=min(self.dropped, _MOST_64),  # a client's positions can make it any size
            errors=min(self.errors, _MOST_32),
            queued=min(self.queued_samples, _MOST_32),
            real_time_ratio=self.real_time_ratio,
        )

    # Called by any thread.

    @property
    def real_time_ratio(self) -> float:
        """Seconds of computation per second of audio: below 1 is faster than real time."""
        seconds = self.taken / self.requested.sample_rate
        return self.busy / seconds if seconds else 0.0

    @property
    def queued_samples(self) -> int:
        """Audio waiting in the inbox, in samples."""
        return max(0, self.queued_bytes) // (4 * self.requested.channels)

    def status(self) -> dict[str, object]:
        """For ``lars serve --status``; JSON types only."""
        return {
            "session": self.number,
            "client": self.client,
            "model": self.requested.model,
            "mode": "live" if self.live else "offline",
            "sample_rate": self.requested.sample_rate,
            "channels": self.requested.channels,
            "latency_samples": self.latency.total if self.latency else 0,
            "real_time_ratio": round(self.real_time_ratio, 6),
            "replaced_samples": self.replaced,
            "dropped_samples": self.dropped,
            "errors": self.errors,
            "effects": self.effects,
            "queued_samples": self.queued_samples,
        }


def _ignore(data: bytes) -> None:
    """Where a closed session sends to."""


def _nowhere(data: bytes) -> None:
    raise ProtocolError(f"{len(data)} bytes to send: the session is not connected")
