# SPDX-License-Identifier: GPL-3.0-or-later
"""How the payload of each message lies: packed, taken apart and checked, field by field.

The table is the metadata of the fields in ``messages``; nothing here knows a single message.
"""

from __future__ import annotations

import math
import struct
from dataclasses import Field, fields

from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.messages import BY_TYPE, Message
from lars_plugin.errors import ProtocolError

__all__ = ["LAYOUTS", "Layout", "check", "max_payload", "pack", "unpack"]

_FORMATS = {"u16": "H", "u32": "I", "u64": "Q", "f64": "d"}
_IN_HEADER = frozenset(field.name for field in fields(Message))


class Layout:
    """How the payload of one message type lies: numbers first, then what has a length."""

    def __init__(self, kind: type[Message]) -> None:
        own = [field for field in fields(kind) if field.name not in _IN_HEADER]
        self.numbers = [field for field in own if field.metadata["kind"] in _FORMATS]
        self.others: list[Field[object]] = own[len(self.numbers) :]
        if any(field.metadata["kind"] in _FORMATS for field in self.others):
            raise TypeError(f"{kind.__name__}: numbers must stand before everything else")
        self.fixed = struct.Struct(
            "<" + "".join(_FORMATS[field.metadata["kind"]] for field in self.numbers)
        )
        self.longest = self.fixed.size + sum(_longest(field) for field in self.others)


def _longest(field: Field[object]) -> int:
    kind = field.metadata["kind"]
    if kind == "text":
        return 2 + int(field.metadata["limit"])
    if kind == "names":
        return 2 + limits.MAX_NAMES * (2 + limits.MAX_NAME)
    if kind == "audio":
        return 4 * limits.MAX_SAMPLES
    return int(field.metadata["limit"])


LAYOUTS = {kind: Layout(kind) for kind in BY_TYPE.values()}


def max_payload(kind: type[Message]) -> int:
    """The longest payload in bytes that a message of this type may have."""
    return LAYOUTS[kind].longest


def unpack(kind: type[Message], layout: Layout, payload: memoryview) -> dict[str, object]:
    name = kind.__name__
    if len(payload) < layout.fixed.size:
        raise ProtocolError(f"{name}: {len(payload)} bytes of payload are too few")
    numbers = layout.fixed.unpack_from(payload)
    values: dict[str, object] = {
        field.name: value for field, value in zip(layout.numbers, numbers, strict=True)
    }
    at = layout.fixed.size
    for field in layout.others:
        form = field.metadata["kind"]
        if form == "text":
            values[field.name], at = _take_text(payload, at, field.metadata["limit"], name)
        elif form == "names":
            count, at = _take_u16(payload, at, name)
            if count > limits.MAX_NAMES:
                raise ProtocolError(f"{name}: a list of {count}, at most {limits.MAX_NAMES}")
            names = []
            for _ in range(count):
                text, at = _take_text(payload, at, limits.MAX_NAME, name)
                names.append(text)
            values[field.name] = tuple(names)
        else:
            values[field.name], at = bytes(payload[at:]), len(payload)
    if at != len(payload):
        raise ProtocolError(f"{name}: {len(payload) - at} bytes too many")
    return values


def _take_u16(payload: memoryview, at: int, name: str) -> tuple[int, int]:
    if at + 2 > len(payload):
        raise ProtocolError(f"{name}: the payload ends too early")
    return payload[at] | payload[at + 1] << 8, at + 2


def _take_text(payload: memoryview, at: int, limit: int, name: str) -> tuple[str, int]:
    length, at = _take_u16(payload, at, name)
    if length > limit or at + length > len(payload):
        raise ProtocolError(f"{name}: a text of {length} bytes, at most {limit} and to the end")
    try:
        return bytes(payload[at : at + length]).decode("utf-8"), at + length
    except UnicodeDecodeError:
        raise ProtocolError(f"{name}: a text is not UTF-8") from None


def pack(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, tuple):
        return struct.pack("<H", len(value)) + b"".join(_text(name) for name in value)
    return _text(str(value))


def _text(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise ProtocolError("a text cannot be written as UTF-8") from None
    return struct.pack("<H", len(data)) + data


def check(message: Message, layout: Layout) -> None:
    """What holds for sender and receiver alike."""
    name = type(message).__name__
    if message.flags & ~message.FLAGS or not 0 <= message.position <= limits.MAX_POSITION:
        raise ProtocolError(f"{name}: position or flags are out of range")
    for field in layout.numbers:
        value, top = getattr(message, field.name), field.metadata["top"]
        if isinstance(value, float) and not math.isfinite(value):
            raise ProtocolError(f"{name}: {field.name} is not finite")
        if top is not None and not 0 <= value <= top:
            raise ProtocolError(f"{name}: {field.name} is {value}, allowed are 0 to {top:g}")
    for field in layout.others:
        _check_variable(message, name, field)


def _check_variable(message: Message, name: str, field: Field[object]) -> None:
    value = getattr(message, field.name)
    if isinstance(value, bytes):
        if field.metadata["kind"] == "audio":
            count = getattr(message, "streams", 0) * getattr(message, "channels", 0)
            count *= getattr(message, "frames", 0)
            if count > limits.MAX_SAMPLES or len(value) != 4 * count:
                raise ProtocolError(
                    f"{name}: {len(value)} bytes of audio for {count} samples, at most"
                    f" {limits.MAX_SAMPLES}"
                )
        elif len(value) > field.metadata["limit"]:
            raise ProtocolError(f"{name}: {field.name} is longer than {field.metadata['limit']}")
        return
    texts = value if isinstance(value, tuple) else (value,)
    limit = limits.MAX_NAME if isinstance(value, tuple) else field.metadata["limit"]
    if len(texts) > limits.MAX_NAMES:
        raise ProtocolError(f"{name}: {field.name} has more than {limits.MAX_NAMES} entries")
    for text in texts:
        if "\0" in text or len(text.encode("utf-8", "replace")) > limit:
            raise ProtocolError(f"{name}: {field.name} holds NUL or is longer than {limit} bytes")
