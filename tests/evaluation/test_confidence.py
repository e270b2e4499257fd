# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars evaluate --confidence``: what ensembles that choose are worth."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.cli import main
from lars_plugin.errors import DatasetError, InputError
from lars_plugin.evaluation.clips import Clip, Recording
from lars_plugin.evaluation.confidence import (
    BLENDS,
    confidence_tables,
    evaluate_confidence,
)
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.evaluation.summary import summarise

Wave = NDArray[np.float32]


class Bleeds:
    """Gives the true stems with so much of the mixture in each; only those named, if any are."""

    settings = ""
    is_model = True

    def __init__(self, name: str, bleed: float, stems: tuple[str, ...] = ()) -> None:
        self.name, self._bleed, self._stems = name, bleed, stems

    def estimate(self, recording: Recording, cancelled: Callable[[], bool]) -> Mapping[str, Wave]:
        assert not cancelled()
        some = self._bleed * recording.mixture / len(recording.references)
        return {
            name: ((1 - self._bleed) * wave + some).astype(np.float32)
            for name, wave in recording.references.items()
            if not self._stems or name in self._stems
        }


@pytest.fixture
def clips(
    tmp_path: Path,
    perform: Callable[..., dict[str, Wave]],
    stems_of: Callable[[Mapping[str, Wave]], dict[str, Wave]],
    write: Callable[..., Path],
) -> list[Clip]:
    for number in range(2):
        for index, (name, wave) in enumerate(stems_of(perform(number, 2.5)).items()):
            # Each drum has a place of its own.
            placed = wave * np.array([[1.0], [0.2 + 0.3 * index]], np.float32)
            write(tmp_path / f"clip{number}" / f"{name}.wav", placed)
    return find_clips(tmp_path)[1]


def test_blends_lie_between_the_mean_and_an_oracle_and_the_choice_is_counted(
    clips: list[Clip],
) -> None:
    systems = [Bleeds("good", 0.1), Bleeds("bad", 0.7)]
    found = evaluate_confidence(clips, systems)
    assert found.systems == ("good", "bad")
    names = [*found.systems, *BLENDS]
    summary = summarise(found.rows, names)
    mean = {n: summary.over_stems(n, "mean", summary.groupings["mean"]) or 0.0 for n in names}
    assert mean["bad"] < mean["mean"] < mean["auto"] <= mean["oracle's choice"] + 0.1
    right, windows = found.right[""]
    assert 0.8 * windows <= right <= windows
    scored, counted = confidence_tables(found)
    assert [row[0] for row in scored.rows][:-1] == names
    assert counted.rows[-1][2] == str(windows)


def test_systems_that_cannot_be_compared_are_refused(clips: list[Clip]) -> None:
    with pytest.raises(InputError, match="two models or more"):
        evaluate_confidence(clips, [Bleeds("one", 0.1)])
    with pytest.raises(DatasetError, match="only kick in common"):
        evaluate_confidence(clips, [Bleeds("one", 0.1), Bleeds("two", 0.2, ("kick",))])


def test_the_command_prints_both_tables_for_models_nmf_and_variants(
    clips: list[Clip], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = next(iter(clips[0].stems.values()))[0].parents[1]
    command = ["evaluate", str(folder), "--model", "lars-live", "--baseline", "mixture,nmf"]
    assert main([*command, "--confidence", "--variants", "plain,mono", "--limit", "1", "-q"]) == 0
    out = capsys.readouterr().out
    for name in ("lars-live", "nmf", "mean", "auto", "oracle's choice"):
        assert re.search(rf"^{name}  +-?\d", out, re.MULTILINE), name
    assert "best of 2 (by chance 50 %)" in out
    assert not re.search("^mixture", out, re.MULTILINE)


def test_it_makes_tables_only_and_here(
    clips: list[Clip], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(next(iter(clips[0].stems.values()))[0].parents[1])
    command = ["evaluate", folder, "--confidence", "--baseline", "none"]
    assert main([*command, "--csv", str(tmp_path / "x.csv")]) == 2
    assert "--confidence makes tables: leave out --csv" in capsys.readouterr().err
    assert main([*command, "--engine", "ray"]) == 2
    assert "leave out --midi, --strokes and --confidence" in capsys.readouterr().err
