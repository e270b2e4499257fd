# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars batch`` on the cores of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batch.runs import Batch, killing, noise, rows, states, stems_in, times

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
    before = times(tmp_path / "o")
    run = batch("in", "--residual", "--midi", "--resume")
    assert run.code == 1
    assert "0 to do, 3 done already" in run.err
    assert "bad.wav" in run.err
    assert times(tmp_path / "o") == before


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
    before = times(tmp_path / "o")
    for _ in range(100):  # the orphan ends by itself
        if not list(tmp_path.glob("o/**/*.part")):
            break
        time.sleep(0.1)
    run = batch("in", "--resume")
    assert run.code == 0, run.err
    assert set(states(tmp_path / "o").values()) == {"done"}
    assert stems_in(tmp_path / "o") == separated("in")
    after = times(tmp_path / "o")
    assert all(after[name] == time_ns for name, time_ns in before.items())
    assert not list(tmp_path.glob("o/**/*.part"))
