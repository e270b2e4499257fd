# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests: tables of paths and settings, as CSV, JSONL or Parquet.

The column ``path`` (or ``file``, ``input``) names the recording: a URL, or a path that is absolute
or relative to the manifest. Every other column is an option of ``lars batch`` (``model``,
``stems``, ``preset`` …); columns that begin with ``#`` are notes.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lars_plugin.batch.locations import is_remote, local_form
from lars_plugin.batch.settings import parse_overrides
from lars_plugin.errors import InputError
from lars_plugin.files import printable

__all__ = ["MANIFESTS", "Row", "read_manifest"]

MANIFESTS = (".csv", ".jsonl", ".ndjson", ".parquet")

_PATH = ("path", "file", "input")


class Row(NamedTuple):
    """A recording: its location, its own settings as JSON, and where the manifest has it."""

    location: str
    overrides: str
    where: str


def read_manifest(path: Path) -> Iterator[Row]:
    """The rows of a manifest, one by one: memory does not grow with their number, but for a few
    bytes each.

    Raises:
        InputError: a file that is not such a table, an unknown column, a wrong value, or a
            recording that is listed twice; the line is named.
    """
    seen: set[int] = set()
    manifest, folder = printable(path), os.fspath(path.parent)
    for number, values in _rows(path):
        where = f"{manifest}, {number}"
        names = [name for name in values if name.strip().lower() in _PATH]
        if len(names) != 1:
            raise InputError(f"{where}: one column must be called path, file or input")
        text = values[names[0]]
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{where}: the path is missing")
        if "\0" in text:
            raise InputError(f"{where}: the path holds a zero byte")
        location = local_form(text)
        if not is_remote(location):
            location = os.path.normpath(os.path.join(folder, location))
        if hash(location) in seen:
            raise InputError(f"{where}: {printable(location)} is listed twice")
        seen.add(hash(location))
        try:
            overrides = parse_overrides(
                {
                    name: value
                    for name, value in values.items()
                    if name != names[0] and not name.startswith("#")
                }
            )
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        yield Row(location, json.dumps(overrides, sort_keys=True), where)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = {".csv": _csv, ".parquet": _parquet}.get(path.suffix.lower(), _jsonl)
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise InputError(f"{printable(path)} is not text in UTF-8; convert it") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot read {printable(path)}: {reason}") from error


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        table = csv.DictReader(handle, strict=True)
        try:
            names = table.fieldnames or ()
            for name in names:
                if names.count(name) > 1:
                    raise InputError(f"{printable(path)}, line 1: two columns are called {name!r}")
            for row in table:
                where = f"line {table.line_num}"
                if None in row or None in row.values():
                    raise InputError(f"{printable(path)}, {where}: not as many cells as columns")
                yield where, row
        except csv.Error as error:
            raise InputError(f"{printable(path)}, line {table.line_num}: {error}") from error


def _jsonl(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{printable(path)}, line {number}: {error}") from error
            if not isinstance(row, dict):
                raise InputError(f"{printable(path)}, line {number}: not a JSON object")
            yield f"line {number}", row


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError as error:
        raise InputError(
            "Parquet needs another package: pip install 'lars-plugin[cluster]'"
        ) from error
    try:
        number = 0
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except ArrowInvalid as error:
        raise InputError(f"cannot read {printable(path)}: {error}") from error
