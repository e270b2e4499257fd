# SPDX-License-Identifier: GPL-3.0-or-later
"""How the ledger takes up the inputs of a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lars_plugin.batch.schema import FOUND, RENEW, STATE, TAKE

__all__ = ["Item", "take_up"]


class Item(NamedTuple):
    """An input as the command line or a manifest names it."""

    location: str
    root: str
    overrides: str
    size: int | None
    changed: str | None
    digest: str


def take_up(base: sqlite3.Connection, items: Iterable[Item]) -> None:
    """Write what is new or changed, and who is not among the items any more."""
    base.execute("DROP TABLE IF EXISTS temp.found")
    base.execute(FOUND)
    gone: list[str] = []
    base.executemany(TAKE, _differing(base, items, gone))
    base.execute(RENEW)
    # Files of earlier runs that are not among the inputs of this one do not count.
    base.executemany("UPDATE files SET listed = 0 WHERE location = ?", ((name,) for name in gone))
    base.execute("DROP TABLE temp.found")
    # Pieces of an older state of a file, or of other settings, are of no use.
    base.execute(f"DELETE FROM pieces WHERE made_of != (SELECT {STATE} FROM files WHERE id = file)")


def _differing(base: sqlite3.Connection, items: Iterable[Item], gone: list[str]) -> Iterator[Item]:
    """Items that are not in the table as they are; rows without an item go into ``gone``.

    Items of a second run come in the order of the rows, mostly: so the rows are read along with
    them, and only what is passed over is kept, as a hash.
    """
    rows = base.execute(
        "SELECT location, root, overrides, size, changed, digest, listed,"
        " state = 'running' OR not_before > 0 FROM files ORDER BY id"
    )
    passed: dict[str, int | None] = {}
    for item in items:
        location = item[0]
        if location in passed:
            if passed.pop(location) != hash(item[1:]):
                yield item
            continue
        for row in rows:
            if row[0] == location:
                if row[:6] != item or not row[6] or row[7]:
                    yield item
                break
            if row[6]:
                passed[row[0]] = None if row[7] else hash(row[1:6])
        else:
            yield item  # new, or not listed, or it came before
    gone += passed
    gone += [row[0] for row in rows if row[6]]
