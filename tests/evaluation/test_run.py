# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.errors import InputError, ModelNotFoundError
from lars_plugin.evaluation.clips import Clip, Recording
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.evaluation.ledger import Ledger
from lars_plugin.evaluation.run import Outcome, evaluate
from lars_plugin.evaluation.scoring import Row
from lars_plugin.evaluation.systems import BaselineSystem, ModelSystem, System, make_systems
from lars_plugin.model import Model
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import FailingModel, GainModel, IdentityModel, NaNModel

Wave = NDArray[np.float32]

HALF = GainModel([0.5] * 6)


def model(result: Model, name: str = "half") -> ModelSystem:
    return ModelSystem(name, "", lambda: Separator(result))


class Counting:
    """The mixture baseline, which counts its calls."""

    name, settings, is_model = "counting", "", False

    def __init__(self) -> None:
        self.calls = 0

    def estimate(self, recording: Recording, cancelled: Callable[[], bool]) -> Mapping[str, Wave]:
        self.calls += 1
        return dict.fromkeys(recording.references, recording.mixture)


@pytest.fixture(scope="module")
def clips(clip_tree: Path) -> list[Clip]:
    return find_clips(clip_tree)[1]


def timeless(rows: tuple[Row, ...]) -> list[Row]:
    return [dataclasses.replace(row, work=0.0) for row in rows]


def test_every_clip_is_scored_by_every_system(clips: list[Clip]) -> None:
    outcome = evaluate(clips, [model(HALF), BaselineSystem("oracle")], Ledger())
    assert not outcome.failures
    result = [(row.clip, row.system) for row in outcome.rows if row.stem == "kick"]
    assert result == [(clip.name, name) for clip in clips for name in ("half", "oracle")]
    assert {row.kit for row in outcome.rows if row.clip == "clip1"} == {"b"}
    half = [row for row in outcome.rows if row.system == "half" and row.stem != "cymbals"]
    assert [row.leakage_db for row in half] == pytest.approx([-6.02] * len(half), abs=0.01)
    assert all(row.work > 0 and row.seconds == 0.5 for row in outcome.rows)


def test_several_clips_at_a_time_give_the_same_rows(clips: list[Clip]) -> None:
    systems: list[System] = [model(IdentityModel()), BaselineSystem("oracle")]
    one = evaluate(clips, systems, Ledger(), jobs=1)
    three = evaluate(clips, systems, Ledger(), jobs=3)
    assert timeless(three.rows) == timeless(one.rows)


