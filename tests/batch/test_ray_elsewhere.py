# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation, and rendering for training, by the workers of a real Ray cluster."""

from __future__ import annotations

import csv
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.cli import main
from lars_plugin.errors import DatasetError
from lars_plugin.training.data.pool import Pool, PoolConfig
from tests.batch.clusters import Nodes, nodes
from tests.batch.runs import noise
from tests.training.conftest import write_groove, write_kits

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Ray is tested on Linux"),
    # Ray leaves sockets and files to the garbage collector.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    with nodes(2) as found:
        yield found


def rows_of(path: Path) -> list[list[str]]:
    """Rows of scores without the time they took."""
    with path.open() as handle:
        return sorted(row[:-1] for row in csv.reader(handle))


def test_scores_are_the_same_wherever_clips_are_scored(
    cluster: Nodes, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for clip in range(3):
        for index, stem in enumerate(("kick", "snare")):
            noise(tmp_path / f"clips/{clip}/{stem}.wav", 1.0, seed=7 * clip + index)
    (tmp_path / "clips/broken").mkdir()
    (tmp_path / "clips/broken/kick.wav").write_text("nothing")
    (tmp_path / "clips/broken/snare.wav").write_text("nothing")
    command = ["evaluate", str(tmp_path / "clips"), "-m", str(tiny), "-d", "cpu", "--baseline",
               "mixture,oracle", "--wiener", "1", "-q"]  # fmt: skip
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    assert main([*command, "--csv", str(here)]) == 1
    ray = ["--engine", "ray", "--address", cluster.address]
    assert main([*command, "--csv", str(there), *ray]) == 1
    assert "failed, first: " in capsys.readouterr().err
    assert rows_of(there) == rows_of(here)
    assert len(rows_of(there)) > 3 * 4


def test_excerpts_for_training_are_rendered_by_the_cluster_and_a_worker_that_dies_is_replaced(
    cluster: Nodes, tmp_path: Path
) -> None:
    write_kits(tmp_path / "kits")
    (tmp_path / "grooves").mkdir()
    for name in ("a.mid", "b.mid"):
        write_groove(tmp_path / "grooves" / name)
    config = PoolConfig(
        kits=str(tmp_path / "kits"), grooves=str(tmp_path / "grooves"), segment=8192, batch=2,
        pool=8, workers=2, synthetic_kits=0, seed=3, engine="ray", address=cluster.address,
    )  # fmt: skip
    pool = Pool(config)
    try:
        assert pool.draw().shape == (2, 6, 2, 8192)
        os.kill(_renderers()[0], signal.SIGKILL)
        before = pool.rendered
        for _ in range(30):
            batch = pool.draw()
            assert np.isfinite(batch).all()
        assert pool.rendered >= before
    finally:
        pool.close()


def test_workers_that_cannot_render_are_told_with_the_reason(
    cluster: Nodes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = PoolConfig(
        kits=str(tmp_path / "no-kits"), grooves=str(tmp_path), segment=8192, batch=2,
        pool=8, workers=1, synthetic_kits=0, seed=3, engine="ray", address=cluster.address,
    )  # fmt: skip
    pool = Pool(config)
    try:
        with pytest.raises(DatasetError, match="a rendering process died"):
            pool.draw()
    finally:
        pool.close()
    told = [text for text in caplog.messages if text.startswith("a rendering worker is gone: ")]
    assert told
    assert all("DatasetError" in text and "no-kits" in text for text in told), told


def _renderers() -> list[int]:
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            title = Path(f"/proc/{number}/cmdline").read_bytes()
        except OSError:
            continue
        if b"ray::_Renderer" in title:
            found.append(int(number))
    return found
