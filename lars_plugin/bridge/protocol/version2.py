# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages that version 2 of the protocol adds; see ``messages``, which has them all."""

from __future__ import annotations

from dataclasses import dataclass

from lars_plugin.bridge.protocol import fields, limits
from lars_plugin.bridge.protocol.base import Message

__all__ = [
    "Convert",
    "Converted",
    "Fetch",
    "Fetched",
    "Hear",
    "Heard",
    "Hearing",
    "Hit",
    "Transcribe",
    "Transcribed",
]


@dataclass(frozen=True, kw_only=True)
class Hear(Message):
    """Has the hits in the stream's input told, or not any more."""

    TYPE = 30
    SINCE = 2
    on: int = fields.u16(1)
    reserved: int = fields.u16(0)


@dataclass(frozen=True, kw_only=True)
class Hearing(Message):
    """Answers HEAR: samples from a stroke to the end of the AUDIO by which it is known."""

    TYPE = 31
    SINCE = 2
    latency: int = fields.u32()


@dataclass(frozen=True, kw_only=True)
class Hit(Message):
    """A stroke at the header's position."""

    TYPE = 32
    SINCE = 2
    velocity: int = fields.u16(127, 100)
    reserved: int = fields.u16(0)
    confidence: float = fields.number("f64")
    stem: str = fields.text(limits.MAX_NAME)
    articulation: str = fields.text(limits.MAX_NAME)


@dataclass(frozen=True, kw_only=True)
class Heard(Message):
    """Every HIT before the header's position has been sent."""

    TYPE = 33
    SINCE = 2


@dataclass(frozen=True, kw_only=True)
class Fetch(Message):
    """Downloads a model's weights, unless they are there. Told of and cancelled like a JOB."""

    TYPE = 52
    SINCE = 2
    model: str = fields.text(limits.MAX_NAME)


@dataclass(frozen=True, kw_only=True)
class Fetched(Message):
    """The weights are on the engine's machine: their file."""

    TYPE = 53
    SINCE = 2
    file: str = fields.text(limits.MAX_PATH)


@dataclass(frozen=True, kw_only=True)
class Convert(Message):
    """Makes a WAV file of any audio file that the engine reads. Told of and cancelled like a JOB.

    A ``sample_rate`` of 0 is the file's own.
    """

    TYPE = 54
    SINCE = 2
    sample_rate: float = fields.number("f64")
    bits: str = fields.text(limits.MAX_NAME)
    source: str = fields.text(limits.MAX_PATH)
    target: str = fields.text(limits.MAX_PATH)


@dataclass(frozen=True, kw_only=True)
class Converted(Message):
    """The WAV file is written."""

    TYPE = 55
    SINCE = 2
    sample_rate: int = fields.u32()
    channels: int = fields.u16(limits.MAX_CHANNELS, 2)
    reserved: int = fields.u16(0)
    frames: int = fields.number("u64")


@dataclass(frozen=True, kw_only=True)
class Transcribe(Message):
    """Makes MIDI files of the stems in a folder. Told of and cancelled like a JOB.

    ``stems`` are in the order of the model. A ``tempo`` of 0 is 120 BPM.
    """

    TYPE = 56
    SINCE = 2
    tempo: float = fields.number("f64")
    source: str = fields.text(limits.MAX_PATH)
    folder: str = fields.text(limits.MAX_PATH)
    stems: tuple[str, ...] = fields.names()


@dataclass(frozen=True, kw_only=True)
class Transcribed(Message):
    """The MIDI files are written: that of all drums, then one per stem that has hits."""

    TYPE = 57
    SINCE = 2
    hits: int = fields.u32()
    folder: str = fields.text(limits.MAX_PATH)
    files: tuple[str, ...] = fields.names()
