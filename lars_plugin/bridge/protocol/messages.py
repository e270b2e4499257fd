# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the protocol as frozen dataclasses: one table that encoder and decoder read.

Each field says in its metadata how it lies in the payload; the fields of ``Message`` itself lie
in the header.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from lars_plugin.bridge.protocol import fields, limits
from lars_plugin.bridge.protocol.base import Message
from lars_plugin.bridge.protocol.version2 import (
    Convert,
    Converted,
    Fetch,
    Fetched,
    Hear,
    Heard,
    Hearing,
    Hit,
    Transcribe,
    Transcribed,
)
from lars_plugin.bridge.protocol.version3 import Chain, ChainState, Effects, EffectsReport
from lars_plugin.errors import InputError

__all__ = [
    "BY_TYPE",
    "FROM_CLIENT",
    "FROM_ENGINE",
    "Audio",
    "Chain",
    "ChainState",
    "Close",
    "Closed",
    "Convert",
    "Converted",
    "Effects",
    "EffectsReport",
    "Error",
    "Fetch",
    "Fetched",
    "Flush",
    "Flushed",
    "Hear",
    "Heard",
    "Hearing",
    "Hello",
    "Hit",
    "Job",
    "JobCancel",
    "JobDone",
    "JobProgress",
    "Message",
    "Open",
    "Opened",
    "Parameter",
    "ParameterSet",
    "Ping",
    "Pong",
    "Reset",
    "ResetDone",
    "Samples",
    "Statistics",
    "Stats",
    "Status",
    "StatusReport",
    "Stems",
    "Transcribe",
    "Transcribed",
    "Welcome",
]


Frame = TypeVar("Frame", bound="Samples")


@dataclass(frozen=True, kw_only=True)
class Hello(Message):
    """First message of a client. The token is empty on a Unix socket, and never printed."""

    TYPE = 1
    GREETING = True
    min_version: int = fields.u16(default=limits.VERSION_MIN)
    max_version: int = fields.u16(default=limits.VERSION_MIN)
    client: str = fields.text(limits.MAX_NAME)
    token: str = field(
        default="", repr=False, metadata={"kind": "text", "limit": 2 * limits.TOKEN_BYTES}
    )


@dataclass(frozen=True, kw_only=True)
class Welcome(Message):
    """The engine accepts: the version that holds from now on, and what it offers."""

    TYPE = 2
    GREETING = True
    version: int = fields.u16()
    reserved: int = fields.u16(0)
    pid: int = fields.u32()
    max_block: int = fields.u32()
    max_sessions: int = fields.u32()
    engine: str = fields.text(limits.MAX_NAME)
    models: tuple[str, ...] = fields.names()


@dataclass(frozen=True, kw_only=True)
class Error(Message):
    """Something failed. ``fatal``: the sender closes the connection after it."""

    TYPE = 3
    code: int = fields.u16()
    fatal: int = fields.u16(1)
    message: str = fields.text(limits.MAX_TEXT)


@dataclass(frozen=True, kw_only=True)
class Ping(Message):
    """Asks for a PONG with the same payload."""

    TYPE = 4
    payload: bytes = fields.rest(limits.MAX_PING)


@dataclass(frozen=True, kw_only=True)
class Pong(Message):
    """Answers a PING."""

    TYPE = 5
    payload: bytes = fields.rest(limits.MAX_PING)


