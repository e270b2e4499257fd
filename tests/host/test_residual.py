# SPDX-License-Identifier: GPL-3.0-or-later
"""What no stem has: with it the stems null against the track, at every rate and in both modes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pedalboard import VST3Plugin

from lars_plugin.bridge.local_engine import EngineProcess

Wave = NDArray[np.float32]
Render = Callable[..., tuple[NDArray[np.float32], int]]
BUSES = ("main", "kick", "snare", "toms", "hihat", "ride", "crash", "residual")
ORDER = ("live", "tiny", "slow", "absent")  # the engine's models
BLOCK = 512
MINUS_120_DB = 1e-6


def noise(samples: int) -> Wave:
    """White: half of it is above 22.05 kHz at 88.2 kHz, more at higher rates."""
    return np.random.default_rng(3).uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


@pytest.fixture
def render(build: Path, vst3: Path, tmp_path: Path) -> Render:
    """Runs ``lars_buses``: (buses, channels, samples) from the first sample on, and the latency."""

    def run(audio: Wave, rate: int, *values: str) -> tuple[NDArray[np.float32], int]:
        file, out = tmp_path / "audio.f32", tmp_path / "out.f32"
        np.ascontiguousarray(audio.T, "<f4").tofile(file)
        plugin = next(vst3.glob("Contents/*/LARS.so"))
        done = subprocess.run(
            (build / "tests" / "lars_buses", file, str(rate), str(BLOCK), out, *values),
            env={**os.environ, "LARS_TEST_VST3": str(plugin)},
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        )
        _, channels, _, latency = done.stdout.split()
        assert int(channels) == 2 * len(BUSES)
        made = np.fromfile(out, "<f4").reshape(-1, len(BUSES), 2)
        return made.transpose(1, 2, 0), int(latency)

    return run


@pytest.mark.parametrize("mode", ["live", "offline"])
@pytest.mark.parametrize("rate", [44100, 48000, 88200, 96000, 192000])
def test_the_main_output_is_the_delayed_input_and_the_buses_add_up_to_it(
    engine: EngineProcess, render: Render, rate: int, mode: str
) -> None:
    audio = noise(rate // 2)
    place = ORDER.index("live" if mode == "live" else "tiny") / 31
    model = f"Model={place}" if mode == "live" else f"Model for files={place}"
    made, latency = render(audio, rate, model, f"Mode={0.5 if mode == 'offline' else 0}")
    assert latency > 0
    delayed = np.pad(audio, ((0, 0), (latency, 0)))
    main, buses = made[0], made[1:]
    assert not main[:, :latency].any()
    assert np.abs(main - delayed).max() < MINUS_120_DB
    assert np.abs(buses.sum(axis=0) - delayed).max() < MINUS_120_DB
    if mode == "live":  # where the stems of that model alone do not add up
        assert np.abs(made[7]).max() > 0.01
    assert min(np.abs(stem).max() for stem in buses[:6]) > 0.001


def test_the_residual_has_a_fader_as_a_stem_has(engine: EngineProcess, render: Render) -> None:
    audio = noise(12000)
    model = f"Model={ORDER.index('live') / 31}"

    def main(*values: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        made, _ = render(audio, 44100, model, *values)
        return made[0], made[1:]

    made, buses = main("Residual mute=1")
    np.testing.assert_allclose(made, buses[:6].sum(axis=0), rtol=0, atol=4e-6)
    made, buses = main("Residual solo=1")
    np.testing.assert_allclose(made, buses[6], rtol=0, atol=1e-7)
    made, buses = main("Kick solo=1")
    np.testing.assert_allclose(made, buses[0], rtol=0, atol=1e-7)
    made, buses = main(f"Residual gain={(-6 + 60) / 72}")
    wanted = buses[:6].sum(axis=0) + 10 ** (-6 / 20) * buses[6]
    np.testing.assert_allclose(made, wanted, rtol=0, atol=4e-6)
    made, buses = main("Bypass=1")
    assert made.any()
    assert not buses.any()


@pytest.mark.parametrize("silent", [False, True])
def test_while_the_engine_is_away_the_residual_is_silent(
    render: Render, nobody: Path, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(nobody))
    audio = noise(6000)
    made, latency = render(audio, 96000, f"When the engine is away={int(silent)}")
    delayed = np.pad(audio, ((0, 0), (latency, 0)))
    assert not made[7].any()
    if silent:
        assert not made.any()
        return
    np.testing.assert_allclose(made[0], delayed, rtol=0, atol=1e-6)
    for stem in made[1:7]:
        np.testing.assert_allclose(stem, delayed / 6, rtol=0, atol=1e-6)


def test_a_model_without_weights_is_silent_also_in_the_residual(
    engine: EngineProcess, render: Render, models: ModuleType
) -> None:
    with engine.client() as client:
        offers = {one["name"]: one["weights"] for one in client.status()["offers"]}
    if offers["absent"]:
        pytest.skip("another test has downloaded it")
    made, _ = render(noise(6000), 44100, f"Model={ORDER.index('absent') / 31}")
    assert not made.any()


def test_a_session_of_before_sounds_as_before(
    engine: EngineProcess, vst3: Path, load_module: Callable[[str], ModuleType], models: ModuleType
) -> None:
    states = load_module("vst3_state")
    audio = noise(8000)
    plugin: Any = VST3Plugin(str(vst3))
    plugin.parameters["model"].raw_value = ORDER.index("live") / 31
    kept = plugin.raw_state
    xml = states.inner(kept)
    assert 'id="residual_mute"' in xml
    before = re.sub(r'<PARAM id="residual_[^>]*/>', "", xml)
    assert "residual" not in before
    plugin.raw_state = states.with_inner(kept, before)
    assert plugin.residual_mute
    made = plugin.process(audio, 44100, buffer_size=BLOCK, reset=True)
    np.testing.assert_allclose(made, sum(models.SHARES) * audio, rtol=0, atol=1e-5)
    # One of now has it in the mix.
    plugin.raw_state = kept
    assert not plugin.residual_mute
    made = plugin.process(audio, 44100, buffer_size=BLOCK, reset=True)
    np.testing.assert_allclose(made, audio, rtol=0, atol=MINUS_120_DB)
