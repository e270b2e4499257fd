# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars batch`` on the cores of this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lars_plugin.batch.command import LEDGER
from lars_plugin.batch.lock import only_run
from tests.batch.runs import Batch, killing, noise, rows, states, stems_in

Separated = Callable[..., "dict[str, bytes]"]

proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into Linux' /proc")


def test_a_folder_becomes_what_separate_makes_of_it_to_the_bit_and_every_bad_file_is_named(
    batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    noise("in/a/x.wav", seed=1)
    noise("in/b/x.wav", seed=2, channels=1)
    noise("in/y.flac", 1.3, seed=3)
    Path("in/bad.wav").write_text("nothing")
    Path("in/empty.wav").touch()
    run = batch("in", "--residual", "--midi", jobs=2)
    assert run.code == 1
    assert "bad.wav" in run.err
    assert "empty.wav" in run.err
    expected = separated("in", "--residual", "--midi")
    assert len(expected) == 3 * 8
    assert stems_in(tmp_path / "o") == expected
    assert states(tmp_path / "o") == {
        "x.wav": "done", "y.flac": "done", "bad.wav": "failed", "empty.wav": "failed"
    }  # fmt: skip
    assert rows(tmp_path / "o")["bad.wav"]["kind"] == "unreadable"
    # A row says what it is of: digests of input and outputs, worker, seconds.
    row = rows(tmp_path / "o")["y.flac"]
    assert row["seconds"] == pytest.approx(1.3)
    assert len(row["sha256"]) == 64
    outputs = json.loads(row["outputs"])
    assert {*outputs} == {"kick", "snare", "toms", "hihat", "ride", "crash", "residual", "midi"}
    assert ":" in row["worker"]

    # Once more: nothing is done, the bad files are named again.
    before = _times(tmp_path / "o")
    run = batch("in", "--residual", "--midi", "--resume")
    assert run.code == 1
    assert "0 to do, 3 done already" in run.err
    assert "bad.wav" in run.err
    assert _times(tmp_path / "o") == before


def _times(folder: Path) -> dict[str, int]:
    return {
        path.as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.suffix in (".wav", ".flac", ".mid")
    }


def test_what_is_missing_or_changed_is_done_and_nothing_else(batch: Batch, tmp_path: Path) -> None:
    for index in range(4):
        noise(f"in/{index}.wav", seed=index)
    assert batch("in").code == 0
    before = _times(tmp_path / "o")
    (tmp_path / "o/0/kick.wav").unlink()
    noise("in/1.wav", 0.7, seed=9)
    os.utime("in/2.wav")  # touched, but the same
    noise("in/new.wav", seed=5)
    run = batch("in")
    assert run.code == 0
    assert "4 to do, 1 done already" in run.err
    assert "2.wav: skipped" in run.out
    after = _times(tmp_path / "o")
    changed = {Path(name).parent.name for name in after if after[name] != before.get(name)}
    assert changed == {"0", "1", "new"}


def test_other_settings_replace_the_batchs_own_outputs_but_nobody_elses(
    batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    noise("in/a.wav")
    noise("in/b.wav", seed=1)
    assert batch("in", "--bits", "16").code == 0
    shutil.copy("in/a.wav", "o/b/kick.wav")  # somebody's own
    run = batch("in", "--bits", "24")
    assert run.code == 1
    assert "b/kick.wav is there already" in run.err
    assert states(tmp_path / "o") == {"a.wav": "done", "b.wav": "failed"}
    expected = separated("in", "--bits", "24")
    assert {name: data for name, data in stems_in(tmp_path / "o").items() if name[0] == "a"} == {
        name: data for name, data in expected.items() if name[0] == "a"
    }
    assert batch("in", "--bits", "24", "--overwrite", "--retry-failed").code == 0
    assert stems_in(tmp_path / "o") == expected


def test_stems_that_separate_made_are_taken_as_done(batch: Batch, separated: Separated) -> None:
    noise("in/a.wav")
    separated("in")
    run = batch("in", out="separated-to-compare")
    assert run.code == 0
    assert "a.wav: skipped" in run.out


@proc
def test_a_worker_killed_in_mid_file_costs_an_attempt_and_no_file(
    batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    noise("in/long.wav", 20.0, seed=1)
    for index in range(3):
        noise(f"in/short{index}.wav", seed=index)
    with killing(tmp_path / "in/long.wav", times=1) as killed:
        run = batch("in")
    assert len(killed) == 1
    assert run.code == 0, run.err
    assert "killed by SIGKILL" in run.err
    assert stems_in(tmp_path / "o") == separated("in")
    assert not list(tmp_path.glob("o/**/*.part"))


@proc
def test_a_file_that_kills_its_worker_each_time_is_set_aside_and_the_others_are_done(
    batch: Batch, tmp_path: Path
) -> None:
    noise("in/poison.wav", 20.0, seed=1)
    for index in range(3):
        noise(f"in/short{index}.wav", seed=index)
    with killing(tmp_path / "in/poison.wav") as killed:
        run = batch("in", "--attempts", "2")
    assert len(killed) == 2
    assert run.code == 1
    found = rows(tmp_path / "o")
    assert found["poison.wav"]["state"] == "failed"
    assert found["poison.wav"]["kind"] == "killed"
    assert found["poison.wav"]["attempts"] == 2
    assert "killed by SIGKILL while it worked on this file" in found["poison.wav"]["error"]
    assert all(found[f"short{index}.wav"]["state"] == "done" for index in range(3))
    # It stays aside, until it is wanted.
    assert "0 to do" in batch("in").err
    assert batch("in", "--retry-failed").code == 0


def test_two_runs_on_one_ledger_refuse_each_other(batch: Batch, tmp_path: Path) -> None:
    noise("in/a.wav")
    with only_run(tmp_path / "o" / LEDGER):
        run = batch("in")
    assert run.code == 2
    assert f"another run is at work on {tmp_path / 'o' / LEDGER}" in run.err
    assert f"process {os.getpid()}" in run.err
    assert batch("in").code == 0


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_is_killed_or_interrupted_is_resumed(
    number: int, batch: Batch, separated: Separated, tiny: Path, tmp_path: Path
) -> None:
    for index in range(6):
        noise(f"in/{index}.wav", 4.0, seed=index)
    command = [sys.executable, "-m", "lars_plugin", "batch", "in", "-o", "o", "-j", "1", "-m",
               str(tiny), "-d", "cpu"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"0.wav: done" in process.stdout.readline()
        process.send_signal(number)
        process.communicate()
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    done = [name for name, state in states(tmp_path / "o").items() if state == "done"]
    assert 0 < len(done) < 6
    before = _times(tmp_path / "o")
    for _ in range(100):  # the orphan ends by itself
        if not list(tmp_path.glob("o/**/*.part")):
            break
        time.sleep(0.1)
    run = batch("in", "--resume")
    assert run.code == 0, run.err
    assert set(states(tmp_path / "o").values()) == {"done"}
    assert stems_in(tmp_path / "o") == separated("in")
    after = _times(tmp_path / "o")
    assert all(after[name] == time_ns for name, time_ns in before.items())
    assert not list(tmp_path.glob("o/**/*.part"))


def test_a_full_disk_ends_no_run_and_is_tried_again(batch: Batch, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk here: {mounted.stderr.decode()}")
    try:
        noise("in/a.wav", 0.3)
        noise("in/big.wav", 20.0)
        run = batch("in", "--attempts", "1", "--ledger", "l.sqlite", out=str(place))
        assert run.code == 1
        assert "the disk is full" in run.err
        found = rows(tmp_path / "l.sqlite")
        assert found["a.wav"]["state"] == "done"
        assert found["big.wav"]["kind"] == "disk"
        assert not list(place.glob("**/*.part"))
        subprocess.run(["mount", "-o", "remount,size=60m", place], check=True)
        assert batch("in", "--ledger", "l.sqlite", out=str(place)).code == 0
    finally:
        subprocess.run(["umount", "-l", place], check=False)


def test_a_job_that_wants_more_memory_than_there_is_fails_alone(
    batch: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav", 0.3)
    noise("in/b.wav", 0.3)
    Path("in/list.csv").write_text(f"path,batch_size\na.wav,{10**9}\nb.wav,\n")
    run = batch("in/list.csv", "--attempts", "1")
    assert run.code == 1
    found = rows(tmp_path / "o")
    assert found["a.wav"]["kind"] == "memory", found["a.wav"]["error"]
    assert found["b.wav"]["state"] == "done"


def test_a_model_that_is_missing_or_wrong_stems_end_the_run_before_it_begins(
    batch: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav")
    run = batch("in", "-m", "no-such-model")
    assert run.code != 0
    assert "no-such-model" in run.err
    run = batch("in", "--stems", "trumpet")
    assert run.code == 2
    assert "has no stem trumpet" in run.err
    assert not stems_in(tmp_path / "o")
