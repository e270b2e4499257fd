# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that serves stems to other programs, and the client that asks it for them.

wire, messages, limits, codes     the protocol: bytes and frozen messages, no I/O
auth, runtime                     who may connect, and where the engine is
server, connection, dispatch      the network side, one thread
pool, worker, session, plan, rack the inference side, one thread per model
jobs                              separating files for clients
client, alignment, link           the reference client
embedded                          an engine of one's own, on a thread or as a process
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lars_plugin.bridge.client import Client, StreamStats
    from lars_plugin.bridge.embedded import EngineProcess, EngineThread

__all__ = ["Client", "EngineProcess", "EngineThread", "StreamStats"]

# Resolved on first use: the command line imports this package for its parsers alone.
_LAZY = {
    "Client": "lars_plugin.bridge.client",
    "StreamStats": "lars_plugin.bridge.client",
    "EngineProcess": "lars_plugin.bridge.embedded",
    "EngineThread": "lars_plugin.bridge.embedded",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
