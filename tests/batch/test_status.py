# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger says of a batch, and scores of clips."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lars_plugin.batch.command import LEDGER
from lars_plugin.batch.engine import Event
from lars_plugin.batch.jobs import Output, Result
from lars_plugin.batch.ledger import Item, Ledger
from lars_plugin.batch.status import lines, status
from lars_plugin.cli import main
from tests.batch.inline import InlineEngine
from tests.batch.runs import Batch, noise, read_only, states


def item(name: str, size: int | None = 100, digest: str = "d") -> Item:
    return Item(f"/in/{name}", "/in", "{}", size, "1", digest)


def test_status_tells_states_failures_by_kind_speed_and_time_left(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    with Ledger(path) as ledger:
        ledger.begin_run("ray")
        ledger.register(item(f"{index}.wav", size=1000) for index in range(10))
        ledger.beat(3)
        jobs = ledger.next_jobs(6)
        for job in jobs[:4]:
            ledger.begun(job, "w")
            ledger.done(Result(job.key, "done", seconds=1800.0, elapsed=9.0))
        ledger.begun(jobs[4], "w")
        ledger.failed(jobs[5].key, None, "unreadable", "no", worker="w", tries=1, wait=1)
        ledger.commit()
        found = status(path)
    assert (found["files"], found["done"], found["waiting"], found["in_work"]) == (10, 4, 4, 1)
    assert found["failed"] == {"unreadable": 1}
    assert found["running"]
    assert found["workers"] == 3
    assert found["audio_hours"] == 2.0
    assert found["audio_hours_per_hour"] > 100
    # Five of 1000 bytes are left, four took all the time so far.
    assert found["seconds_left"] == pytest.approx(found["seconds"] * 5 / 4, rel=0.01)
    text = "\n".join(lines(found))
    for part in ("running, 3 workers", "done: 4 of 10", "failed (unreadable): 1", "time left: "):
        assert part in text


def test_nothing_is_in_work_when_a_run_was_ended_in_mid_file(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    with Ledger(path) as ledger:
        ledger.begin_run("local")
        ledger.register(item(f"{index}.wav") for index in range(3))
        for job in ledger.next_jobs(2):
            ledger.begun(job, "w")
        ledger.beat(2)
        assert status(path)["running"]
        ledger.end_run("it was interrupted")
    found = status(path)
    assert not found["running"]
    assert (found["waiting"], found["in_work"]) == (3, 0)


def test_a_second_interrupt_leaves_no_file_at_work(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(InlineEngine):
        def events(self, timeout: float) -> Sequence[Event]:
            raise KeyboardInterrupt

        def close(self, *, stop: bool) -> Sequence[Event]:
            assert stop
            raise KeyboardInterrupt

    monkeypatch.setattr("lars_plugin.batch.command._engine", Interrupted)
    noise("in/a.wav", 0.1)
    assert batch("in").code == 130
    assert states(tmp_path / "o") == {"a.wav": "waiting"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts as Linux does")
def test_status_reads_a_ledger_where_nothing_can_be_written(
    inline: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise("in/a.wav", 0.1)
    assert inline("in").code == 0
    with read_only(tmp_path / "o", tmp_path / "there"):
        assert main(["batch", "--status", "there"]) == 0
        assert "done: 1 of 1 files" in capsys.readouterr().out
        run = inline("in", out="there")
        assert run.code == 1
        assert "the folder is read-only; choose another" in run.err
    # A run that was killed left what only SQLite can take up, and not there.
    with Ledger(tmp_path / "o" / LEDGER) as ledger:
        ledger.begin_run("local")
        shutil.copytree(tmp_path / "o", tmp_path / "killed")
    (tmp_path / "killed" / f"{LEDGER}-shm").unlink()
    with read_only(tmp_path / "killed", tmp_path / "there"):
        assert main(["batch", "--status", "there"]) == 1
        assert "look at its folder's permissions" in capsys.readouterr().err


def test_a_ledger_keeps_what_is_done_through_changes_of_files_and_settings(tmp_path: Path) -> None:
    path = tmp_path / LEDGER

    def waiting(*items: Item) -> list[str]:
        with Ledger(path) as ledger:
            ledger.begin_run("local")
            ledger.register(items)
            names = [job.location.rsplit("/", 1)[-1] for job in ledger.next_jobs(100)]
            for job in ledger.next_jobs(100):
                ledger.begun(job, "w")
                outputs = {"kick": Output("kick.wav", 1, 2, "s")}
                ledger.done(Result(job.key, "done", outputs=outputs))
            return names

    assert waiting(item("a"), item("b"), item("c")) == ["a", "b", "c"]
    assert waiting(item("a"), item("b"), item("c")) == []
    assert waiting(item("a", size=7), item("b"), item("c", digest="e")) == ["a", "c"]
    # What is not known of a file, as of URLs in a manifest, does not count as changed.
    assert waiting(item("a", size=None)) == []
    # A run of some files says nothing of the others.
    assert waiting(item("d")) == ["d"]
    assert waiting(item("a", size=7), item("b"), item("c", digest="e"), item("d")) == []


def test_a_file_that_is_not_a_ledger_is_not_touched(batch: Batch, tmp_path: Path) -> None:
    noise("in/a.wav")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / LEDGER).write_bytes(b"something else, of some length" * 100)
    run = batch("in")
    assert run.code == 1
    assert "cannot use the ledger" in run.err
    assert (tmp_path / "o" / LEDGER).read_bytes().startswith(b"something else")
    assert main(["batch", "--status", str(tmp_path / "nowhere")]) == 2


def test_clips_are_scored_as_evaluate_scores_them(
    inline: Batch, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for clip in ("one", "two"):
        for index, stem in enumerate(("kick", "snare", "mix")):
            noise(f"clips/{clip}/{stem}.wav", 1.0, seed=index)
    run = inline("clips/*/mix.wav", "--evaluate", "--float32", "--json")
    assert run.code == 0, run.err
    assert json.loads(run.out)["done"] == 2
    assert main(
        ["evaluate", "clips", "-m", str(tiny), "-d", "cpu", "--baseline", "none", "-q", "--csv",
         "e.csv", "--precision", "auto", "--backend", "torch"]
    ) == 0  # fmt: skip

    def rows(path: str) -> list[list[str]]:
        kept = ("clip", "stem", "sdr_db", "leakage_db", "reference_db")
        text = Path(path).read_text().splitlines()
        return sorted([row[name] for name in kept] for row in csv.DictReader(text))

    assert rows("o/scores.csv") == rows("e.csv")
    assert len(rows("e.csv")) > 2


def test_scores_are_of_the_files_of_this_run(inline: Batch, tmp_path: Path) -> None:
    for clip in ("one", "two"):
        for index, stem in enumerate(("kick", "snare", "mix")):
            noise(f"clips/{clip}/{stem}.wav", 0.5, seed=index)

    def scored() -> set[tuple[str, str]]:
        text = (tmp_path / "o/scores.csv").read_text().splitlines()
        return {(row["clip"], row["stem"]) for row in csv.DictReader(text)}

    assert inline("clips/*/mix.wav", "--evaluate").code == 0
    everything = scored()
    assert {clip for clip, _ in everything} == {"one", "two"}
    assert inline("clips/two/mix.wav", "--evaluate", "--stems", "kick").code == 0
    assert ("two", "snare") in everything
    assert {stem for _, stem in scored()} < {stem for _, stem in everything}
    assert {clip for clip, _ in scored()} == {"two"}


def test_clips_without_true_stems_are_told(inline: Batch) -> None:
    noise("in/a.wav")
    run = inline("in", "--evaluate")
    assert run.code == 1
    assert "holds no clips" in run.err
