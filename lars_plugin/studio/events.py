# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages are told: server-sent events, of each thing only the newest state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from anyio.to_thread import run_sync

__all__ = ["Events"]

_HEARTBEAT = 15.0  # seconds
_PAUSE = 0.1  # seconds between two events: what changes in between is told once
_MOST_LISTENERS = 64


class _Listener:
    def __init__(self) -> None:
        self.pending: dict[tuple[str, str], Any] = {}
        self.wake = asyncio.Event()


class Events:
    """Hands changes from worker threads to pages. What a slow page misses does not pile up."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[_Listener] = set()
        self._closed = False

    def start(self) -> None:
        """Call it in the event loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End all streams; call it in the event loop."""
        self._closed = True
        for listener in self._listeners:
            listener.wake.set()

    @property
    def full(self) -> bool:
        """No more pages can listen."""
        return len(self._listeners) >= _MOST_LISTENERS

    def tell(self, kind: str, key: str, data: Any) -> None:
        """Tell all pages the new state of a thing; from any thread."""
        if self._loop is None or self._loop.is_closed():
            return
        try:
            self._loop.call_soon_threadsafe(self._put, kind, key, data)
        except RuntimeError:
            pass  # the loop has just been closed

    def _put(self, kind: str, key: str, data: Any) -> None:
        for listener in self._listeners:
            listener.pending.pop((kind, key), None)  # the newest goes to the end
            listener.pending[kind, key] = data
            listener.wake.set()

    async def listen(self, snapshot: Callable[[], Any]) -> AsyncIterator[bytes]:
        """The lines of one stream: a snapshot first, then changes until the page goes."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            # In a thread: it reads every model's card. What changes meanwhile is told after it.
            yield b"retry: 1000\n" + _event("snapshot", await run_sync(snapshot))
            while not self._closed:
                try:
                    await asyncio.wait_for(listener.wake.wait(), _HEARTBEAT)
                except asyncio.TimeoutError:
                    yield b": still here\n\n"
                    continue
                listener.wake.clear()
                pending, listener.pending = listener.pending, {}
                for (kind, _), data in pending.items():
                    yield _event(kind, data)
                await asyncio.sleep(_PAUSE)
        finally:
            self._listeners.discard(listener)


def _event(kind: str, data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
