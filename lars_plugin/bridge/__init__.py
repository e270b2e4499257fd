# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that serves stems to other programs, and the client that asks it for them.

protocol/    bytes and frozen messages, no I/O
engine/      server, connection, dispatch: the network side, one thread; model_pool, model_thread,
             session: the inference side, one thread a model; jobs: files
client/      the reference client
auth, discovery    who may connect, and where the engine is
local_engine       an engine of one's own, on a thread or as a process
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
