# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars batch`` on a real cluster of three nodes, from and into stores that answer over a network:
S3, and files over HTTP. They fail for a while, and so does the driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.batch.clusters import Nodes, nodes
from tests.batch.runs import Batch, noise, noted, rows, states, stems_in
from tests.batch.stores import S3, Fault, http, meanwhile, s3, until

Separated = Callable[..., "dict[str, bytes]"]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Ray is tested on Linux"),
    # Ray, and aiohttp in fsspec, leave sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def store() -> Iterator[S3]:
    with s3() as found:
        yield found


@pytest.fixture(scope="module")
def cluster(store: S3) -> Iterator[Nodes]:
    with nodes(2) as found:
        yield found


def on_ray(cluster: Nodes) -> tuple[str, ...]:
    return ("--engine", "ray", "--address", cluster.address)


def test_from_s3_into_s3_each_file_once_and_to_the_bit(
    cluster: Nodes, store: S3, batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    for index, name in enumerate(("a/x", "b/x", "b/with space", "b/ä")):
        noise(f"in/{name}.wav", 1.0, seed=index)
    Path("in/bad.wav").write_text("nothing")
    store.upload(tmp_path / "in", "once")
    store.files.mkdir("once-out")
    run = batch("s3://once", *on_ray(cluster), out="s3://once-out/stems", jobs=None)
    assert run.code == 1, run.err
    assert store.stems("once-out/stems") == separated("in")
    found = rows(tmp_path / "stems.lars-batch.sqlite")
    assert found["bad.wav"]["kind"] == "unreadable"
    assert {name: row["attempts"] for name, row in found.items() if name != "bad.wav"} == {
        "x.wav": 1, "with space.wav": 1, "ä.wav": 1
    }  # fmt: skip
    # Once more: what has changed in the store, and nothing else.
    store.files.pipe_file("once/a/x.wav", noise("new.wav", 1.2, seed=9).read_bytes())
    store.troubles.seen.clear()
    run = batch("s3://once", *on_ray(cluster), out="s3://once-out/stems", jobs=None)
    assert "1 to do, 3 done already" in run.err
    written = {call.rsplit("/", 1)[0] for call in store.troubles.seen if call.startswith("PUT")}
    assert written == {"PUT /once-out/stems/a/x"}


@pytest.mark.parametrize("fault", ["busy", "cut"])
def test_an_s3_store_that_fails_until_jobs_have_failed_costs_no_file(
    fault: Fault, cluster: Nodes, store: S3, batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    for index in range(6):
        noise(f"in/{index}.wav", 1.0, seed=index)
    store.upload(tmp_path / "in", f"lib-{fault}")
    store.files.mkdir(f"out-{fault}")
    ledger = tmp_path / "stems.lars-batch.sqlite"

    def fail_for_a_while() -> None:
        try:
            until(lambda: any(row["state"] == "done" for row in noted(ledger)))
            store.troubles.refused = 0
            store.troubles.begin(fault)
            # The library behind fsspec, we within a job, and then another job: all are tried.
            until(lambda: any(row["kind"] == "store" for row in noted(ledger)))
        finally:
            store.troubles.end()

    with meanwhile(fail_for_a_while):
        run = batch(f"s3://lib-{fault}", *on_ray(cluster), out=f"s3://out-{fault}/stems", jobs=None)
    assert run.code == 0, run.err
    assert store.troubles.refused > 1
    assert "it is tried again" in run.err
    assert store.stems(f"out-{fault}/stems") == separated("in")
    found = rows(ledger)
    assert {row["state"] for row in found.values()} == {"done"}
    assert max(row["attempts"] for row in found.values()) == 2
    # Those that were written before and after are written once.
    assert min(row["attempts"] for row in found.values()) == 1


def test_a_driver_killed_in_the_middle_of_an_upload_leaves_whole_objects_or_none(
    cluster: Nodes, store: S3, batch: Batch, separated: Separated, tiny: Path, tmp_path: Path
) -> None:
    for index in range(3):
        noise(f"in/{index}.wav", 25.0, seed=index)
    store.upload(tmp_path / "in", "killed")
    store.files.mkdir("killed-out")
    command = [sys.executable, "-m", "lars_plugin", "batch", "s3://killed", "-o",
               "s3://killed-out/stems", "-m", str(tiny), "-d", "cpu", *on_ray(cluster)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b": done" in process.stdout.readline()
        store.troubles.begin("hold")
        until(store.troubles.held.is_set)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    store.troubles.end()
    expected = separated("in")
    there = store.stems("killed-out/stems")
    assert 0 < len(there) < len(expected)
    assert all(expected[name] == stem for name, stem in there.items())
    run = batch("s3://killed", "--resume", *on_ray(cluster), out="s3://killed-out/stems", jobs=None)
    assert run.code == 0, run.err
    assert store.stems("killed-out/stems") == expected
    assert set(states(tmp_path / "stems.lars-batch.sqlite").values()) == {"done"}


@pytest.mark.parametrize("fault", ["busy", "cut"])
def test_recordings_over_http_are_read_whole_though_the_server_fails_for_a_while(
    fault: Fault, cluster: Nodes, batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    names = ("a.wav", "b/with space.wav", "b/ä.wav", "c.flac")
    for index, name in enumerate(names):
        noise(f"in/{name}", 1.0, seed=index)
    with http(tmp_path / "in") as (address, troubles):
        urls = [f"{address}/{quote(name)}" for name in (*names, "missing.wav")]
        (tmp_path / "list.csv").write_text("\n".join(["path", *urls]), "utf-8")

        def fail_for_a_while() -> None:
            troubles.begin(fault)
            try:
                until(lambda: any(row["kind"] == "store" for row in noted(tmp_path / "o")))
            finally:
                troubles.end()

        with meanwhile(fail_for_a_while):
            run = batch("list.csv", *on_ray(cluster), "--filename", "{track}/{stem}.{ext}",
                        jobs=None)  # fmt: skip
    assert run.code == 1, run.err
    assert troubles.refused > 1
    assert f"cannot read {urls[-1]}: no such file" in run.err
    expected = separated("in", "--filename", "{track}/{stem}.{ext}")
    assert stems_in(tmp_path / "o") == expected
    assert len(expected) == 4 * 6
    found = sorted(row["state"] for row in rows(tmp_path / "o").values())
    assert found == ["done"] * 4 + ["failed"]
