# SPDX-License-Identifier: GPL-3.0-or-later
"""Effects behind the stems: heard in a host, kept in its session, added in the window."""

from __future__ import annotations

import html
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pedalboard import VST3Plugin

from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.testing import STEMS
from tests.models import SHARES

Wave = NDArray[np.float32]
RATE = 44100
HALF: dict[str, Any] = {"id": "1", "effect": "Gain", "parameters": {"gain_db": 20 * np.log10(0.5)}}
LIMIT: dict[str, Any] = {"id": "1", "effect": "BrickwallLimiter", "parameters": {"ceiling_db": 0.0}}
KICK = SHARES[STEMS.index("kick")]


@pytest.fixture(scope="session")
def states(load_module: Callable[[str], ModuleType]) -> ModuleType:
    """``vst3_state``."""
    return load_module("vst3_state")


@pytest.fixture
def load(vst3: Path, states: ModuleType) -> Callable[..., Any]:
    """The plugin with a session's effects, in a mode."""

    def make(mode: str = "Offline", **chains: list[dict[str, Any]]) -> Any:
        plugin: Any = VST3Plugin(str(vst3))
        plugin.mode = mode
        text = html.escape(json.dumps({"stems": chains}))
        kept = states.inner(plugin.raw_state).replace("<LARS ", f'<LARS chains="{text}" ')
        plugin.raw_state = states.with_inner(plugin.raw_state, kept)
        return plugin

    return make


def noise(samples: int = 30_000) -> Wave:
    return np.random.default_rng(4).uniform(-0.1, 0.1, (2, samples)).astype(np.float32)


def play(plugin: Any, audio: Wave) -> Wave:
    """All of it, in place; pedalboard takes the latency out that the plugin reports."""
    heard: Wave = plugin.process(audio, RATE, buffer_size=512, reset=True)
    return heard


def saved(states: ModuleType, plugin: Any) -> Any:
    """The chains in what the plugin keeps."""
    xml = states.inner(plugin.raw_state)
    return json.loads(html.unescape(xml.split('chains="', 1)[1].split('"', 1)[0]))["stems"]


@pytest.mark.parametrize("mode", ["Live", "Offline"])
def test_a_sessions_effects_are_heard_in_place_and_nothing_takes_them_back(
    engine: EngineProcess, load: Callable[..., Any], states: ModuleType, mode: str
) -> None:
    """What no stem has is known from before the effects, or it would cancel them."""
    audio = noise()
    plain = load(mode)
    np.testing.assert_allclose(play(plain, audio), audio, atol=1e-6)
    before = plain.reported_latency_samples
    one = load(mode, kick=[HALF])
    np.testing.assert_allclose(play(one, audio), audio * (1 - KICK / 2), atol=1e-5)
    assert one.reported_latency_samples == before + 127
    # A limiter that has nothing to do, but needs 5 ms to see that, makes all others wait.
    two = load(mode, kick=[HALF], snare=[LIMIT])
    np.testing.assert_allclose(play(two, audio), audio * (1 - KICK / 2), atol=1e-5)
    assert two.reported_latency_samples == before + 127 + 220
    off = load(mode, kick=[{**HALF, "bypass": True}])
    np.testing.assert_allclose(play(off, audio), audio, atol=1e-6)
    (entry,) = saved(states, two)["kick"]
    assert entry["effect"] == "Gain"
    assert entry["parameters"]["gain_db"] == pytest.approx(HALF["parameters"]["gain_db"])


def test_an_effect_that_is_not_there_is_kept_in_the_session_and_the_others_play(
    engine: EngineProcess, load: Callable[..., Any], states: ModuleType
) -> None:
    gone = {"id": "2", "effect": "vst3/Gone.vst3", "state": "AQID", "parameters": {"mix": 0.5}}
    audio = noise()
    plugin = load(kick=[gone, HALF], snare=[{"id": "3", "effect": "vst3//tmp/x.vst3"}])
    np.testing.assert_allclose(play(plugin, audio), audio * (1 - KICK / 2), atol=1e-5)
    chains = saved(states, plugin)
    assert chains["kick"][0] == {**gone, "bypass": False}
    assert "snare" not in chains  # no session names a path


def test_the_effects_are_there_again_after_the_engine_was_killed(
    own_engine: EngineProcess,
    start_engine: Callable[[], EngineProcess],
    load: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = noise()
    plugin = load(kick=[HALF])
    np.testing.assert_allclose(play(plugin, audio), audio * (1 - KICK / 2), atol=1e-5)
    os.kill(own_engine.process.pid, signal.SIGKILL)
    own_engine.process.wait()
    with start_engine() as another:
        monkeypatch.setenv("LARS_RUNTIME_DIR", str(another.runtime))
        np.testing.assert_allclose(play(plugin, audio), audio * (1 - KICK / 2), atol=1e-5)


@pytest.fixture
def alone(start_engine: Callable[[], EngineProcess]) -> Iterator[EngineProcess]:
    """An engine that no other test's plugin finds: some live on in this process."""
    with start_engine() as engine:
        yield engine


@pytest.fixture
def window(
    driver: ModuleType,
    standalone: Path,
    display: str,
    alone: EngineProcess,
    program_environment: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> Iterator[Any]:
    """The program, just started, with an engine."""
    environment = program_environment(runtime=alone.runtime, TMPDIR=str(tmp_path))
    window = driver.Window(standalone, display, tmp_path / "home", environment)
    try:
        yield window
    finally:
        window.close()


def test_an_effect_is_added_and_removed_in_the_window_by_mouse_and_keyboard(
    window: Any, driver: ModuleType, alone: EngineProcess
) -> None:
    def effects() -> int:
        with alone.client() as client:
            sessions = client.status()["sessions"]
        # A change of the chain's latency makes a new one.
        newest = max(sessions, key=lambda one: int(one["session"]), default=None)
        return -1 if newest is None else int(newest["effects"])

    driver.wait_for(lambda: effects() == 0, "the stream")
    window.take_keyboard()

    def is_added() -> bool:
        window.press("effects kick")  # a second click closes what the first has opened
        time.sleep(1.0)
        window.key("Tab")
        time.sleep(0.3)
        window.key("Return")
        time.sleep(1.0)
        window.key("Down", "Down", "Return")
        time.sleep(2.0)
        if effects() != 1:
            window.key("Escape", "Escape")
        return effects() == 1

    driver.wait_for(is_added, "an effect")
    # The keyboard is at its switch; behind that are its settings' button and the one to remove it.
    window.key("Tab", "Tab", "Return")
    driver.wait_for(lambda: effects() == 0, "no effect")
    window.key("ctrl+z")
    driver.wait_for(lambda: effects() == 1, "the effect again")
