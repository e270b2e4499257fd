# SPDX-License-Identifier: GPL-3.0-or-later
"""On the audio thread nothing allocates, locks, or calls the system, whatever the engine does.

A preloaded library counts the calls of the thread while it is in the callback.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lars_plugin.bridge.embedded import EngineProcess

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the calls are watched with LD_PRELOAD"
)


def watched(build: Path, runtime: Path, *command: str | Path) -> dict[str, int]:
    """Runs a program with the watching library; the numbers that it printed."""
    environment = {
        **os.environ,
        "LARS_RUNTIME_DIR": str(runtime),
        "LD_PRELOAD": str(build / "tests" / "liblars_interpose.so"),
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", done.stdout)}


def test_the_watch_sees_what_is_done_on_purpose(build: Path, tmp_path: Path) -> None:
    found = watched(build, tmp_path, build / "tests" / "lars_realtime", "0.2", "control")
    assert found["malloc"] == found["free"] == found["pthread_mutex_lock"] > 0


def test_silence_towards_the_system_with_the_engine_up(build: Path, engine: EngineProcess) -> None:
    found = watched(build, engine.runtime, build / "tests" / "lars_realtime", "2")
    assert found["calls"] == 0, found
    assert found["latency"] > 0


def test_silence_towards_the_system_without_an_engine(build: Path, tmp_path: Path) -> None:
    found = watched(build, tmp_path, build / "tests" / "lars_realtime", "1")
    assert found["calls"] == 0, found
    assert found["missing"] > 0


def test_the_whole_vst3_allocates_nothing_and_fills_every_bus(
    build: Path, vst3: Path, engine: EngineProcess
) -> None:
    library = next(vst3.glob("Contents/*/LARS.so"))
    found = watched(build, engine.runtime, build / "tests" / "lars_vst3", library, "2")
    assert found["buses"] == 7
    assert found["latency"] > 0
    # JUCE's wrapper takes its own lock, which nobody holds for long, once in each block.
    wrapper = found.pop("pthread_mutex_lock", 0)
    assert wrapper <= found["blocks"]
    assert found["calls"] == wrapper, found


def test_silence_towards_the_system_with_a_slow_engine_that_dies(
    build: Path, engine: EngineProcess
) -> None:
    # The slow model is twenty times too slow for real time; then its engine is stopped.
    program = build / "tests" / "lars_realtime"
    environment = {
        **os.environ,
        "LARS_RUNTIME_DIR": str(engine.runtime),
        "LD_PRELOAD": str(build / "tests" / "liblars_interpose.so"),
    }
    with subprocess.Popen(
        [program, "3", "slow"], env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        time.sleep(2.0)
        engine.process.kill()
        said = running.communicate(timeout=200)[0]
    found = {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", said)}
    assert running.returncode == 0
    assert found["calls"] == 0, said
    assert found["missing"] > 0
