# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts do to plugins, plainly and under the sanitizers, and an engine that the plugin starts.

``lars_hygiene`` opens and closes the window 100 times while audio runs, loads states on another
thread, sets every parameter to anything, changes rates and blocks without release, and destroys
plugins while an engine separates their file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.bridge.local_engine import EngineProcess
from tests.models import python_path

Run = Callable[..., str]
KINDS = ("", "_address", "_thread")  # plain; address and undefined behaviour; data races
PASSED = "All tests passed ("  # Catch2's last line
SUPPRESSIONS = Path(__file__).parents[2] / "bridge" / "juce" / "tests"
CHECKS = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
    "TSAN_OPTIONS": f"suppressions={SUPPRESSIONS / 'races.supp'}:history_size=4",
}


@pytest.mark.parametrize("kind", KINDS)
def test_cpp_parts_hold_without_a_host(run_program: Run, nobody: Path, kind: str) -> None:
    assert PASSED in run_program(f"lars_units{kind}", runtime=nobody, **CHECKS)


def test_the_message_thread_does_not_touch_a_lock_that_was_given_back(
    run_program: Run, build: Path, nobody: Path
) -> None:
    if not (build / "corrected-juce" / "juce_events").is_dir():
        pytest.skip("this JUCE's lock is another than 7.0.5's, and is not corrected")
    assert PASSED in run_program("lars_message_lock", runtime=nobody)


@pytest.mark.parametrize("kind", KINDS)
def test_hygiene_without_an_engine(
    run_program: Run, nobody: Path, display: str, tmp_path: Path, kind: str
) -> None:
    said = run_program(
        f"lars_hygiene{kind}", runtime=nobody, DISPLAY=display, TMPDIR=str(tmp_path), **CHECKS
    )
    assert PASSED in said


@pytest.mark.parametrize("kind", KINDS)
def test_hygiene_with_an_engine(
    run_program: Run,
    engine: EngineProcess,
    display: str,
    long_file: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    said = run_program(
        f"lars_hygiene{kind}",
        runtime=engine.runtime,
        LARS_TEST_FILE=str(long_file),
        LARS_TEST_MODEL="slow",
        DISPLAY=display,
        TMPDIR=str(tmp_path),
        **CHECKS,
    )
    assert PASSED in said
    with engine.client() as client:  # no job goes on for a plugin that is no more
        end = time.monotonic() + 120
        while jobs := client.status()["jobs"]:
            assert time.monotonic() < end, jobs
            time.sleep(0.1)
    assert list(tmp_path.glob("lars-*")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_files_is_worked_off(
    run_program: Run, engine: EngineProcess, tmp_path: Path, kind: str
) -> None:
    rng = np.random.default_rng(4)
    files = [tmp_path / "list" / name for name in ("one.mp3", "two.wav", "three.flac")]
    files[0].parent.mkdir()
    for file in files:
        soundfile.write(file, rng.uniform(-0.2, 0.2, (44100, 2)), 44100)
    said = run_program(
        f"lars_hygiene{kind}",
        "[list]",
        runtime=engine.runtime,
        LARS_TEST_LIST=":".join(map(str, files)),
        LARS_TEST_SHORT_MODEL="live",
        TMPDIR=str(tmp_path),
        **CHECKS,
    )
    assert PASSED in said
    assert list(tmp_path.glob("lars-*")) == []


def test_the_vst3_does_what_the_validator_of_the_format_asks(
    run_program: Run, vst3: Path, engine: EngineProcess
) -> None:
    library = next(vst3.glob("Contents/*/LARS.so"))
    said = run_program("lars_conformance", runtime=engine.runtime, LARS_TEST_VST3=str(library))
    assert PASSED in said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the watching library")
def test_the_plugin_starts_an_engine_of_its_own_when_told_to(
    run_program: Run, build: Path, tmp_path: Path
) -> None:
    runtime = tmp_path / "run"
    command = f'"{sys.executable}" -m lars_plugin serve --models-from host_models'
    said = run_program(
        "lars_realtime",
        "0.5",
        f"start:{command}",
        runtime=runtime,
        LD_PRELOAD=str(build / "tests" / "liblars_interpose.so"),
        PYTHONPATH=python_path(Path(__file__).parent),
        OMP_NUM_THREADS="1",
    )
    try:
        assert "state 3" in said, said + (runtime / "engine.log").read_text("utf-8")
    finally:
        # It outlives the plugin, as other tracks may use it.
        pid = json.loads((runtime / "engine.json").read_text("utf-8"))["pid"]
        os.kill(pid, signal.SIGTERM)
