# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin.evaluation.scoring import FIVE, Row
from lars_plugin.evaluation.summary import Cell, summarise
from lars_plugin.evaluation.tables import (
    Table,
    all_tables,
    clip_table,
    kit_table,
    leakage_table,
    sdr_table,
)

SIX = ("kick", "snare", "toms", "hihat", "ride", "crash", "cymbals")


def row(
    system: str,
    stem: str,
    sdr: float | None,
    *,
    clip: str = "c",
    kit: str = "k",
    level: float = -10.0,
    leakage: float = -20.0,
    work: float = 1.0,
) -> Row:
    return Row(clip, kit, system, "", stem, 1, level, sdr, leakage, 10.0, work)


def cells(table: Table, name: str) -> dict[str, str]:
    (line,) = [line for line in table.rows if line[0] == name]
    return dict(zip(table.header, line, strict=True))


@given(st.lists(st.floats(-50, 50), min_size=1))
def test_a_cell_is_the_mean_and_the_median_over_clips(values: list[float]) -> None:
    rows = [row("m", "kick", value, clip=str(index)) for index, value in enumerate(values)]
    cell = summarise(rows, ["m"]).cell("m", "kick")
    assert cell.mean == pytest.approx(statistics.fmean(values))
    assert cell.median == statistics.median(values)
    assert cell.leakage is None


def test_a_clip_counts_for_sdr_or_for_leakage_by_the_threshold() -> None:
    rows = [
        row("m", "hihat", 8.0, clip="loud", level=-20),
        row("m", "hihat", -5.0, clip="quiet", level=-35, leakage=-33),
        row("m", "hihat", None, clip="silent", level=-120, leakage=-47),
    ]
    cell = summarise(rows, ["m"]).cell("m", "hihat")
    assert (cell.sdrs, cell.leakages) == ((8.0, -5.0), (-47,))
    cell = summarise(rows, ["m"], threshold_db=-30).cell("m", "hihat")
    assert (cell.sdrs, cell.leakages) == ((8.0,), (-33, -47))
    assert cell.leakage == -40


def test_the_mean_of_six_stems_leaves_cymbals_out_and_that_of_five_takes_them() -> None:
    rows = [row("m", stem, float(index)) for index, stem in enumerate(SIX)]
    summary = summarise(rows, ["m"])
    assert summary.groupings == {"mean": SIX[:6], "mean of 5": FIVE}
    assert summary.over_stems("m", "mean", SIX[:6]) == pytest.approx(2.5)
    assert summary.over_stems("m", "mean", FIVE) == pytest.approx((0 + 1 + 2 + 3 + 6) / 5)


def test_five_stems_leave_ride_and_crash_out() -> None:
    summary = summarise([row("m", stem, 1.0) for stem in SIX], ["m"], five=True)
    assert summary.stems == FIVE
    assert list(summary.groupings) == ["mean"]


def test_means_over_different_stems_are_not_compared() -> None:
    rows = [row("six", stem, 1.0) for stem in SIX] + [row("five", stem, 2.0) for stem in FIVE]
    table = sdr_table(summarise(rows, ["six", "five"]))
    assert cells(table, "five")["mean"] == "-"
    assert cells(table, "five")["ride"] == "-"
    assert cells(table, "five")["mean of 5"] == "2.0"
    assert cells(table, "six")["mean"] == "1.0"


def test_a_stem_that_never_sounds_is_left_out_of_means() -> None:
    rows = [row("m", "kick", 4.0), row("m", "toms", None, level=-120)]
    table = sdr_table(summarise(rows, ["m"]))
    assert cells(table, "m") == {"": "m", "kick": "4.0", "toms": "-", "mean": "4.0"}
    assert cells(table, "clips")["toms"] == "0"


def test_the_real_time_ratio_stands_beside_models_only() -> None:
    rows = [
        row("m", "kick", 1.0, clip="a", work=1),
        row("m", "snare", 1.0, clip="a", work=1),
        row("m", "kick", 1.0, clip="b", work=4),
        row("oracle", "kick", 9.0, clip="a"),
    ]
    table = sdr_table(summarise(rows, ["m", "oracle"], models=["m"]))
    # (1 + 4) seconds of work for 2 * 10 seconds of audio: a clip's work counts once, not per stem.
    assert cells(table, "m")["RTR"] == "0.25"
    assert cells(table, "oracle")["RTR"] == "-"
    assert "RTR" not in sdr_table(summarise(rows, ["oracle"])).header


def test_leakage_has_a_table_where_a_stem_is_silent() -> None:
    rows = [row("m", "kick", 1.0), row("m", "toms", None, level=-120, leakage=-31.5)]
    table = leakage_table(summarise(rows, ["m"]))
    assert table is not None
    assert table.header == ("", "toms")
    assert table.rows == (("m", "-31.5"), ("clips", "1"))
    assert leakage_table(summarise(rows[:1], ["m"])) is None


def test_kits_have_a_table_where_there_are_several() -> None:
    rows = [row("m", "kick", 1.0, kit="a", clip="1"), row("m", "kick", 3.0, kit="b", clip="2")]
    table = kit_table(rows, summarise(rows, ["m"]))
    assert table is not None
    assert [line[:2] for line in table.rows] == [("a: m", "1.0"), ("b: m", "3.0")]
    assert kit_table(rows[:1], summarise(rows[:1], ["m"])) is None


def test_the_table_of_clips_puts_leakage_in_brackets() -> None:
    rows = [row("m", "kick", 1.25), row("m", "toms", None, level=-120, leakage=-31.5)]
    assert clip_table(rows, summarise(rows, ["m"])).rows == (("c: m", "1.2", "(-31.5)"),)


def test_text_is_aligned_and_says_the_threshold() -> None:
    rows = [row("a long name", "kick", -12.34), row("m", "kick", 1.0)]
    text = sdr_table(summarise(rows, ["a long name", "m"], threshold_db=-45)).text()
    title, blank, *lines = text.splitlines()
    assert "-45 dB" in title
    assert blank == ""
    assert lines[0].startswith(" " * len("a long name"))
    assert {line.index(word) + len(word) for line, word in
            zip(lines[:3], ("kick", "-12.3", "1.0"), strict=True)} == {18}  # fmt: skip
    assert all(line == line.rstrip() for line in lines)


def test_markdown_is_a_table_whatever_the_names_hold() -> None:
    rows = [row("a|b", "kick", 1.0)]
    lines = sdr_table(summarise(rows, ["a|b"])).markdown().splitlines()
    assert lines[2:5] == [
        "|  | kick | mean |",
        "| --- | ---: | ---: |",
        "| a\\|b | 1.0 | 1.0 |",
    ]


def test_no_figure_is_minus_zero() -> None:
    assert cells(sdr_table(summarise([row("m", "kick", -0.04)], ["m"])), "m")["kick"] == "0.0"


def test_only_systems_asked_for_are_counted() -> None:
    rows = [row("m", "kick", 1.0), row("old", "snare", 9.0, clip="x")]
    summary = summarise(rows, ["m"])
    assert summary.stems == ("kick",)
    assert summary.clips == 1
    assert summary.cell("old", "snare") == Cell()


def test_all_tables_are_those_there_is_something_for() -> None:
    rows = [row("m", "kick", 1.0)]
    summary = summarise(rows, ["m"])
    assert len(all_tables(rows, summary)) == 2
    assert len(all_tables(rows, summary, clips=True)) == 3
