# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of messages: each says in its metadata how it lies in the payload."""

from __future__ import annotations

from dataclasses import field
from typing import Any

__all__ = ["names", "number", "rest", "text", "u16", "u32"]


def number(kind: str, top: float | None = None, default: float = 0) -> Any:
    return field(default=default, metadata={"kind": kind, "top": top})


def u16(top: int = 0xFFFF, default: int = 0) -> Any:
    return number("u16", top, default)


def u32(default: int = 0) -> Any:
    return number("u32", None, default)


def text(limit: int) -> Any:
    return field(default="", metadata={"kind": "text", "limit": limit})


def names() -> Any:
    return field(default=(), metadata={"kind": "names"})


def rest(limit: int) -> Any:
    return field(default=b"", metadata={"kind": "rest", "limit": limit})
