# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: rows of scores in a CSV file, from which a run can be resumed."""

from __future__ import annotations

import csv
import dataclasses
import io
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from lars_plugin.audio import AtomicFiles, printable
from lars_plugin.errors import DatasetError
from lars_plugin.evaluation.scoring import Row

__all__ = ["COLUMNS", "Ledger"]

log = logging.getLogger(__name__)

COLUMNS = tuple(field.name for field in dataclasses.fields(Row))

_TEXT = ("clip", "kit", "system", "settings", "stem")


class Ledger:
    """All rows so far. With a path, each group is written to disk as soon as it is complete.

    A group is the rows of one clip and one system. It is written at once and counts only when
    it is complete, so a killed run loses at most the groups it was working on.

    Nothing is written before :meth:`begin`.

    Args:
        path: the CSV file; None keeps rows in memory only.
        resume: continue from the file's rows; otherwise the file is replaced.

    Raises:
        DatasetError: the file to resume from is not a table of scores.
    """

    def __init__(self, path: Path | None = None, *, resume: bool = False) -> None:
        self._lock = threading.Lock()
        self._groups: dict[tuple[str, str, str], tuple[Row, ...]] = {}
        self._path = path
        self._file: TextIO | None = None
        if path is not None and resume and path.is_file():
            self._groups = _read(path)
            log.info("%s: %d groups of rows are complete", printable(path), len(self._groups))

    def begin(self) -> None:
        """Prepare the file for :meth:`add`; before this call it is unchanged.

        Raises:
            DatasetError: it cannot be written.
            AudioFileError: likewise.
        """
        if self._path is None or self._file is not None:
            return
        # The complete rows are written again: a torn line at the end would damage the next one.
        with AtomicFiles() as files:
            files.create(self._path).write(_format([COLUMNS, *map(_cells, self.rows())]).encode())
        try:
            self._file = self._path.open("a", newline="", encoding="utf-8")
        except OSError as error:
            raise DatasetError(f"cannot write {printable(self._path)}: {error.strerror}") from error

    def rows(self) -> list[Row]:
        """All rows, in the order they came."""
        return [row for group in self._groups.values() for row in group]

    def get(self, clip: str, system: str, settings: str) -> tuple[Row, ...] | None:
        """The rows of a clip and a system under these settings, or None if they are missing."""
        return self._groups.get((clip, system, settings))

    def add(self, rows: Sequence[Row]) -> None:
        """Keep one group; any thread may call.

        Raises:
            DatasetError: the file cannot be written.
        """
        with self._lock:
            self._groups[rows[0].clip, rows[0].system, rows[0].settings] = tuple(rows)
            if self._file is None:
                return
            try:
                self._file.write(_format(map(_cells, rows)))
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise DatasetError(
                    f"cannot write {printable(self._path or '')}: {error.strerror}"
                ) from error

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _format(lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _cells(row: Row) -> tuple[str, ...]:
    values = (getattr(row, name) for name in COLUMNS)
    return tuple(
        "" if value is None else repr(value) if isinstance(value, float) else str(value)
        for value in values
    )


def _read(path: Path) -> dict[tuple[str, str, str], tuple[Row, ...]]:
    """The complete groups of a file; a torn end is left out."""
    text = path.read_text(encoding="utf-8")
    lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    if tuple(next(lines, ())) != COLUMNS:
        raise DatasetError(
            f"{printable(path)} is not a table of scores of this version; give another name, or"
            " leave resume out to replace it"
        )
    found: dict[tuple[str, str, str], list[Row]] = {}
    for number, cells in enumerate(lines, 2):
        try:
            row = _row(dict(zip(COLUMNS, cells, strict=True)))
        except ValueError as error:
            raise DatasetError(
                f"{printable(path)} is damaged in line {number}; repair or remove that line"
            ) from error
        found.setdefault((row.clip, row.system, row.settings), []).append(row)
    return {
        key: tuple(rows)
        for key, rows in found.items()
        if len({row.stem for row in rows}) == len(rows) == rows[0].of
    }


def _row(cells: dict[str, str]) -> Row:
    return Row(
        **{name: cells[name] for name in _TEXT},
        of=int(cells["of"]),
        reference_db=float(cells["reference_db"]),
        sdr_db=float(cells["sdr_db"]) if cells["sdr_db"] else None,
        leakage_db=float(cells["leakage_db"]),
        seconds=float(cells["seconds"]),
        work=float(cells["work"]),
    )
