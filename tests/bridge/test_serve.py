# SPDX-License-Identifier: GPL-3.0-or-later
"""`lars serve` and `lars stream` as processes."""

from __future__ import annotations

import argparse
import gc
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.audio import read_audio, write_audio
from lars_plugin.bridge.command import add_serve_parser
from lars_plugin.bridge.engine.serving import settings_from
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.errors import BridgeError
from tests.models import SHARES, python_path

HERE = Path(__file__).parent
ENVIRONMENT = {"PYTHONPATH": python_path(HERE)}
ARGUMENTS = ["--models-from", "engine_models"]


def run(process: EngineProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lars_plugin", *arguments],
        env=process.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_status_shows_sessions_ratio_misses_and_queue(process: EngineProcess) -> None:
    with process.client(name="a DAW") as client:
        client.open("live")
        client.process(np.zeros((2, 500), np.float32), patience=10)
        done = run(process, "serve", "--status")
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "a DAW" in line)
    for word in ("live", "44100 Hz", "real-time ratio", "misses 0", "queue 0", "errors 0"):
        assert word in line


def test_a_second_engine_is_refused_and_the_first_goes_on(process: EngineProcess) -> None:
    done = run(process, "serve", *ARGUMENTS)
    assert done.returncode == 1
    assert "running already" in done.stderr
    with process.client() as client:
        client.ping()


@pytest.mark.parametrize("mode", ["live", "offline"])
def test_stream_plays_a_file_through_the_bridge(
    process: EngineProcess, tmp_path: Path, mode: str
) -> None:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 20000)).astype(np.float32)
    write_audio(tmp_path / "drums.wav", wave, 44100, bits="32f")
    done = run(
        process, "stream", str(tmp_path / "drums.wav"), "-o", str(tmp_path / "stems"),
        "--mode", mode, "--model", "live" if mode == "live" else "chunked", "--bits", "32f",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.splitlines()]
    for path, share in zip(files, SHARES, strict=True):
        made, _ = read_audio(path)
        np.testing.assert_allclose(made, wave * share, atol=1e-6)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stops_gracefully_and_leaves_nothing_behind(number: signal.Signals) -> None:
    with EngineProcess([*ARGUMENTS, "--log", "json"], environment=ENVIRONMENT) as process:
        with process.client() as client:
            client.open("live")
            process.process.send_signal(number)
            assert process.process.wait(15) == 0
            # The stream's owner is told, and its live track goes on.
            out = client.process(np.ones((2, 256), np.float32), patience=5)
            assert out.samples == 256
            assert not client.connected
            assert "engine stops" in str(client.error)
        assert [path.name for path in process.runtime.iterdir()] == []
        lines = [line for line in process.log.read_text().splitlines() if line.startswith("{")]
        events = [json.loads(line) for line in lines]
        assert {"connected", "stream opened", "stream closed", "stopping"} <= {
            event["event"] for event in events
        }
        opened = next(event for event in events if event["event"] == "stream opened")
        assert opened["model"] == "live"
        assert {"time", "level", "session", "rate"} <= set(opened)


def test_serve_starts_again_after_a_crash_left_its_files() -> None:
    with EngineProcess(ARGUMENTS, environment=ENVIRONMENT) as process:
        process.process.kill()
        process.process.wait()
        assert (process.runtime / "engine.sock").exists()
        again = subprocess.Popen(
            [sys.executable, "-m", "lars_plugin", "serve", *ARGUMENTS],
            env=process.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert again.stderr is not None
        with again.stderr:
            while "ready" not in again.stderr.readline():
                assert again.poll() is None
            with process.client() as client:
                assert client.engine.pid == again.pid
            again.terminate()
            assert again.wait(15) == 0


def test_the_public_names_of_the_bridge_are_there() -> None:
    import lars_plugin.bridge

    for name in lars_plugin.bridge.__all__:
        assert getattr(lars_plugin.bridge, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute"):
        lars_plugin.bridge.nothing  # noqa: B018


def test_wrong_arguments_are_one_line(process: EngineProcess, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="allow-remote"):
        EngineProcess([*ARGUMENTS, "--tcp", "0.0.0.0:0"], environment=ENVIRONMENT)
    with pytest.raises(BridgeError, match="port"):
        EngineProcess([*ARGUMENTS, "--tcp", "localhost:http"], environment=ENVIRONMENT)
    with pytest.raises(BridgeError, match="models-from"):
        EngineProcess(["--models-from", "no_such_module"], environment=ENVIRONMENT)
    done = run(process, "stream", str(tmp_path / "none.wav"), "-o", str(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1


def test_serve_runs_networks_on_the_fastest_backend_or_the_one_asked_for(tmp_path: Path) -> None:
    environment = {"LARS_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for arguments, expected in (
        ([], "openvino cpu float32"),
        (["--backend", "torch"], "torch cpu float32"),
    ):
        with (
            EngineProcess(arguments, environment=environment) as process,
            process.client(timeout=60) as client,
        ):
            client.open("lars-live", max_block=504)
            client.process(np.zeros((2, 504), np.float32), patience=60)
            (model,) = client.status()["models"]
        assert (model["name"], model["backend"]) == ("lars-live", expected)


def test_the_garbage_collector_leaves_a_loaded_model_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.syspath_prepend(HERE)
    parser = argparse.ArgumentParser()
    add_serve_parser(parser.add_subparsers())
    settings = settings_from(parser.parse_args(["serve", *ARGUMENTS]))
    try:
        before = gc.get_freeze_count()
        settings.load("live")
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_models_that_can_be_opened_at_once_are_listed_before_those_that_are_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("LARS_CACHE", str(tmp_path / "cache"))
    parser = argparse.ArgumentParser()
    add_serve_parser(parser.add_subparsers())
    names = settings_from(parser.parse_args(["serve"])).models
    here = {"lars-mini", "lars-live", "lars-live-low", "lars-fullmix"}
    assert set(names[: len(here)]) == here
    assert "mdx23c-small" in names[len(here) :]
