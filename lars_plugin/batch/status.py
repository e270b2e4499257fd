# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars batch --status``: what the ledger says of the last run, also while it goes on."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from lars_plugin.batch.ledger import ledger_failure
from lars_plugin.batch.schema import VERSION
from lars_plugin.errors import InputError
from lars_plugin.files import printable

__all__ = ["lines", "status"]

# A run whose last sign of life is older than this is not running any more.
_SILENT = 30.0


def status(path: Path) -> dict[str, Any]:
    """Figures of the last run: files by state, failures by kind, hours of audio, speed, time left.

    ``audio_hours_per_hour`` is of what this run has done; ``seconds_left`` goes by the bytes that
    are left, or by the number of files where their sizes are not known. Both are None before the
    first file.

    Raises:
        InputError: there is no ledger.
        AudioFileError: it cannot be read.
    """
    base = _open(path)
    try:
        return _status(base)
    finally:
        base.close()


def _status(base: sqlite3.Connection) -> dict[str, Any]:
    if not base.execute("PRAGMA user_version").fetchone()[0]:
        return {"run": None}  # a run is about to begin
    run = base.execute(
        "SELECT id, began, seen, ended, engine, workers, note FROM runs ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if run is None:
        return {"run": None}
    number, began, seen, ended, engine, workers, note = run
    alive = ended is None and time.time() - seen < _SILENT
    states = dict(base.execute("SELECT state, count(*) FROM files WHERE listed GROUP BY state"))
    # Of a run that was killed or interrupted twice, files are still noted as begun.
    begun = states.get("running", 0) + states.get("split", 0)
    kinds = dict(
        base.execute(
            "SELECT kind, count(*) FROM files WHERE listed AND state = 'failed' GROUP BY kind",
        )
    )
    hours = base.execute(
        "SELECT sum(seconds), sum(elapsed) FROM files WHERE listed AND state = 'done'"
    ).fetchone()
    new = base.execute(
        "SELECT count(*), sum(seconds), sum(max(size, 0)) FROM files"
        " WHERE listed AND state = 'done' AND finished >= ?",
        (began,),
    ).fetchone()
    left = base.execute(
        "SELECT count(*), sum(max(size, 0)), sum(size IS NULL) FROM files"
        " WHERE listed AND state IN ('waiting', 'running', 'split')",
    ).fetchone()
    took = (time.time() if alive else seen) - began
    seconds_left = None
    if not left[0]:
        seconds_left = 0.0
    elif new[0]:
        known = new[2] and not left[2]
        seconds_left = took * (left[1] / new[2] if known else left[0] / new[0])
    return {
        "run": number,
        "engine": engine,
        "running": alive,
        "workers": workers if alive else 0,
        "note": note,
        "files": sum(states.values()),
        "done": states.get("done", 0),
        "waiting": states.get("waiting", 0) + (0 if alive else begun),
        "in_work": begun if alive else 0,
        "failed": kinds,
        "audio_hours": (hours[0] or 0) / 3600,
        "core_hours": (hours[1] or 0) / 3600,
        "seconds": took,
        "audio_hours_per_hour": (new[1] or 0) / took if new[0] and took > 0 else None,
        "seconds_left": seconds_left,
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    if found["run"] is None:
        return ["no run yet"]
    what = f"running, {found['workers']} workers" if found["running"] else "not running"
    result = [
        f"run {found['run']} ({found['engine']}): {what}",
        f"done: {found['done']} of {found['files']} files, {found['audio_hours']:.2f} h of audio",
    ]
    if found["in_work"] or found["waiting"]:
        result.append(f"in work: {found['in_work']}, waiting: {found['waiting']}")
    for kind, count in sorted(found["failed"].items()):
        result.append(f"failed ({kind}): {count}")
    if found["audio_hours_per_hour"] is not None:
        result.append(f"speed: {found['audio_hours_per_hour']:.1f} hours of audio per hour")
    if found["seconds_left"] is not None and (found["in_work"] or found["waiting"]):
        result.append(f"time left: {_time(found['seconds_left'])}")
    if found["note"]:
        result.append(f"ended early: {found['note']}")
    return result


def _time(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {int(seconds):02d} s"


def _open(path: Path) -> sqlite3.Connection:
    """A ledger that may be in use.

    Raises:
        InputError: there is none.
        AudioFileError: it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{printable(path)} does not exist; give the -o folder of a batch")
    log = path.with_name(path.name + "-wal")
    try:
        try:
            return _connect(path, "mode=ro")
        except sqlite3.OperationalError:
            if log.is_file() and log.stat().st_size:
                raise
            # In a folder that is read-only SQLite cannot make what it shares with a run. There is
            # none: nothing is in its log.
            return _connect(path, "immutable=1")
    except sqlite3.DatabaseError as error:
        raise ledger_failure(path, error) from error


def _connect(path: Path, how: str) -> sqlite3.Connection:
    base = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)
    try:
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise InputError(f"{printable(path)} was written by a newer version of LARS")
        if version:
            base.execute("SELECT count(*) FROM runs").fetchone()
    except BaseException:
        base.close()
        raise
    return base
