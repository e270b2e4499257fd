# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's log: one line per event, as JSON or for people, with what belongs to it."""

from __future__ import annotations

import json
import logging
import time

__all__ = ["EventFormatter"]

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class EventFormatter(logging.Formatter):
    """Formats a record with its ``extra`` fields.

    Args:
        as_json: a JSON object per line; else ``time level event key=value ...``.
    """

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the fields hold."""
        fields = {key: value for key, value in vars(record).items() if key not in _USUAL}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        stamp += f".{int(record.msecs):03d}Z"
        if self._as_json:
            entry = {"time": stamp, "level": record.levelname.lower(), "event": record.getMessage()}
            return json.dumps({**entry, **fields}, default=str)
        pairs = [f"{key}={json.dumps(value, default=str)}" for key, value in fields.items()]
        return " ".join([stamp, record.levelname.lower(), record.getMessage(), *pairs])
