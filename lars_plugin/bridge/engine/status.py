# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine tells of itself: its name, and the report that STATUS asks for."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

import lars_plugin
from lars_plugin.bridge.engine.background import BackgroundJob
from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.protocol import limits
from lars_plugin.errors import BridgeError

__all__ = ["as_json", "engine_name", "engine_status"]


def engine_name() -> str:
    """What the engine calls itself."""
    return f"lars {lars_plugin.__version__}"


def engine_status(
    uptime: float,
    threads: Sequence[ModelThread],
    offers: Sequence[Mapping[str, object]],
    sessions: Sequence[Session],
    jobs: Sequence[BackgroundJob],
) -> dict[str, object]:
    """What ``lars serve --status`` shows; JSON types only.

    Args:
        uptime: seconds since the engine started.
        threads: of the models that are loaded.
        offers: of each model that clients may ask for: what PROTOCOL.md says of ``offers``.
        sessions: open streams.
        jobs: files on their way.
    """
    return {
        "engine": engine_name(),
        "pid": os.getpid(),
        "uptime_seconds": round(uptime, 3),
        "models": [
            {
                "name": thread.name,
                "state": thread.state,
                "restarts": thread.restarts,
                "backend": thread.model.backend_name if thread.model else "",
                "leases": thread.leases,
                "runs": thread.runs,
                "chunks": thread.chunks,
            }
            for thread in threads
        ],
        "offers": [dict(offer) for offer in offers],
        "sessions": [session.status() for session in sessions],
        "jobs": [{"model": job.model, "done": job.done, "total": job.total} for job in jobs],
    }


def as_json(status: dict[str, object]) -> bytes:
    """The status as JSON; long names of clients must not make it longer than it may be.

    Raises:
        BridgeError: it is too long without any list.
    """
    while len(report := json.dumps(status, ensure_ascii=False).encode()) > limits.MAX_JSON:
        longest = max(status, key=lambda key: len(json.dumps(status[key])))
        listed = status[longest]
        if not isinstance(listed, list):
            raise BridgeError("the status is too long")
        status[longest] = listed[: len(listed) // 2]
        status["shortened"] = True
    return report