@dataclass(frozen=True, kw_only=True)
class Open(Message):
    """Opens the connection's stream, or replaces it. Position and epoch start where this says."""

    TYPE = 16
    LIVE: ClassVar[int] = 0
    OFFLINE: ClassVar[int] = 1
    DRY: ClassVar[int] = 0
    SILENCE: ClassVar[int] = 1
    mode: int = fields.u16(1)
    fallback: int = fields.u16(1)
    channels: int = fields.u16(limits.MAX_CHANNELS, 2)
    reserved: int = fields.u16(0)
    max_block: int = fields.u32(default=1024)
    buffering: int = fields.u32(default=limits.ENGINE_CHOICE)
    step: int = fields.u32(default=limits.ENGINE_CHOICE)
    lookahead: int = fields.u32(default=limits.ENGINE_CHOICE)
    batch: int = fields.u32(default=limits.ENGINE_CHOICE)
    sample_rate: float = fields.number("f64", default=44100.0)
    overlap: float = fields.number("f64")
    model: str = fields.text(limits.MAX_NAME)
    preset: str = fields.text(limits.MAX_NAME)
    board: str = fields.text(limits.MAX_PATH)
    stems: tuple[str, ...] = fields.names()


@dataclass(frozen=True, kw_only=True)
class Opened(Message):
    """The stream is open. Latency and its terms in samples of the stream's rate."""

    TYPE = 17
    session: int = fields.u32()
    model_rate: int = fields.u32()
    latency: int = fields.u32()
    model_latency: int = fields.u32()
    resampling_latency: int = fields.u32()
    buffering_latency: int = fields.u32()
    board_latency: int = fields.u32()
    channels: int = fields.u16(limits.MAX_CHANNELS, 2)
    reserved: int = fields.u16(0)
    stems: tuple[str, ...] = fields.names()


@dataclass(frozen=True, kw_only=True)
class Close(Message):
    """Ends the stream; the connection stays."""

    TYPE = 18


@dataclass(frozen=True, kw_only=True)
class Closed(Message):
    """Answers CLOSE."""

    TYPE = 19


@dataclass(frozen=True, kw_only=True)
class Reset(Message):
    """Forgets all audio; goes on at the header's position in the header's epoch."""

    TYPE = 20


@dataclass(frozen=True, kw_only=True)
class ResetDone(Message):
    """Answers RESET; no stems of an earlier epoch follow."""

    TYPE = 21


@dataclass(frozen=True, kw_only=True)
class Samples(Message):
    """A frame of audio: ``streams`` x ``channels`` x ``frames`` float32, planar."""

    streams: int = fields.u16(limits.MAX_STREAMS, 1)
    channels: int = fields.u16(limits.MAX_CHANNELS, 2)
    frames: int = fields.number("u32", limits.MAX_BLOCK)
    data: bytes = field(default=b"", repr=False, metadata={"kind": "audio"})

    def wave(self) -> NDArray[np.float32]:
        """Read-only view ``(streams, channels, frames)`` float32."""
        flat = np.frombuffer(self.data, "<f4")
        return flat.reshape(self.streams, self.channels, self.frames)

    @classmethod
    def quick(
        cls: type[Frame],
        position: int,
        epoch: int,
        request: int,
        flags: int,
        streams: int,
        channels: int,
        frames: int,
        data: bytes,
    ) -> Frame:
        """The same message in a third of the time, for the decoder, which has checked all."""
        message = cls.__new__(cls)
        message.__dict__.update(
            position=position, epoch=epoch, request=request, flags=flags,
            streams=streams, channels=channels, frames=frames, data=data,
        )  # fmt: skip
        return message

    @staticmethod
    def planar(wave: NDArray[np.float32]) -> dict[str, Any]:
        """The fields for a wave ``(channels, frames)`` or ``(streams, channels, frames)``."""
        if wave.ndim == 2:
            wave = wave[None]
        if wave.ndim != 3:
            raise InputError(f"audio must be (channels, samples), got shape {wave.shape}")
        streams, channels, frames = wave.shape
        data = np.asarray(wave, "<f4").tobytes()
        return {"streams": streams, "channels": channels, "frames": frames, "data": data}


@dataclass(frozen=True, kw_only=True)
class Audio(Samples):
    """A block of the mixture; ``streams`` is 1."""

    TYPE = 22


@dataclass(frozen=True, kw_only=True)
class Stems(Samples):
    """Finished stems. With the flag REPLACED some of it is the fallback, not the model's."""

    TYPE = 23
    REPLACED: ClassVar[int] = 1
    FLAGS = 1


