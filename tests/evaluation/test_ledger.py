# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin.errors import DatasetError, LarsError
from lars_plugin.evaluation.ledger import COLUMNS, Ledger
from lars_plugin.evaluation.scoring import Row


def group(clip: str, system: str = "m", stems: tuple[str, ...] = ("kick", "snare")) -> list[Row]:
    return [
        Row(clip, "kit", system, "overlap 2", stem, len(stems), -3.25, 10.5, -4.125, 10.0, 1.5)
        for stem in stems
    ]


def write(path: Path, groups: list[list[Row]], *, resume: bool = False) -> None:
    with Ledger(path, resume=resume) as ledger:
        ledger.begin()
        for rows in groups:
            ledger.add(rows)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    silent = [dataclasses.replace(row, sdr_db=None, kit="") for row in group('a, "b"|c', "x/y")]
    groups = [group("a"), silent]
    write(tmp_path / "s.csv", groups)
    with Ledger(tmp_path / "s.csv", resume=True) as ledger:
        assert ledger.rows() == [row for rows in groups for row in rows]
        assert ledger.get("a", "m", "overlap 2") == tuple(group("a"))
        assert ledger.get("a", "m", "") is None


def test_the_file_is_a_plain_table(tmp_path: Path) -> None:
    write(tmp_path / "s.csv", [group("a")])
    with (tmp_path / "s.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert [(line["stem"], line["sdr_db"]) for line in lines] == [
        ("kick", "10.5"),
        ("snare", "10.5"),
    ]


def test_rows_are_in_the_file_as_soon_as_they_are_added(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    ledger = Ledger(path)
    ledger.begin()
    ledger.add(group("a"))
    assert Ledger(path, resume=True).rows() == group("a")
    ledger.close()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wherever_a_file_was_torn_whole_groups_are_kept_and_the_run_goes_on(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("torn") / "s.csv"
    groups = [group("a"), group("b", "n", ("kick",)), group("c,d")]
    write(path, groups)
    whole = path.read_bytes()
    head = whole.index(b"\n") + 1
    cut = data.draw(st.integers(head, len(whole)))
    path.write_bytes(whole[:cut])
    kept = Ledger(path, resume=True).rows()
    ends = [head]
    for rows in groups:
        ends.append(whole.index(b"\n", ends[-1] + sum(1 for _ in rows) - 1) + 1)
        for _ in rows[1:]:
            ends[-1] = whole.index(b"\n", ends[-1]) + 1
    count = sum(end <= cut for end in ends[1:])
    assert kept == [row for rows in groups[:count] for row in rows]
    write(path, groups[count:], resume=True)
    assert path.read_bytes() == whole


def test_until_it_begins_an_old_file_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("precious")
    with Ledger(path):
        pass
    assert path.read_text() == "precious"


def test_without_resume_the_file_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "s.csv", [group("a")])
    write(tmp_path / "s.csv", [group("b")])
    assert Ledger(tmp_path / "s.csv", resume=True).rows() == group("b")


def test_another_table_is_not_gone_on_from_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("name,age\nx,3\n")
    with pytest.raises(DatasetError, match="not a table of scores"):
        Ledger(path, resume=True)
    assert path.read_text() == "name,age\nx,3\n"


def test_damage_inside_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write(path, [group("a"), group("b")])
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("10.5", "ten")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DatasetError, match="line 3"):
        Ledger(path, resume=True)


def test_a_place_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LarsError, match="cannot write"), Ledger(tmp_path / "file" / "s.csv") as it:
        it.begin()
