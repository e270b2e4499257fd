# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies of small requests."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from lars_plugin.errors import InputError

__all__ = ["read_json"]

_MOST = 1 << 16  # bytes


async def read_json(request: Request) -> Any:
    """The body of a small request.

    Raises:
        InputError: it is not JSON, or too long.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            raise InputError("the request is too long")
    try:
        return json.loads(body or b"{}")
    except ValueError:
        raise InputError("the request must be JSON") from None
