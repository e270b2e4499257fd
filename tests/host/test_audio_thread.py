# SPDX-License-Identifier: GPL-3.0-or-later
"""On the audio thread nothing allocates, locks, or calls the system, whatever the engine does.

A preloaded library counts what the thread does while it is in the callback, with a file playing
beside the stream, in blocks of 0, 1, 17, 333, the prepared 512, and 1024.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lars_plugin.bridge.local_engine import EngineProcess

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the calls are watched with LD_PRELOAD"
)

Run = Callable[..., str]


def numbers(said: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", said)}


@pytest.fixture
def watch(build: Path) -> dict[str, str]:
    """The environment in which a program is watched."""
    return {"LD_PRELOAD": str(build / "tests" / "liblars_interpose.so")}


def test_the_watch_sees_what_is_done_on_purpose(
    run_program: Run, watch: dict[str, str], nobody: Path
) -> None:
    found = numbers(run_program("lars_realtime", "0.2", "control", runtime=nobody, **watch))
    assert found["malloc"] == found["free"] == found["pthread_mutex_lock"] > 0
    if not found["system_calls_watched"]:
        pytest.skip("this kernel or processor cannot dispatch system calls; functions are watched")
    assert found["system_call"] > 0


def test_silence_towards_the_system_with_the_engine_up(
    run_program: Run, watch: dict[str, str], engine: EngineProcess, long_file: Path
) -> None:
    found = numbers(
        run_program("lars_realtime", "2", "up:live", long_file, runtime=engine.runtime, **watch)
    )
    assert found["calls"] == 0, found
    assert found["latency"] > 0
    assert found["seen"] == 1, "no stem came in time"


def test_silence_towards_the_system_while_hits_are_played_as_midi(
    run_program: Run, watch: dict[str, str], engine: EngineProcess
) -> None:
    found = numbers(run_program("lars_realtime", "2", "midi:live", runtime=engine.runtime, **watch))
    assert found["calls"] == 0, found
    assert found["notes"] > 4


def test_silence_towards_the_system_without_an_engine(
    run_program: Run, watch: dict[str, str], nobody: Path, long_file: Path
) -> None:
    found = numbers(run_program("lars_realtime", "1", "away", long_file, runtime=nobody, **watch))
    assert found["calls"] == 0, found
    assert found["missing"] == found["played"], "all of it was the fallback"


def test_silence_towards_the_system_while_a_render_plays_and_the_track_is_captured(
    run_program: Run, watch: dict[str, str], nobody: Path
) -> None:
    found = numbers(run_program("lars_realtime", "3", "rendered", runtime=nobody, **watch))
    assert found["calls"] == 0, found
    assert found["latency"] == 0
    assert found["seen"] == 1, "no stem was played"
    assert found["captured"] > 44100
    assert found["lost"] == 0


def test_silence_towards_the_system_with_a_slow_engine_that_dies(
    build: Path,
    program_environment: Callable[..., dict[str, str]],
    watch: dict[str, str],
    own_engine: EngineProcess,
    long_file: Path,
) -> None:
    # The slow model is twenty times too slow for real time; then its engine is killed.
    program = build / "tests" / "lars_realtime"
    with subprocess.Popen(
        [program, "3", "dies:slow", long_file],
        env=program_environment(runtime=own_engine.runtime, **watch),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "half\n"
        own_engine.process.kill()
        said = running.stdout.read()
    assert running.returncode == 0, said
    found = numbers(said)
    assert found["calls"] == 0, found
    assert found["missing"] > 0
    assert found["seen"] == 1, "the engine's end was not noticed"


def test_the_whole_vst3_allocates_nothing_and_fills_every_bus(
    run_program: Run, watch: dict[str, str], vst3: Path, engine: EngineProcess
) -> None:
    library = next(vst3.glob("Contents/*/LARS.so"))
    found = numbers(run_program("lars_vst3", library, "2", runtime=engine.runtime, **watch))
    assert found["buses"] == 8
    assert found["latency"] > 0
    # JUCE's wrapper takes its own lock, which nobody holds for long, once in each block.
    wrapper = found.pop("pthread_mutex_lock", 0)
    assert wrapper <= found["blocks"]
    assert found["calls"] == wrapper, found