@dataclass(frozen=True, kw_only=True)
class Flush(Message):
    """Ends the input: what is missing of the output follows, then FLUSHED."""

    TYPE = 24


@dataclass(frozen=True, kw_only=True)
class Flushed(Message):
    """Answers FLUSH; its position is the end of the stream."""

    TYPE = 25


@dataclass(frozen=True, kw_only=True)
class Parameter(Message):
    """Sets ``fallback`` or ``board/<stem>/<index>/<parameter>``."""

    TYPE = 26
    value: float = fields.number("f64")
    name: str = fields.text(limits.MAX_TEXT)


@dataclass(frozen=True, kw_only=True)
class ParameterSet(Message):
    """Answers PARAMETER with the value now in force."""

    TYPE = 27
    value: float = fields.number("f64")
    name: str = fields.text(limits.MAX_TEXT)


@dataclass(frozen=True, kw_only=True)
class Stats(Message):
    """Asks for the stream's figures."""

    TYPE = 28


@dataclass(frozen=True, kw_only=True)
class Statistics(Message):
    """The stream's figures since OPEN."""

    TYPE = 29
    taken: int = fields.number("u64")
    given: int = fields.number("u64")
    replaced: int = fields.number("u64")
    dropped: int = fields.number("u64")
    errors: int = fields.u32()
    queued: int = fields.u32()
    real_time_ratio: float = fields.number("f64")


@dataclass(frozen=True, kw_only=True)
class Job(Message):
    """Separates a file: absolute paths, on the engine's machine."""

    TYPE = 48
    overwrite: int = fields.u16(1)
    reserved: int = fields.u16(0)
    overlap: float = fields.number("f64")
    model: str = fields.text(limits.MAX_NAME)
    preset: str = fields.text(limits.MAX_NAME)
    bits: str = fields.text(limits.MAX_NAME)
    source: str = fields.text(limits.MAX_PATH)
    folder: str = fields.text(limits.MAX_PATH)
    stems: tuple[str, ...] = fields.names()


@dataclass(frozen=True, kw_only=True)
class JobProgress(Message):
    """So many samples of so many are done."""

    TYPE = 49
    done: int = fields.number("u64")
    total: int = fields.number("u64")


@dataclass(frozen=True, kw_only=True)
class JobCancel(Message):
    """Asks the job to stop; an ERROR of code `cancelled` answers the JOB."""

    TYPE = 50


@dataclass(frozen=True, kw_only=True)
class JobDone(Message):
    """The files are written: ``<folder>/<stem>.wav``."""

    TYPE = 51
    folder: str = fields.text(limits.MAX_PATH)
    files: tuple[str, ...] = fields.names()


@dataclass(frozen=True, kw_only=True)
class Status(Message):
    """Asks for the engine's state."""

    TYPE = 64


@dataclass(frozen=True, kw_only=True)
class StatusReport(Message):
    """The engine's state, a JSON object."""

    TYPE = 65
    report: bytes = fields.rest(limits.MAX_JSON)


FROM_CLIENT: frozenset[type[Message]] = frozenset(
    {Hello, Ping, Open, Close, Reset, Audio, Flush, Parameter, Stats, Job, JobCancel, Status}
    | {Fetch, Convert, Hear, Transcribe, Chain, Effects}
)
FROM_ENGINE: frozenset[type[Message]] = frozenset(
    {Welcome, Error, Pong, Opened, Closed, ResetDone, Stems, Flushed, ParameterSet, Statistics}
    | {JobProgress, JobDone, StatusReport, Fetched, Converted, Transcribed}
    | {Hearing, Hit, Heard, ChainState, EffectsReport}
)
BY_TYPE: dict[int, type[Message]] = {kind.TYPE: kind for kind in FROM_CLIENT | FROM_ENGINE}
