# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the ledger, and the statement that takes up an input."""

from __future__ import annotations

__all__ = ["FOUND", "RENEW", "STATE", "TABLES", "TAKE", "VERSION"]

VERSION = 1

TABLES = """
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY,
    location TEXT NOT NULL UNIQUE,
    root TEXT NOT NULL,
    overrides TEXT NOT NULL,       -- JSON: settings of this file
    size INTEGER, changed TEXT,    -- of the input, as far as they are known
    digest TEXT NOT NULL,          -- of the settings
    target TEXT,                   -- where outputs go; NULL: not settled yet
    listed INTEGER NOT NULL,       -- among the inputs of the last run
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    was_split INTEGER NOT NULL DEFAULT 0,  -- pieces may lie beside the outputs
    begun INTEGER NOT NULL DEFAULT 0,  -- a worker may have written outputs
    kind TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    sha256 TEXT NOT NULL DEFAULT '',   -- of the input
    seconds REAL NOT NULL DEFAULT 0, elapsed REAL NOT NULL DEFAULT 0,
    worker TEXT NOT NULL DEFAULT '', outputs TEXT NOT NULL DEFAULT '{}',
    warnings TEXT NOT NULL DEFAULT '[]', finished REAL
);
CREATE INDEX IF NOT EXISTS by_place ON files (state, listed, not_before, id);
CREATE INDEX IF NOT EXISTS by_pieces ON files (was_split) WHERE was_split;
CREATE TABLE IF NOT EXISTS pieces (
    file INTEGER NOT NULL, number INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0, elapsed REAL NOT NULL DEFAULT 0,
    made_of TEXT NOT NULL,  -- the state of the input and the settings
    PRIMARY KEY (file, number)
);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, began REAL NOT NULL, seen REAL NOT NULL, ended REAL,
    engine TEXT NOT NULL, workers INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS place (out TEXT NOT NULL);  -- one row: the URL of the outputs, or ''
CREATE TABLE IF NOT EXISTS scores (
    file INTEGER NOT NULL, stem TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (file, stem)
);
"""

# SQL: what pieces of a file were made of.
STATE = "coalesce(size, '') || ' ' || coalesce(changed, '') || ' ' || digest"

# What is found is held against what is known; only rows that differ are written, because a million
# rows are a gigabyte.
FOUND = """
CREATE TEMP TABLE found (
    location TEXT PRIMARY KEY, root, overrides, size, changed, digest
) WITHOUT ROWID
"""
TAKE = "INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?, ?)"

# What a file that changed forgets. Its outputs stay known: they are ours, and may be replaced.
RENEW = """
INSERT INTO files (location, root, overrides, size, changed, digest, listed, state)
SELECT f.location, f.root, f.overrides, f.size, f.changed, f.digest, 1, 'waiting'
FROM found f LEFT JOIN files x ON x.location = f.location
WHERE x.id IS NULL OR NOT x.listed OR x.root != f.root OR x.overrides != f.overrides
    OR (f.size IS NOT NULL AND x.size IS NOT f.size)
    OR (f.changed IS NOT NULL AND x.changed IS NOT f.changed)
    OR x.digest != f.digest OR x.state = 'running' OR x.not_before > 0
ON CONFLICT (location) DO UPDATE SET
    root = excluded.root, overrides = excluded.overrides, listed = 1,
    size = coalesce(excluded.size, size), changed = coalesce(excluded.changed, changed),
    digest = excluded.digest,
    target = CASE WHEN digest = excluded.digest AND root = excluded.root THEN target END,
    state = CASE WHEN {same} THEN CASE state WHEN 'running' THEN 'waiting' ELSE state END
        ELSE 'waiting' END,
    attempts = CASE WHEN {same} AND state = 'failed' THEN attempts ELSE 0 END,
    not_before = 0
""".format(
    same="(size IS excluded.size OR excluded.size IS NULL)"
    " AND (changed IS excluded.changed OR excluded.changed IS NULL) AND digest = excluded.digest"
)
