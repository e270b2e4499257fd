# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference client: a stream of stems from an engine in another process."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lars_plugin.bridge.client.alignment import Aligner
from lars_plugin.bridge.client.chains import ChainClient
from lars_plugin.bridge.client.link import Address, Link
from lars_plugin.bridge.protocol import limits, messages
from lars_plugin.bridge.protocol.messages import Message, Open
from lars_plugin.bridge.protocol.wire import encode_samples
from lars_plugin.errors import BridgeError, InputError, LarsError
from lars_plugin.stems import Stems

__all__ = ["Client", "StreamStats"]

Wave = NDArray[np.float32]

# A live client that cannot get rid of its audio drops blocks rather than let it grow old.
_MAX_UNSENT = 1 << 20


@dataclass(frozen=True)
class StreamStats:
    """A stream's figures; samples are per channel.

    Attributes:
        taken, given: samples that the engine took and gave.
        replaced: samples of it that are the fallback: too late to compute, or the model failed.
        dropped: samples the engine had to leave out.
        errors: of the model and the input, since OPEN.
        queued: samples waiting in the engine.
        real_time_ratio: seconds of computation per second of audio, below 1 keeps up.
        missing: samples this client replaced, because they had not come when due.
        late: samples this client threw away, because they came after that.
        unsent: samples this client dropped, because the engine did not take them.
    """

    taken: int
    given: int
    replaced: int
    dropped: int
    errors: int
    queued: int
    real_time_ratio: float
    missing: int
    late: int
    unsent: int


