# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin's own state inside what hosts that are made with JUCE keep of a VST3."""

from __future__ import annotations

import re
import struct

__all__ = ["inner", "with_inner"]

_DIGITS = ".ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+"
_COMPONENT = re.compile(r"<IComponent>([^<]*)</IComponent>")


# JUCE's base64: three bytes, the lowest first, are four digits, the lowest first.


def _encode(data: bytes) -> str:
    groups = (int.from_bytes(data[at : at + 3], "little") for at in range(0, len(data), 3))
    digits = "".join(_DIGITS[(group >> shift) & 63] for group in groups for shift in (0, 6, 12, 18))
    return digits[: (len(data) * 8 + 5) // 6]


def _decode(digits: str) -> bytes:
    data = bytearray()
    for at in range(0, len(digits), 4):
        group = sum(_DIGITS.index(d) << 6 * place for place, d in enumerate(digits[at : at + 4]))
        data += group.to_bytes(3, "little")
    return bytes(data)


def inner(state: bytes) -> str:
    """The XML that the plugin wrote."""
    found = _COMPONENT.search(state.decode("utf-8", "replace"))
    assert found is not None
    size, digits = found[1].split(".", 1)
    data = _decode(digits)[: int(size)]
    return data[: data.rindex(b">") + 1].decode()  # the wrapper adds a few bytes of its own


def with_inner(state: bytes, xml: str) -> bytes:
    """The same, with another XML in it."""
    data = xml.encode()
    body = state[8:].rstrip(b"\0").decode()
    body = _COMPONENT.sub(f"<IComponent>{len(data)}.{_encode(data)}</IComponent>", body)
    return b"VC2!" + struct.pack("<I", len(body.encode())) + body.encode() + b"\0"
