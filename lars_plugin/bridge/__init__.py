# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that serves stems to other programs, and the client that asks it for them.

wire, layout, messages, limits    the protocol: bytes and frozen messages, no I/O; codes: errors
auth, runtime                     who may connect, and where the engine is
server, connection, dispatch      the network side, one thread
pool, worker, session, plan       the inference side, one thread per model; wake: its alarm clock
board, fallback                   chains behind the stems; what replaces a network that is late
jobs, worker_backend              separating files for clients, with the models' threads
latency                           what a live stream is late by, without an engine
client, alignment, link           the reference client
embedded                          an engine of one's own, on a thread or as a process
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lars_plugin.bridge.client.streams import Client, StreamStats
    from lars_plugin.bridge.local_engine import EngineProcess, EngineThread

__all__ = ["Client", "EngineProcess", "EngineThread", "StreamStats"]

# Resolved on first use: the command line imports this package for its parsers alone.
_LAZY = {
    "Client": "lars_plugin.bridge.client.streams",
    "StreamStats": "lars_plugin.bridge.client.streams",
    "EngineProcess": "lars_plugin.bridge.local_engine",
    "EngineThread": "lars_plugin.bridge.local_engine",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