def test_a_run_continues_where_it_was_stopped(clips: list[Clip], tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    system = Counting()

    def stop(done: int, total: int, what: str) -> None:
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    with Ledger(path) as ledger, pytest.raises(KeyboardInterrupt):
        evaluate(clips, [system], ledger, progress=stop)
    assert system.calls == 2
    steps: list[int] = []
    with Ledger(path, resume=True) as ledger:
        again = evaluate(clips, [system], ledger, progress=lambda done, *_: steps.append(done))
    assert system.calls == 3
    assert steps == [2, 3]
    assert timeless(again.rows) == timeless(evaluate(clips, [system], Ledger()).rows)


def test_a_finished_run_needs_no_model(clips: list[Clip], tmp_path: Path) -> None:
    with Ledger(tmp_path / "s.csv") as ledger:
        first = evaluate(clips, [model(HALF)], ledger)

    def gone() -> Separator:
        raise ModelNotFoundError("gone")

    with Ledger(tmp_path / "s.csv", resume=True) as ledger:
        again = evaluate(clips, [ModelSystem("half", "", gone)], ledger)
    assert len(again.rows) == len(first.rows)


def test_other_settings_are_not_taken_for_done(clips: list[Clip], tmp_path: Path) -> None:
    with Ledger(tmp_path / "s.csv") as ledger:
        evaluate(clips, [model(HALF)], ledger)
    with Ledger(tmp_path / "s.csv", resume=True) as ledger:
        system = ModelSystem("half", "overlap 4", lambda: Separator(HALF, overlap=4))
        outcome = evaluate(clips, [system], ledger)
    assert {row.settings for row in outcome.rows} == {"overlap 4"}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("faulty", [FailingModel, NaNModel])
def test_a_model_that_fails_on_one_clip_spoils_no_other(
    clips: list[Clip], faulty: Callable[[], Model], jobs: int
) -> None:
    # Its first chunk, and with it one clip, fails.
    outcome = evaluate(clips, [model(faulty(), "faulty"), model(HALF)], Ledger(), jobs=jobs)
    assert len(outcome.failures) == 1
    assert outcome.failures[0].system == "faulty"
    assert {row.clip for row in outcome.rows if row.system == "half"} == {c.name for c in clips}
    assert len({row.clip for row in outcome.rows if row.system == "faulty"}) == 2


def test_a_bug_in_a_system_is_a_failure_and_not_the_end(clips: list[Clip]) -> None:
    faulty = FailingModel(error=RuntimeError("boom"))
    outcome = evaluate(clips, [model(faulty)], Ledger())
    assert [failure.reason for failure in outcome.failures] == [
        "internal error: RuntimeError('boom')"
    ]


def test_a_clip_that_cannot_be_read_is_a_failure_of_every_system(
    clips: list[Clip], tmp_path: Path
) -> None:
    (tmp_path / "kick.wav").write_bytes(b"no audio")
    broken = Clip("broken", {"kick": (tmp_path / "kick.wav",)})
    systems = [BaselineSystem("mixture"), BaselineSystem("oracle")]
    outcome = evaluate([broken, clips[0]], systems, Ledger())
    assert [failure.clip for failure in outcome.failures] == ["broken", "broken"]
    assert "kick.wav" in outcome.failures[0].reason
    assert {row.clip for row in outcome.rows} == {"clip0"}


def test_a_missing_model_is_an_error_before_anything_is_written(
    clips: list[Clip], tmp_path: Path
) -> None:
    path = tmp_path / "s.csv"
    path.write_text("precious")
    counting = Counting()
    systems = [counting, *make_systems([str(tmp_path / "nowhere")])]
    with Ledger(path) as ledger, pytest.raises(ModelNotFoundError):
        evaluate(clips, systems, ledger)
    assert path.read_text() == "precious"
    assert counting.calls == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_stopping_in_the_middle_starts_no_further_clip(clips: list[Clip], jobs: int) -> None:
    system = Counting()

    def stop(done: int, total: int, what: str) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(clips * 20, [system], Ledger(), jobs=jobs, progress=stop)
    assert system.calls <= 1 + jobs


def test_nothing_to_do_and_names_given_twice_are_refused(clips: list[Clip]) -> None:
    two = [model(HALF), model(HALF)]
    cases: list[tuple[list[Clip], list[System], int]] = [
        ([], [model(HALF)], 1),
        (clips, [], 1),
        (clips, [*two], 1),
        (clips, [model(HALF)], 0),
    ]
    for some, systems, jobs in cases:
        with pytest.raises(InputError):
            evaluate(some, systems, Ledger(), jobs=jobs)


def test_systems_are_named_by_the_last_part_of_a_folder() -> None:
    result = make_systems(["lars-mini", "a/b", "c/d/"], ["oracle"], overlap=1.5)
    assert [system.name for system in result] == ["lars-mini", "b", "d", "oracle"]
    assert [system.settings for system in result] == ["overlap 1.5"] * 3 + [""]
    assert [system.is_model for system in result] == [True] * 3 + [False]
    assert make_systems(["lars-mini"], overlap=2, shifts=3)[0].settings == "overlap 2, shifts 3"
    twins = make_systems(["a/b", "c/b"], preset="fast", precision="bfloat16")
    assert [system.name for system in twins] == ["a/b", "c/b"]
    assert twins[0].settings == "preset fast, bfloat16"


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(InputError, match="mixture, oracle, nmf"):
        make_systems([], ["magic"])


def test_a_model_is_loaded_once_for_all_clips(clips: list[Clip]) -> None:
    opened: list[int] = []

    def open_separator() -> Separator:
        opened.append(1)
        return Separator(HALF)

    outcome: Outcome = evaluate(clips, [ModelSystem("m", "", open_separator)], Ledger(), jobs=3)
    assert len(outcome.rows) == 21
    assert len(opened) == 1
