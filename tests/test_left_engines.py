# SPDX-License-Identifier: GPL-3.0-or-later
"""No engine of the tests stays when they are over, and none of them reads the user's folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lars_plugin.bridge.discovery import runtime_folder
from lars_plugin.bridge.installed import installed_file
from tests.engines import MARK, end, left_behind

ROOT = Path(__file__).parents[1]

# A test that starts an engine as the plugin does, in a session of its own, and forgets it.
FORGETFUL = """
import subprocess, sys
from tests.engines import left_behind

def test_forgets():
    command = [sys.executable, "-c", "import time; time.sleep(300)", "serve"]
    forgotten = subprocess.Popen(command, start_new_session=True)
    while forgotten.pid not in left_behind():
        pass  # until it runs its own program
    with open("pid", "w") as file:
        file.write(str(forgotten.pid))
"""
WAITS = """
import time
import pytest

@pytest.fixture
def kept():
    yield
    open("closed", "w").close()

def test_waits(kept):
    open("begun", "w").close()
    time.sleep(300)
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are seen in /proc")
def test_an_engine_that_goes_on_after_its_test_is_found_and_ended() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(300)", "serve"]
    stranger = subprocess.Popen(command, env=os.environ | {MARK: "of another run"})
    ours = subprocess.Popen(command, start_new_session=True)
    try:
        while ours.pid not in left_behind():
            time.sleep(0.01)  # until it runs its own program
        found = left_behind()
        assert found[ours.pid].endswith("serve")
        assert stranger.pid not in found
        end({ours.pid: found[ours.pid]})
        assert ours.wait(60) == -signal.SIGKILL
        assert ours.pid not in left_behind()
    finally:
        for process in (ours, stranger):
            process.kill()
            process.wait()


def run_of_tests(folder: Path, text: str) -> subprocess.Popen[str]:
    """A run of its own with the set-up of all tests, of one file."""
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    (folder / "test_one.py").write_text(text)
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_one.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are seen in /proc")
def test_a_run_that_leaves_an_engine_fails_and_ends_it(tmp_path: Path) -> None:
    with run_of_tests(tmp_path, FORGETFUL) as run:
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 1, said
    assert "these engines were left behind" in said
    pid = int((tmp_path / "pid").read_text())
    for _ in range(600):
        if not is_alive(pid):
            return
        time.sleep(0.1)
    raise AssertionError(f"{pid} goes on")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for has ended all the same."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter")
def test_a_run_that_is_terminated_closes_what_it_has_opened(tmp_path: Path) -> None:
    with run_of_tests(tmp_path, WAITS) as run:
        while not (tmp_path / "begun").exists():
            assert run.poll() is None
            time.sleep(0.05)
        run.terminate()
        run.communicate(timeout=120)
    assert (tmp_path / "closed").exists()


def test_tests_have_folders_of_their_own() -> None:
    own = Path(os.environ["LARS_RUNTIME_DIR"]).parent
    assert own.name.startswith("lars-tests-")
    assert runtime_folder().parent == own
    if sys.platform == "linux":  # elsewhere the user's data folder follows no variable
        assert own in installed_file().parents
