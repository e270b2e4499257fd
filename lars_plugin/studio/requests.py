# SPDX-License-Identifier: GPL-3.0-or-later
"""Data that come with requests, and answers that are data."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from lars_plugin.errors import InputError

__all__ = ["Answer", "parse_object", "read_json"]

_MOST = 1 << 16  # bytes


class Answer(JSONResponse):
    """JSON in ASCII: names of files need not be Unicode, which UTF-8 would refuse."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def parse_object(text: str | bytes, what: str) -> dict[str, Any]:
    """A JSON object.

    Args:
        text: that came with a request.
        what: it is, for the message.

    Raises:
        InputError: it is not JSON, is nested too deeply, or is not an object.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{what} must be JSON") from None
    if not isinstance(data, dict):
        raise InputError(f"{what} must be an object")
    return data


async def read_json(request: Request, most: int = _MOST) -> dict[str, Any]:
    """The body of a small request; an empty one is an empty object.

    Args:
        request: whose body is wanted.
        most: bytes.

    Raises:
        InputError: it is not a JSON object, or too long.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise InputError("the request is too long")
    return parse_object(bytes(body) or b"{}", "the request")
