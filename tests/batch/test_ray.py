# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars batch --engine ray`` on a real cluster of three nodes, and what goes wrong there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.batch.clusters import Nodes, nodes
from tests.batch.runs import Batch, holders, killing, noise, rows, states, stems_in

Separated = Callable[..., "dict[str, bytes]"]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into Linux' /proc"),
    # Ray leaves sockets and files to the garbage collector.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    with nodes(2) as found:
        yield found


def on_ray(cluster: Nodes) -> tuple[str, ...]:
    return ("--engine", "ray", "--address", cluster.address)


def test_stems_are_those_of_separate_to_the_bit_and_every_bad_file_is_named(
    cluster: Nodes, batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    for index in range(5):
        noise(f"in/{index}.wav", 2.0, seed=index)
    Path("in/bad.wav").write_text("nothing")
    run = batch("in", *on_ray(cluster), jobs=None)
    assert run.code == 1, run.err
    assert "bad.wav" in run.err
    assert stems_in(tmp_path / "o") == separated("in")
    found = rows(tmp_path / "o")
    assert len({row["worker"] for row in found.values()}) == 2
    assert found["bad.wav"]["kind"] == "unreadable"
    assert all(row["attempts"] == 1 for row in found.values())
    assert "0 to do, 5 done already" in batch("in", *on_ray(cluster), jobs=None).err


def test_workers_that_take_nothing_of_a_node_are_as_many_as_requested(
    cluster: Nodes, batch: Batch, tmp_path: Path
) -> None:
    for index in range(15):
        noise(f"in/{index}.wav", 20.0, seed=index)
    run = batch("in", *on_ray(cluster), "--cpus-per-worker", "0", jobs=5)
    assert run.code == 0, run.err
    # More than one on a node: there are three, with the head.
    assert len({row["worker"] for row in rows(tmp_path / "o").values()}) > 3


def test_a_worker_killed_in_mid_file_costs_an_attempt_and_no_file(
    cluster: Nodes, batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    noise("in/long.wav", 30.0, seed=1)
    for index in range(4):
        noise(f"in/short{index}.wav", seed=index)
    with killing(tmp_path / "in/long.wav", times=1) as killed:
        run = batch("in", *on_ray(cluster), jobs=None)
    assert len(killed) == 1
    assert run.code == 0, run.err
    assert stems_in(tmp_path / "o") == separated("in")
    assert not list(tmp_path.glob("o/**/*.part"))
    assert rows(tmp_path / "o")["long.wav"]["attempts"] == 2


def test_a_file_that_kills_its_worker_each_time_is_set_aside_and_the_others_are_done(
    cluster: Nodes, batch: Batch, tmp_path: Path
) -> None:
    noise("in/poison.wav", 30.0, seed=1)
    for index in range(4):
        noise(f"in/short{index}.wav", seed=index)
    with killing(tmp_path / "in/poison.wav") as killed:
        run = batch("in", "--attempts", "2", *on_ray(cluster), jobs=None)
    assert run.code == 1
    assert len(killed) == 2
    found = rows(tmp_path / "o")
    assert (found["poison.wav"]["state"], found["poison.wav"]["kind"]) == ("failed", "killed")
    for index in range(4):
        row = found[f"short{index}.wav"]
        assert (row["state"], row["attempts"]) == ("done", 1)


def test_a_node_that_is_removed_takes_no_file_with_it(
    cluster: Nodes, batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    for index in range(4):
        noise(f"in/{index}.wav", 20.0, seed=index)
    victim = cluster.add()

    def remove() -> None:
        # When all three are at work.
        for _ in range(1200):
            if (
                len({pid for index in range(4) for pid in holders(tmp_path / f"in/{index}.wav")})
                > 2
            ):
                break
            time.sleep(0.05)
        cluster.remove(victim)

    thread = threading.Thread(target=remove)
    thread.start()
    run = batch("in", *on_ray(cluster), jobs=None)
    thread.join()
    assert run.code == 0, run.err
    assert stems_in(tmp_path / "o") == separated("in")


def test_a_driver_that_is_killed_is_resumed(
    cluster: Nodes, batch: Batch, separated: Separated, tiny: Path, tmp_path: Path
) -> None:
    for index in range(8):
        noise(f"in/{index}.wav", 4.0, seed=index)
    command = [sys.executable, "-m", "lars_plugin", "batch", "in", "-o", "o", "-m", str(tiny),
               "-d", "cpu", *on_ray(cluster)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b": done" in process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    done = [name for name, state in states(tmp_path / "o").items() if state == "done"]
    assert 0 < len(done) < 8
    run = batch("in", "--resume", *on_ray(cluster), jobs=None)
    assert run.code == 0, run.err
    assert set(states(tmp_path / "o").values()) == {"done"}
    assert stems_in(tmp_path / "o") == separated("in")
    assert f"{len(done)} done already" in run.err


def test_a_job_that_wants_more_memory_than_there_is_fails_alone(
    cluster: Nodes, batch: Batch, tmp_path: Path
) -> None:
    noise("in/a.wav", 0.3)
    noise("in/b.wav", 0.3)
    Path("in/list.csv").write_text(f"path,batch_size\na.wav,{10**9}\nb.wav,\n")
    run = batch("in/list.csv", "--attempts", "2", *on_ray(cluster), jobs=None)
    assert run.code == 1
    found = rows(tmp_path / "o")
    assert (found["a.wav"]["kind"], found["a.wav"]["attempts"]) == ("memory", 2)
    assert found["b.wav"]["state"] == "done"


def test_no_cluster_and_no_ray_are_told_in_one_line(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise("in/a.wav", 0.3)
    monkeypatch.setitem(sys.modules, "ray", None)
    run = batch("in", "--engine", "ray", jobs=None)
    assert run.code == 2
    assert "pip install 'lars-plugin[cluster]'" in run.err
    assert len(run.err.strip().splitlines()) <= 2
