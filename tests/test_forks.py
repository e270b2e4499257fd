# SPDX-License-Identifier: GPL-3.0-or-later
"""Separating in child processes: forked, spawned, and with pickled separators."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# Far more than anything here takes; a child that waits for threads waits for ever.
_PATIENCE = 240

_PREAMBLE = """
import logging, os, sys, threading
import numpy as np
from concurrent.futures import ProcessPoolExecutor
import multiprocessing as mp
from lars_plugin import Separator

folder, backend = sys.argv[1:3]
audio = np.random.default_rng(0).standard_normal((2, 60000)).astype(np.float32) * 0.1

def make():
    return Separator(folder, backend=backend)

def stems(separator):
    return np.stack(list(separator.separate(audio, 44100).values()))

def forked(work, leave=os._exit):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        leave(0)
    assert os.waitpid(pid, 0)[1] == 0

def same(made, expected):
    assert np.abs(made - expected).max() <= 2e-5 * np.abs(expected).max()
"""

_WAYS = {
    "the parent never separated": """
forked(lambda: stems(make()))
""",
    "the parent built it": """
separator = make()
forked(lambda: stems(separator))
""",
    "the parent used it": """
separator = make()
expected = stems(separator)
forked(lambda: same(stems(separator), expected))
forked(lambda: same(stems(make()), expected))
""",
    "the child forks again": """
separator = make()
expected = stems(separator)
def child():
    same(stems(separator), expected)
    forked(lambda: same(stems(separator), expected))
forked(child)
""",
    "the child ends like any process": """
separator = make()
expected = stems(separator)
forked(lambda: same(stems(separator), expected), leave=sys.exit)
if os.getpid() == first: same(stems(separator), expected)
""",
    "several streams at once": """
separator = make()
share = getattr(separator.model.backend, "share", None)
if share: share(2)
expected = stems(separator)
forked(lambda: same(stems(separator), expected))
""",
    "in the middle of a stream": """
separator = make()
expected = stems(separator)
stream = separator.stream(44100, 2)
begin = stream.push(audio[:, :30000])
def child():
    rest = [stream.push(audio[:, 30000:]), stream.flush()]
    same(np.concatenate([begin, *rest], axis=2), expected)
forked(child)
""",
}


def run(script: str, *arguments: object, cache: Path) -> None:
    program = _PREAMBLE + "first = os.getpid()\n" + script
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "LARS_CACHE": str(cache), "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("way", _WAYS)
def test_a_forked_child_separates_as_its_parent_does(
    way: str, backend: str, tiny_model: Path, cache: Path
) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    run(_WAYS[way], tiny_model, backend, cache=cache)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_live_model_goes_on_in_a_forked_child(backend: str, cache: Path) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    run(_WAYS["the parent used it"], "lars-live", backend, cache=cache)


def test_a_forked_child_transcribes_as_its_parent_does(cache: Path) -> None:
    script = """
from lars_plugin.midi.transcriber import load_transcriber
audio = np.tile(audio, (1, 8))
transcriber = load_transcriber()
expected = transcriber.hear(audio, 44100).groups
forked(lambda: same(transcriber.hear(audio, 44100).groups, expected))
"""
    run(script, "-", "-", cache=cache)


def test_a_forked_child_separates_where_only_the_parent_used_pytorch(
    tiny_model: Path, cache: Path
) -> None:
    script = """
import torch
big = torch.ones(2000, 2000)
for _ in range(3): (big @ big + big).sum()
forked(lambda: stems(make()))
"""
    run(script, tiny_model, "torch", cache=cache)


def test_pytorch_keeps_its_threads_in_children_that_do_not_separate(
    tiny_model: Path, cache: Path
) -> None:
    script = """
import torch
make()
def child():
    assert torch.get_num_threads() == 2
    stems(make())
    assert torch.get_num_threads() == 1
forked(child)
"""
    run(script, tiny_model, "torch", cache=cache)


def test_a_fork_while_another_thread_refines_leaves_no_lock_and_no_limit(
    tiny_model: Path, cache: Path
) -> None:
    script = """
from lars_plugin.dsp.parallel import one_thread_each, run_parts
import threadpoolctl
def limits():
    return [one["num_threads"] for one in threadpoolctl.threadpool_info()
            if one["user_api"] == "blas"]
before, inside, go = limits(), threading.Event(), threading.Event()
def other():
    with one_thread_each():
        inside.set(); go.wait()
run_parts(abs, [1, 2, 3], 2)
thread = threading.Thread(target=other); thread.start(); inside.wait()
def child():
    assert run_parts(abs, [-1, 2, 3], 2) == [1, 2, 3]
    with one_thread_each():
        assert set(limits()) <= {1}
    assert limits() == before
forked(child)
go.set(); thread.join()
assert limits() == before
"""
    run(script, tiny_model, "torch", cache=cache)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_a_pool_of_processes_takes_a_separator(
    method: str, backend: str, tiny_model: Path, cache: Path, tmp_path: Path
) -> None:
    script = """
from functools import partial
if __name__ == "__main__":
    separator = make()
    expected = stems(separator)
    with ProcessPoolExecutor(2, mp_context=mp.get_context(sys.argv[3])) as pool:
        jobs = [pool.submit(separator.separate, audio, 44100) for _ in range(3)]
        for job in jobs:
            same(np.stack(list(job.result().values())), expected)
"""
    program = tmp_path / "program.py"
    program.write_text(_PREAMBLE + script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program), str(tiny_model), backend, method],
        env={**os.environ, "LARS_CACHE": str(cache), "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    assert done.returncode == 0, done.stderr