class Client(ChainClient):
    """An engine's client with a stream; one at a time.

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
        self._open: Open | None = None
        self._opened: messages.Opened | None = None
        self._aligner: Aligner | None = None
        self._epoch = 0
        self._collect: list[messages.Stems] | None = None
        self._flushed = False
        self._unsent = 0
        super().__init__(address, token=token, name=name, timeout=timeout)

    def open(
        self,
        model: str,
        sample_rate: float = 44100.0,
        channels: int = 2,
        *,
        mode: Literal["live", "offline"] = "live",
        max_block: int = 1024,
        fallback: Literal["dry", "silence"] = "dry",
        stems: Sequence[str] | None = None,
        step: int | None = None,
        lookahead: int | None = None,
        buffering: int | None = None,
        preset: str | None = None,
        overlap: float | None = None,
        batch_size: int | None = None,
        board: str | os.PathLike[str] | None = None,
    ) -> messages.Opened:
        """Open the stream, or another one instead of it.

        Args:
            model: a name of ``engine.models``.
            sample_rate: Hz, any from 1 kHz to 768 kHz.
            channels: 1, or the model's.
            mode: ``live`` has a fixed latency and replaces what is late; ``offline`` waits.
            max_block: the largest block to come; decides about live buffering.
            fallback: what replaces stems that are late: a share of the mixture, or silence.
            stems: those wanted, in this order; all for None.
            step, lookahead: live: samples at the model's rate; see PROTOCOL.md.
            buffering: live: samples that the engine may take for its work.
            preset, overlap, batch_size: offline: as for ``Separator``.
            board: a board file; its plugins run on the stems in the engine.

        Raises:
            LarsError: of whatever kind the engine found wrong.
        """
        if mode not in ("live", "offline") or fallback not in ("dry", "silence"):
            raise InputError(f"unknown mode {mode!r} or fallback {fallback!r}")
        return self._start(
            Open(
                epoch=self._epoch + 1,
                mode=Open.LIVE if mode == "live" else Open.OFFLINE,
                fallback=Open.DRY if fallback == "dry" else Open.SILENCE,
                channels=channels,
                max_block=max_block,
                buffering=_or_choice(buffering),
                step=_or_choice(step),
                lookahead=_or_choice(lookahead),
                batch=_or_choice(batch_size),
                sample_rate=float(sample_rate),
                overlap=overlap or 0.0,
                model=model,
                preset=preset or "",
                board=str(Path(board).absolute()) if board is not None else "",
                stems=tuple(stems or ()),
            )
        )

    def _start(self, requested: Open) -> messages.Opened:
        self._aligner = self._opened = None
        self._epoch = requested.epoch
        self._flushed = False
        opened = self._ask(requested, messages.Opened)
        self._open, self._opened = requested, opened
        self._aligner = _aligner(requested, opened, requested.position)
        return opened

    def reopen(self) -> messages.Opened:
        """Connect again after the engine was lost, and go on at the same position, without the
        effects of ``set_chain``.

        Raises:
            ConnectionLostError: there is still no engine.
        """
        requested, aligner = self._open, self._aligner
        if requested is None or aligner is None:
            raise BridgeError("no stream was open; call open()")
        self.close()
        self._answers.clear()
        self._link = self._connect()
        before = self._opened
        opened = self._start(
            dataclasses.replace(
                requested, position=aligner.position, epoch=self._epoch + 1, request=0
            )
        )
        if before is not None and (before.latency, before.stems) == (opened.latency, opened.stems):
            self._aligner = aligner  # what went in before the loss is still due, dry
            aligner.give_up(aligner.position)
        elif self._aligner is not None:
            self._aligner.missing, self._aligner.late = aligner.missing, aligner.late
        return opened

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems, in order."""
        return self._stream()[1].stems

    @property
    def latency_samples(self) -> int:
        """Samples by which ``process`` is late; only ``set_chain`` changes it."""
        return self._stream()[1].latency

    @property
    def missing_samples(self) -> int:
        """Samples replaced so far because they had not come when due; asks nobody."""
        return self._stream()[2].missing

    def process(self, block: NDArray[np.floating[Any]], *, patience: float | None = None) -> Stems:
        """Send a block ``(channels, n)``, n from 1 to 65536, and get n samples of each stem.

        They are late by ``latency_samples``; before the stream's start there is silence.

        Live: what has not come after ``patience`` seconds (the block's duration for None) is
        replaced by the fallback, and so is everything while the engine is away: see ``stats``,
        ``connected`` and ``reopen``. Offline: waits as long as the engine lives.

        Raises:
            InputError: the block's shape is wrong.
            LarsError: offline: what went wrong with the stream.
        """
        requested, opened, aligner = self._stream()
        wave = np.asarray(block, np.float32)
        if wave.ndim != 2 or wave.shape[0] != requested.channels:
            raise InputError(f"audio must be ({requested.channels}, samples), got {wave.shape}")
        count = wave.shape[1]
        if not 1 <= count <= limits.MAX_BLOCK:
            raise InputError(f"a block has 1 to {limits.MAX_BLOCK} samples, got {count}")
        if self._flushed:
            raise InputError("the stream was flushed; call reset() before going on")
        live = requested.mode == Open.LIVE
        position = aligner.position
        aligner.take(wave)
        if not live:
            self._send_audio(position, wave)
            self._live_link().wait(lambda: self._arrived(aligner, count))
        elif self._link is not None:
            if patience is None:
                patience = count / requested.sample_rate
            try:
                self._process_live(self._link, position, wave, patience, aligner)
            except LarsError as error:
                self._lose(error)
        out, _ = aligner.give(count)
        return Stems(dict(zip(opened.stems, out, strict=True)), requested.sample_rate)

    def _process_live(
        self, link: Link, position: int, wave: Wave, patience: float, aligner: Aligner
    ) -> None:
        count = wave.shape[1]
        if link.unsent > _MAX_UNSENT:
            link.pump()
        if link.unsent <= _MAX_UNSENT:
            self._send_audio(position, wave)
        else:
            self._unsent += count
            aligner.give_up(position + count)
        link.pump()
        if not aligner.complete(count):
            link.wait(lambda: aligner.complete(count), time.monotonic() + patience)

    def _arrived(self, aligner: Aligner, count: int) -> bool:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return aligner.complete(count)

    def flush(self) -> Stems:
        """End the stream and get the last ``latency_samples`` of each stem.

        Raises:
            LarsError: what went wrong with the stream, or the engine was lost.
        """
        requested, opened, aligner = self._stream()
        if not self._flushed:
            self._ask(
                messages.Flush(position=aligner.position, epoch=self._epoch), messages.Flushed
            )
            self._flushed = True
        out, _ = aligner.give(opened.latency)
        return Stems(dict(zip(opened.stems, out, strict=True)), requested.sample_rate)

    def reset(self) -> None:
        """Forget all audio and start at position 0 again."""
        self._reset_to(0)

    def _reset_to(self, position: int) -> None:
        _, _, aligner = self._stream()
        self._epoch += 1
        self._flushed = False
        self.error = None
        aligner.restart(position)
        self._ask(messages.Reset(position=position, epoch=self._epoch), messages.ResetDone)

    def separate(self, audio: NDArray[np.floating[Any]], *, block: int = 1 << 14) -> Stems:
        """A whole recording ``(channels, samples)`` through an offline stream, from the start.

        Audio and stems travel at the same time. The stems are as long as the audio.

        Raises:
            LarsError: what went wrong with the stream.
        """
        requested, opened, aligner = self._stream()
        if requested.mode != Open.OFFLINE:
            raise InputError("separate() needs a stream opened with mode='offline'")
        if aligner.position or self._flushed:
            self.reset()
        wave = np.asarray(audio, np.float32)
        if wave.ndim != 2 or wave.shape[0] != requested.channels:
            raise InputError(f"audio must be ({requested.channels}, samples), got {wave.shape}")
        link, samples = self._live_link(), wave.shape[1]
        out = np.zeros((len(opened.stems), requested.channels, samples), np.float32)
        self._collect = []
        try:
            for start in range(0, samples, block):
                self._send_audio(start, wave[:, start : start + block])
                link.wait(lambda: self._sent(link))
                self._put_down(out)
            self._ask(messages.Flush(position=samples, epoch=self._epoch), messages.Flushed)
            self._put_down(out)
        finally:
            self._collect = None
            self._flushed = True
        return Stems(dict(zip(opened.stems, out, strict=True)), requested.sample_rate)

    def _sent(self, link: Link) -> bool:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return link.unsent < _MAX_UNSENT

    def _put_down(self, out: Wave) -> None:
        for stems in self._collect or ():
            out[..., stems.position : stems.position + stems.frames] = stems.wave()
        if self._collect:
            self._collect.clear()

    def set_parameter(self, name: str, value: float) -> float:
        """Set ``fallback`` or ``board/<stem>/<index>/<parameter>``; the value now in force."""
        answer = self._ask(messages.Parameter(name=name, value=float(value)), messages.ParameterSet)
        return answer.value

    def _chain_is(self, state: messages.ChainState) -> None:
        requested, opened, aligner = self._stream()
        if not state.anew:
            return
        self._opened = dataclasses.replace(
            opened, latency=state.latency, board_latency=state.board_latency
        )
        self._aligner = _aligner(requested, self._opened, aligner.position)
        self._aligner.missing, self._aligner.late = aligner.missing, aligner.late
        self._reset_to(aligner.position)

    def stats(self) -> StreamStats:
        """The stream's figures, the engine's and this client's."""
        _, _, aligner = self._stream()
        found = self._ask(messages.Stats(), messages.Statistics)
        return StreamStats(
            taken=found.taken,
            given=found.given,
            replaced=found.replaced,
            dropped=found.dropped,
            errors=found.errors,
            queued=found.queued,
            real_time_ratio=found.real_time_ratio,
            missing=aligner.missing,
            late=aligner.late,
            unsent=self._unsent,
        )

    def _stream(self) -> tuple[Open, messages.Opened, Aligner]:
        if self._open is None or self._opened is None or self._aligner is None:
            raise BridgeError("no stream is open; call open()")
        return self._open, self._opened, self._aligner

    def _send_audio(self, position: int, wave: Wave) -> None:
        link = self._live_link()
        link.send_bytes(
            encode_samples(
                messages.Audio,
                wave,
                position=position,
                epoch=self._epoch,
                version=link.version,
            )
        )

    def _receive(self, message: Message) -> None:
        if isinstance(message, messages.Stems):
            if message.epoch != self._epoch:
                return  # of a life that is over
            if self._collect is not None:
                self._collect.append(message)
            elif self._aligner is not None:
                self._aligner.store(message.position, message.wave())
        elif not isinstance(message, messages.Error) or message.epoch in (0, self._epoch):
            super()._receive(message)


def _aligner(requested: Open, opened: messages.Opened, position: int) -> Aligner:
    dry = requested.fallback == Open.DRY
    return Aligner(len(opened.stems), opened.channels, opened.latency, position=position, dry=dry)


def _or_choice(value: int | None) -> int:
    return limits.ENGINE_CHOICE if value is None else value
