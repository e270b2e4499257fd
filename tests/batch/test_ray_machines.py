# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars batch`` on a real cluster of three nodes whose machines have too little: no room on the
disk, and no memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.batch.clusters import Nodes, nodes
from tests.batch.limits import little_memory, small_disk
from tests.batch.runs import Batch, noise, noted, rows, stems_in
from tests.batch.stores import meanwhile, until

Separated = Callable[..., "dict[str, bytes]"]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="mounts and cgroups of Linux"),
    # Ray leaves sockets and files to the garbage collector.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    with nodes(2) as found:
        yield found


def on_ray(cluster: Nodes) -> tuple[str, ...]:
    return ("--engine", "ray", "--address", cluster.address)


def test_a_disk_that_is_full_until_a_job_has_failed_costs_no_file(
    cluster: Nodes, batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    for index in range(5):
        noise(f"in/{index}.wav", 1.0, seed=index)
    expected = separated("in")
    # Room for all in the end, and at first for two.
    whole = sum(len(stem) for stem in expected.values()) / (1 << 20)
    with small_disk(tmp_path / "o", 1.5 * whole):
        filler = tmp_path / "o/somebody's"
        filler.write_bytes(bytes(round(1.1 * whole * (1 << 20))))

        def make_room() -> None:
            until(lambda: any(row["kind"] == "disk" for row in noted(tmp_path / "ledger")))
            filler.unlink()

        with meanwhile(make_room):
            run = batch("in", *on_ray(cluster), "--ledger", "ledger", "--attempts", "5", jobs=None)
        assert run.code == 0, run.err
        assert "No space left on device; it is tried again" in run.err
        assert stems_in(tmp_path / "o") == expected
        assert not list(tmp_path.glob("o/**/*.part"))
    found = rows(tmp_path / "ledger")
    assert {row["state"] for row in found.values()} == {"done"}
    assert max(row["attempts"] for row in found.values()) > 1


def test_a_ledger_on_a_full_disk_stops_the_run_and_the_next_one_does_the_rest(
    cluster: Nodes, batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    for index in range(3):
        noise(f"in/{index}.wav", 1.0, seed=index)
    expected = separated("in")
    whole = sum(len(stem) for stem in expected.values()) / (1 << 20)
    with small_disk(tmp_path / "o", 2 + 1.2 * whole):
        filler = tmp_path / "o/somebody's"
        filler.write_bytes(bytes(round((1.9 + 1.2 * whole) * (1 << 20))))
        run = batch("in", *on_ray(cluster), "--attempts", "1", jobs=None)
        assert run.code != 0
        assert "full" in run.err or "No space left" in run.err
        assert "Traceback" not in run.err
        filler.unlink()
        run = batch("in", *on_ray(cluster), jobs=None)
        assert run.code == 0, run.err
        assert stems_in(tmp_path / "o") == expected


def test_a_worker_that_the_system_kills_for_memory_costs_its_own_file_only(
    batch: Batch, separated: Separated, tmp_path: Path
) -> None:
    # All chunks of the long one are computed at once, which takes some gigabytes.
    noise("in/hungry.wav", 400.0, seed=1)
    for index in range(4):
        noise(f"in/short{index}.wav", 1.0, seed=index)
    (tmp_path / "in/list.csv").write_text(
        "path,batch_size\nhungry.wav,100000\n" + "".join(f"short{i}.wav,\n" for i in range(4))
    )
    with little_memory(2000) as group:
        with group.joined():
            started = nodes(2)
            cluster = started.__enter__()
        try:
            run = batch("in/list.csv", "--attempts", "2", "--piece-minutes", "0", *on_ray(cluster),
                        jobs=None)  # fmt: skip
        finally:
            started.__exit__(None, None, None)
        assert group.kills() >= 2
    assert run.code == 1, run.err
    found = rows(tmp_path / "o")
    hungry = found.pop("hungry.wav")
    assert (hungry["state"], hungry["kind"], hungry["attempts"]) == ("failed", "killed", 2)
    assert "memory" in hungry["error"]
    assert {(row["state"], row["attempts"]) for row in found.values()} == {("done", 1)}
    Path("in/hungry.wav").unlink()
    assert stems_in(tmp_path / "o") == separated("in")
