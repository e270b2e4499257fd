# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin's own state inside what hosts that are made with JUCE keep of a VST3."""

from __future__ import annotations

import re
import struct

__all__ = ["inner", "with_inner"]

_DIGITS = ".ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+"
_COMPONENT = re.compile(r"<IComponent>([^<]*)</IComponent>")


def inner(state: bytes) -> str:
    """The XML that the plugin wrote."""
    found = _COMPONENT.search(state.decode("utf-8", "replace"))
    assert found is not None
    size, digits = found[1].split(".", 1)
    value = sum(_DIGITS.index(digit) << (6 * place) for place, digit in enumerate(digits))
    data = (value & ((1 << (8 * int(size))) - 1)).to_bytes(int(size), "little")
    return data[: data.rindex(b">") + 1].decode()  # the wrapper adds a few bytes of its own


def with_inner(state: bytes, xml: str) -> bytes:
    """The same, with another XML in it."""
    data = xml.encode()
    value = int.from_bytes(data, "little")
    digits = "".join(
        _DIGITS[(value >> (6 * place)) & 63] for place in range((len(data) * 8 + 5) // 6)
    )
    body = state[8:].rstrip(b"\0").decode()
    body = _COMPONENT.sub(f"<IComponent>{len(data)}.{digits}</IComponent>", body)
    return b"VC2!" + struct.pack("<I", len(body.encode())) + body.encode() + b"\0"
