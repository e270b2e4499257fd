# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the ledger, and the statement that takes up an input."""

from __future__ import annotations

__all__ = ["RENEW", "STATE", "TABLES", "VERSION"]

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
    run INTEGER NOT NULL,          -- the last that had this file among its inputs
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
CREATE INDEX IF NOT EXISTS by_state ON files (state, not_before, id);
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
CREATE TABLE IF NOT EXISTS scores (
    file INTEGER NOT NULL, stem TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (file, stem)
);
"""

# SQL: what pieces of a file were made of.
STATE = "coalesce(size, '') || ' ' || coalesce(changed, '') || ' ' || digest"

# What a file that changed forgets. Its outputs stay known: they are ours, and may be replaced.
RENEW = """
INSERT INTO files (location, root, overrides, size, changed, digest, run, state)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting')
ON CONFLICT (location) DO UPDATE SET
    root = ?2, overrides = ?3, run = ?7,
    size = coalesce(?4, size), changed = coalesce(?5, changed), digest = ?6,
    target = CASE WHEN digest = ?6 AND root = ?2 THEN target END,
    state = CASE WHEN {same} THEN CASE state WHEN 'running' THEN 'waiting' ELSE state END
        ELSE 'waiting' END,
    attempts = CASE WHEN {same} AND state = 'failed' THEN attempts ELSE 0 END,
    not_before = 0
""".format(same="(size IS ?4 OR ?4 IS NULL) AND (changed IS ?5 OR ?5 IS NULL) AND digest = ?6")
