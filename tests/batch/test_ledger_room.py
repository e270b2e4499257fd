# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger that was begun where there was no room for it."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from lars_plugin.batch.ledger import Ledger
from lars_plugin.errors import AudioFileError
from tests.batch.limits import small_disk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts of Linux")


@pytest.mark.parametrize("pages", range(1, 30, 4))
def test_a_ledger_for_whose_tables_there_was_no_room_is_made_when_there_is(
    pages: int, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "o", 1):
        path = tmp_path / "o/ledger"
        filler = tmp_path / "o/somebody's"
        filler.write_bytes(bytes((1 << 20) - 4096 * pages))
        said = "the disk is full"  # with some more pages there is room, and nothing is said
        try:
            Ledger(path).close()
        except AudioFileError as error:
            said = str(error)
        assert "the disk is full" in said
        filler.unlink()
        Ledger(path).close()
        base = sqlite3.connect(path)
        assert base.execute("SELECT count(*) FROM files").fetchone() == (0,)
        base.close()
