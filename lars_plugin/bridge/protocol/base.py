# SPDX-License-Identifier: GPL-3.0-or-later
"""What all messages share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Message"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """What every message has, in its header.

    Attributes:
        position: samples since the stream's start; of the first sample for audio and stems.
        epoch: which life of the stream; a RESET starts the next.
        request: a number the sender chose; an answer or an error repeats it.
        flags: bits that a message type defines; 0 elsewhere.
    """

    TYPE: ClassVar[int] = -1
    FLAGS: ClassVar[int] = 0  # the bits that are defined
    SINCE: ClassVar[int] = 1  # the version of the protocol that has it first
    GREETING: ClassVar[bool] = False  # in version 1 for ever

    position: int = 0
    epoch: int = 0
    request: int = 0
    flags: int = 0
