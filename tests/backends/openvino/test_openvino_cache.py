# SPDX-License-Identifier: GPL-3.0-or-later
"""Converted networks where nothing can be written, and where many want one at once."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lars_plugin.backends.openvino.cache import GRAPH, CacheError, cached, kept
from lars_plugin.errors import EngineError
from lars_plugin.networks.mdx23c.prepost import MDX23CPrePost
from lars_plugin.zoo.registry import cache_folder, find_weights, get_config
from tests.models import mdx23c

WAVES = np.random.default_rng(3).standard_normal((1, 2, 960)).astype(np.float32) * 0.1


def backend(cache: Path) -> Any:
    from lars_plugin.backends.openvino.backend import OpenVINOBackend

    network = mdx23c(2)
    prepost = MDX23CPrePost(network.config, lambda: network.eval().requires_grad_(False))
    return OpenVINOBackend(prepost, identity={"weights": "a"}, cache=cache, threads=1)


def write(folder: Path) -> None:
    (folder / GRAPH).write_bytes(b"x" * 20_000)
    (folder / "model.bin").write_bytes(b"b" * 2_000_000)


def below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "cache"


def too_long(tmp_path: Path) -> Path:
    return tmp_path / ("x" * 300)


@pytest.mark.parametrize("place", [below_a_file, too_long])
def test_where_nothing_can_be_written_the_network_runs_all_the_same_with_one_warning(
    place: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")
    expected = backend(tmp_path / "good")(WAVES)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            np.testing.assert_array_equal(backend(place(tmp_path))(WAVES), expected)
    warnings = [one for one in caplog.records if "LARS_CACHE" in one.getMessage()]
    assert len(warnings) == 1


@pytest.fixture(params=["read-only", "full"])
def poor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system that takes nothing, or nearly nothing."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a file system needs root")
    folder = tmp_path / "mounted"
    folder.mkdir()
    options = "size=1m,ro" if request.param == "read-only" else "size=40k"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this root may not mount, as in a container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_or_full_file_system_is_no_error(
    poor: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")
    expected = backend(tmp_path / "good")(WAVES)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(backend(poor / "openvino")(WAVES), expected)
    assert caplog.text.count("LARS_CACHE") == 1
    assert [path for path in poor.rglob("*") if path.is_file()] == []


def test_what_was_converted_is_kept_in_memory_when_it_cannot_be_saved(tmp_path: Path) -> None:
    made: list[str] = []

    def make() -> str:
        made.append("graph")
        return made[-1]

    def full(graph: object, folder: Path) -> None:
        (folder / GRAPH).write_text("half")
        raise OSError(28, "No space left on device")

    assert kept(tmp_path, "key", make, full) == "graph"
    assert made == ["graph"]  # once
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_conversion_is_none_of_the_cache(tmp_path: Path) -> None:
    def make() -> str:
        raise EngineError("this network cannot be converted")

    with pytest.raises(EngineError, match="cannot be converted") as caught:
        kept(tmp_path, "key", make, lambda graph, folder: None)
    assert not isinstance(caught.value, CacheError)


def _use(root: str, uses: int, damage: bool, barrier: Any, results: Any) -> None:
    bad = []
    for use in range(uses):
        first = barrier.wait(120) == 0
        if first and damage:
            folder = Path(root, f"key{use}")
            folder.mkdir()
            (folder / GRAPH).write_text("broken")
        barrier.wait(120)
        try:
            folder = cached(Path(root), f"key{use}", write)
            assert len((folder / GRAPH).read_bytes()) == 20_000
            assert len((folder / "model.bin").read_bytes()) == 2_000_000
        except Exception as error:
            bad.append(repr(error))
    results.put(bad)


@pytest.mark.parametrize("damage", [False, True])
def test_first_uses_at_once_never_fail(damage: bool, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes, uses = 5, 40
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=_use, args=(str(tmp_path), uses, damage, barrier, results))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=240) for _ in workers] == [[]] * processes
    for worker in workers:
        worker.join()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert len(list(tmp_path.iterdir())) == uses


def test_a_whole_conversion_is_never_replaced(tmp_path: Path) -> None:
    before: list[os.stat_result] = []

    def slow(folder: Path) -> None:
        write(folder)
        if not before:  # meanwhile another process finishes
            before.append(cached(tmp_path, "key", write).stat())

    folder = cached(tmp_path, "key", slow)
    assert folder.stat().st_ino == before[0].st_ino


def test_a_process_killed_while_it_converts_leaves_nothing_harmful(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from lars_plugin.backends.openvino.cache import GRAPH, cached
def make(folder):
    (folder / GRAPH).write_text("half")
    print("converting", flush=True)
    time.sleep(600)
cached(Path(sys.argv[1]), "key", make)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "converting\n"
        child.kill()
    [left] = tmp_path.iterdir()
    folder = cached(tmp_path, "key", write)
    assert folder.name == "key"
    assert left.exists()  # for all that others know, it is being written
    old = time.time() - 2 * 24 * 3600
    os.utime(left, (old, old))
    cached(tmp_path, "another", write)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "key"]


def test_without_a_home_folder_none_is_made_in_the_current_one(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from lars_plugin.zoo.registry import cache_folder
os.environ["LARS_CACHE"] = "~nobodyofthatname/cache"
folder = cache_folder()
try:
    folder.mkdir(parents=True)
except OSError:
    pass
else:
    sys.exit(f"{folder} was made")
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_folder_that_cannot_be_looked_into_hides_no_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_CACHE", str(too_long(tmp_path)))
    assert cache_folder() == too_long(tmp_path)
    assert find_weights(get_config("lars-mini")).is_file()
    with pytest.raises(Exception, match="weights of mdx23c-small are not here"):
        find_weights(get_config("mdx23c-small"))
