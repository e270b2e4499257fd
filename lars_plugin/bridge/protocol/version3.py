# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages that version 3 of the protocol adds; see ``messages``, which has them all."""

from __future__ import annotations

from dataclasses import dataclass

from lars_plugin.bridge.protocol import fields, limits
from lars_plugin.bridge.protocol.base import Message

__all__ = ["Chain", "ChainState", "Effects", "EffectsReport"]


@dataclass(frozen=True, kw_only=True)
class Chain(Message):
    """Sets the effects behind each stem of the stream: a JSON object.

    With ``total`` 1, STEMS have one more stream at the end: the sum of the stems before their
    chains. With ``states`` 1, CHAIN_STATE tells the states of plugins on disk.
    """

    TYPE = 34
    SINCE = 3
    total: int = fields.u16(1)
    states: int = fields.u16(1)
    chains: bytes = fields.rest(limits.MAX_CHAIN)


@dataclass(frozen=True, kw_only=True)
class ChainState(Message):
    """Answers CHAIN: latencies in samples of the stream's rate, and the chains, a JSON object.

    ``anew`` 1: the stream is another, and RESET must come before more AUDIO.
    """

    TYPE = 35
    SINCE = 3
    latency: int = fields.u32()
    board_latency: int = fields.u32()
    anew: int = fields.u16(1)
    total: int = fields.u16(1)
    chains: bytes = fields.rest(limits.MAX_CHAIN)


@dataclass(frozen=True, kw_only=True)
class Effects(Message):
    """Asks which effects there are."""

    TYPE = 58
    SINCE = 3


@dataclass(frozen=True, kw_only=True)
class EffectsReport(Message):
    """The effects that a CHAIN can have, a JSON object."""

    TYPE = 59
    SINCE = 3
    report: bytes = fields.rest(limits.MAX_CHAIN)
