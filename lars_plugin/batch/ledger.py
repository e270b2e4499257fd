# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: a row for each recording, in SQLite, beside the outputs.

A file is ``waiting``, ``running``, ``done``, ``failed``, or ``split`` while its pieces are made.
One process writes, see :mod:`lars_plugin.batch.lock`; others may read meanwhile.

What is written survives the end of the process, however it ends. After a power failure the last
seconds may be missing; their files are then looked at again.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from lars_plugin.batch.jobs import RETRIED, Job, Piece, Result
from lars_plugin.batch.schema import STATE, TABLES, VERSION
from lars_plugin.batch.taking import Item, take_up
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.files import printable

__all__ = ["Item", "Ledger", "ledger_failure"]


# By words of SQLite's messages: codes of errors come with Python 3.11.
_CAUSES = {
    "not a database": "it is something else, or damaged; move it away, or give another --ledger",
    "malformed": "it is damaged; move it away, or give another --ledger",
    "disk is full": "the disk is full; free some space",
    "disk I/O": "the disk is full or it fails; free some space",
    "readonly": "it or its folder is read-only; change that, or give another --ledger",
    "unable to open": "the system does not let it be opened; look at its folder's permissions, or"
    " give another --ledger",
    "locked": "another program has it open; close that",
}


class Ledger:
    """The table of a run.

    Args:
        path: of the file; made if missing.

    Raises:
        InputError: it is not a ledger of this version.
        AudioFileError: it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run = 0
        try:
            self._base = sqlite3.connect(path, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            found = self._base.execute("PRAGMA user_version").fetchone()[0]
            names = {row[0] for row in self._base.execute("SELECT name FROM sqlite_master")}
            if (found == 0 and names) or found > VERSION:
                raise InputError(
                    f"{printable(path)} is not a ledger of this version; give another --ledger"
                )
            # All or nothing, also where the disk is full in the middle.
            self._base.executescript(f"BEGIN; {TABLES}; PRAGMA user_version = {VERSION}; COMMIT")
        except sqlite3.DatabaseError as error:
            raise ledger_failure(path, error) from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, sqlite3.Error):
            raise ledger_failure(self._path, error) from error
        self.close()

    def close(self) -> None:
        """Write what is not written yet; may be called twice."""
        self.commit()
        self._base.close()

    def begin(self) -> None:
        """Begin a transaction, if none is open."""
        if not self._base.in_transaction:
            self._base.execute("BEGIN")

    def commit(self) -> None:
        """Have what was changed survive this process."""
        try:
            if self._base.in_transaction:
                self._base.execute("COMMIT")
        except sqlite3.ProgrammingError:
            pass  # closed before

    def begin_run(self, engine: str) -> int:
        """A new run; its number."""
        now = time.time()
        cursor = self._base.execute(
            "INSERT INTO runs (began, seen, engine) VALUES (?, ?, ?)", (now, now, engine)
        )
        self._run = int(cursor.lastrowid or 0)
        return self._run

    def beat(self, workers: int) -> None:
        """The run is alive, with so many workers."""
        self._base.execute(
            "UPDATE runs SET seen = ?, workers = ? WHERE id = ?", (time.time(), workers, self._run)
        )

    def end_run(self, note: str = "") -> None:
        """The run is over; a note says why, if it was ended early."""
        now = time.time()
        self._base.execute(
            "UPDATE runs SET seen = ?, ended = ?, note = ? WHERE id = ?",
            (now, now, note, self._run),
        )
        self.commit()

    def check_place(self, out: str) -> None:
        """Note the URL of the outputs, empty for a local folder.

        Raises:
            InputError: the ledger is of other outputs.
        """
        row = self._base.execute("SELECT out FROM place").fetchone()
        if row is None:
            self._base.execute("INSERT INTO place VALUES (?)", (out,))
        elif row[0] != out:
            raise InputError(
                f"the ledger {printable(self._path)} is of outputs in"
                f" {printable(row[0] or 'a local folder')}; give another --ledger"
            )

    def register(self, items: Iterable[Item]) -> None:
        """Take up inputs. What is new or changed waits; what is done stays done."""
        self.begin()
        take_up(self._base, items)
        self.commit()

    def unsettled(self) -> list[tuple[int, str, str, str]]:
        """Files of this run whose outputs have no place yet: key, location, root, overrides."""
        return self._base.execute(
            "SELECT id, location, root, overrides FROM files"
            " WHERE listed AND target IS NULL ORDER BY id"
        ).fetchall()

    def settle(self, targets: Iterable[tuple[str, int]]) -> None:
        """Say where outputs go: place and key."""
        self.begin()
        self._base.executemany("UPDATE files SET target = ? WHERE id = ?", targets)
        self.commit()

    def collisions(self) -> list[tuple[int, str, str]]:
        """Files of this run that want the place of another: key, location, the other's."""
        return self._base.execute(
            """
            SELECT a.id, a.location, b.location FROM files a JOIN files b
            ON a.target = b.target AND a.id != b.id AND b.listed
            WHERE a.listed AND a.target IN (
                SELECT target FROM files WHERE listed GROUP BY target HAVING count(*) > 1
            ) GROUP BY a.id
            """,
        ).fetchall()

    def again(self, *, everything: bool) -> None:
        """Have failed files wait again: those that another attempt may mend, or all."""
        kinds = ",".join(f"'{kind}'" for kind in (*RETRIED, "refused") if kind != "killed")
        which = "" if everything else f"AND kind IN ({kinds})"
        self._base.execute(
            "UPDATE files SET state = 'waiting', attempts = 0, not_before = 0"
            f" WHERE listed AND state = 'failed' {which}",
        )
        self._base.execute(
            "UPDATE pieces SET state = 'waiting', attempts = 0 WHERE state != 'done'"
        )

    def finished(self) -> Iterator[tuple[int, str]]:
        """Files that are done: key and outputs as JSON."""
        yield from self._base.execute(
            "SELECT id, outputs FROM files WHERE listed AND state = 'done'"
        )

    def lost_outputs(self, keys: Sequence[int]) -> None:
        """Outputs of these are gone: the files wait again."""
        self._base.executemany(
            "UPDATE files SET state = 'waiting', attempts = 0, not_before = 0 WHERE id = ?",
            ((key,) for key in keys),
        )

    def next_jobs(self, count: int) -> list[Job]:
        """Up to so many that wait: pieces first, so that long files are done early."""
        now = time.time()
        jobs = [
            Job(key, location, root, json.loads(overrides), piece=Piece(number, first, last))
            for key, location, root, overrides, number, first, last in self._base.execute(
                """
                SELECT f.id, location, root, overrides, number, first, last
                FROM pieces JOIN files f ON f.id = file
                WHERE f.listed AND f.state = 'split' AND pieces.state = 'waiting'
                AND pieces.not_before <= ? ORDER BY file, number LIMIT ?
                """,
                (now, count),
            )
        ]
        rows = self._base.execute(
            "SELECT id, location, root, overrides, outputs, begun FROM files"
            " WHERE state = 'waiting' AND listed = 1 AND not_before <= ?"
            " ORDER BY not_before, id LIMIT ?",
            (now, count - len(jobs)),
        ).fetchall()
        for key, location, root, overrides, outputs, begun in rows:
            known = {o["file"]: (o["size"], o["mtime_ns"]) for o in json.loads(outputs).values()}
            jobs.append(
                Job(key, location, root, json.loads(overrides), known, bool(begun),
                    self._pieces(key))
            )  # fmt: skip
        return jobs

    def _pieces(self, key: int) -> tuple[Piece, ...]:
        rows = self._base.execute(
            "SELECT number, first, last FROM pieces WHERE file = ? ORDER BY number", (key,)
        )
        return tuple(Piece(*row) for row in rows)

    def waiting(self) -> tuple[int, float]:
        """How many files or pieces wait, and when the first of them may begin."""
        row = self._base.execute(
            "SELECT count(*), min(not_before) FROM (SELECT not_before FROM files"
            " WHERE state = 'waiting' AND listed = 1 UNION ALL SELECT p.not_before FROM pieces p"
            " JOIN files f ON f.id = p.file WHERE f.listed AND f.state = 'split'"
            " AND p.state = 'waiting')",
        ).fetchone()
        return int(row[0]), float(row[1] or 0)

    def begun(self, job: Job, worker: str) -> None:
        """A worker has got it."""
        self.begin()
        if job.piece is not None:
            self._base.execute(
                "UPDATE pieces SET state = 'running' WHERE file = ? AND number = ?",
                (job.key, job.piece.number),
            )
        else:
            self._base.execute(
                "UPDATE files SET state = 'running', begun = 1, worker = ? WHERE id = ?",
                (worker, job.key),
            )

    def give_back(self, job: Job) -> None:
        """It was not done, and that is not its fault: it waits as before."""
        self.begin()
        if job.piece is not None:
            self._base.execute(
                "UPDATE pieces SET state = 'waiting' WHERE file = ? AND number = ?",
                (job.key, job.piece.number),
            )
        else:
            self._base.execute("UPDATE files SET state = 'waiting' WHERE id = ?", (job.key,))

    def done(self, result: Result) -> None:
        """A whole file is done."""
        self.begin()
        outputs = {stem: asdict(output) for stem, output in result.outputs.items()}
        self._base.execute(
            "UPDATE files SET state = 'done', attempts = attempts + 1, kind = '', error = '',"
            " sha256 = ?, seconds = ?, elapsed = ?, worker = ?, outputs = ?, warnings = ?,"
            " finished = ? WHERE id = ?",
            (result.sha256, result.seconds, result.elapsed, result.worker, json.dumps(outputs),
             json.dumps(result.warnings), time.time(), result.key),
        )  # fmt: skip
        self._base.execute("DELETE FROM pieces WHERE file = ?", (result.key,))
        self._base.execute("DELETE FROM scores WHERE file = ?", (result.key,))
        if result.scores:
            self._base.executemany(
                "INSERT INTO scores VALUES (?, ?, ?)",
                ((result.key, str(row["stem"]), json.dumps(row)) for row in result.scores),
            )

    def split(self, result: Result) -> None:
        """A file is to be done in pieces."""
        self.begin()
        self._base.execute("DELETE FROM pieces WHERE file = ?", (result.key,))
        self._base.executemany(
            "INSERT INTO pieces (file, number, first, last, state, made_of)"
            f" SELECT ?1, ?2, ?3, ?4, 'waiting', {STATE} FROM files WHERE id = ?1",
            ((result.key, *asdict(piece).values()) for piece in result.pieces),
        )
        self._base.execute(
            "UPDATE files SET state = 'split', was_split = 1 WHERE id = ?", (result.key,)
        )

    def piece_done(self, result: Result) -> None:
        """A piece is done; when all are, the file waits to be put together."""
        assert result.piece is not None
        self.begin()
        self._base.execute(
            "UPDATE pieces SET state = 'done', elapsed = ? WHERE file = ? AND number = ?",
            (result.elapsed, result.key, result.piece.number),
        )
        self._base.execute(
            "UPDATE files SET state = 'waiting' WHERE id = ?1 AND state = 'split' AND NOT EXISTS"
            " (SELECT 1 FROM pieces WHERE file = ?1 AND state != 'done')",
            (result.key,),
        )

    def failed(
        self, key: int, piece: Piece | None, kind: str, error: str, *, worker: str, tries: int,
        wait: float,
    ) -> bool:  # fmt: skip
        """An attempt failed.

        Args:
            key: of the file.
            piece: of it, or None.
            kind: of the failure.
            error: one line.
            worker: that tried.
            tries: attempts that a failure of this kind may have.
            wait: seconds until the next; longer after each attempt.

        Returns:
            Whether that was the last attempt: the file failed.
        """
        self.begin()
        table, where, which = "files", "id = ?", (key,)
        if piece is not None:
            table, where = "pieces", "file = ? AND number = ?"
            which = (key, piece.number)  # type: ignore[assignment]
        self._base.execute(f"UPDATE {table} SET attempts = attempts + 1 WHERE {where}", which)
        row = self._base.execute(f"SELECT attempts FROM {table} WHERE {where}", which).fetchone()
        if row is None:
            return False  # another piece of this file failed before
        attempts = row[0]
        last = attempts >= tries
        if not last:
            self._base.execute(
                f"UPDATE {table} SET state = 'waiting', not_before = ? WHERE {where}",
                (time.time() + wait * 4 ** (attempts - 1), *which),
            )
        self._base.execute(
            "UPDATE files SET kind = ?, error = ?, worker = ?, state = CASE WHEN ? THEN 'failed'"
            " ELSE state END, attempts = max(attempts, ?), finished = ? WHERE id = ?",
            (kind, error, worker, last, attempts if last else 0, time.time(), key),
        )
        if last:
            self._base.execute("DELETE FROM pieces WHERE file = ?", (key,))
        return bool(last)

    def without_pieces(self) -> list[int]:
        """Files that failed or changed after they had been split, so that their pieces are of no
        use; those that are done have cleared their own."""
        found = self._base.execute(
            "SELECT id FROM files WHERE was_split AND state != 'done'"
            " AND NOT EXISTS (SELECT 1 FROM pieces WHERE file = id)"
        ).fetchall()
        self._base.execute(
            "UPDATE files SET was_split = 0 WHERE was_split AND"
            " NOT EXISTS (SELECT 1 FROM pieces WHERE file = id)"
        )
        return [key for (key,) in found]

    def counts(self) -> Mapping[str, int]:
        """Files of this run by state."""
        return dict(
            self._base.execute(
                "SELECT state, count(*) FROM files WHERE listed GROUP BY state"
            ).fetchall()
        )

    def failures(self) -> Iterator[tuple[str, str, str]]:
        """Files of this run that failed: location, kind, error."""
        yield from self._base.execute(
            "SELECT location, kind, error FROM files WHERE listed AND state = 'failed' ORDER BY id",
        )

    def score_rows(self) -> Iterator[dict[str, Any]]:
        """Rows of evaluations of this run's files that are done, in their order."""
        for (row,) in self._base.execute(
            "SELECT row FROM scores JOIN files f ON f.id = file"
            " WHERE f.listed AND f.state = 'done' ORDER BY file, scores.rowid"
        ):
            yield json.loads(row)


def ledger_failure(path: Path, error: sqlite3.Error) -> AudioFileError:
    """SQLite's error as one of ours, with what to do."""
    text = str(error)
    cause = next((ours for words, ours in _CAUSES.items() if words in text), text)
    return AudioFileError(f"cannot use the ledger {printable(path)}: {cause}")
