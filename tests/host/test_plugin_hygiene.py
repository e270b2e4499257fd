# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts do to plugins, and an engine that the plugin starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lars_plugin.bridge.embedded import EngineProcess


def run(runtime: Path, *command: str | Path, **more: str) -> str:
    environment = {**os.environ, "LARS_RUNTIME_DIR": str(runtime), **more}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_windows_states_parameters_and_rates_without_an_engine(build: Path, tmp_path: Path) -> None:
    assert "0 failures" in run(tmp_path, build / "tests" / "lars_hygiene")


def test_windows_states_parameters_and_rates_with_an_engine(
    build: Path, engine: EngineProcess
) -> None:
    assert "0 failures" in run(engine.runtime, build / "tests" / "lars_hygiene")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the watching library")
def test_the_plugin_starts_an_engine_of_its_own_when_told_to(build: Path, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    command = f'"{sys.executable}" -m lars_plugin serve --models-from host_models'
    said = run(
        runtime,
        build / "tests" / "lars_realtime",
        "0.5",
        f"start:{command}",
        LD_PRELOAD=str(build / "tests" / "liblars_interpose.so"),
        PYTHONPATH=str(Path(__file__).parent),
        OMP_NUM_THREADS="1",
    )
    try:
        assert "state 3" in said, said + (runtime / "engine.log").read_text("utf-8")
    finally:
        # It outlives the plugin, as other tracks may use it.
        pid = json.loads((runtime / "engine.json").read_text("utf-8"))["pid"]
        os.kill(pid, signal.SIGTERM)
