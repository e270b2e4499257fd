# SPDX-License-Identifier: GPL-3.0-or-later
"""What a state may do in a host: restore parameters and the model, exactly; and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pedalboard import VST3Plugin

from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.testing import STEMS

RATE = 44100
PLACES = 31  # of the last of the model parameter's steps
NAMES = ("lars-fullmix", "lars-live", "lars-mini")

# Loads the plugin, and a state if there is one; plays where it is told to; waits.
SCRIPT = """
import sys, time, pathlib
import numpy as np
from pedalboard import VST3Plugin
plugin = VST3Plugin(sys.argv[1])
if sys.argv[2]:
    plugin.raw_state = pathlib.Path(sys.argv[2]).read_bytes()
if sys.argv[3] == "play":
    plugin.process(np.zeros((2, 4410), np.float32), 44100)
time.sleep(2)
"""


@pytest.fixture(scope="session")
def states(load_module: Callable[[str], ModuleType]) -> ModuleType:
    """``vst3_state``."""
    return load_module("vst3_state")


@pytest.fixture
def in_host(vst3: Path, nobody: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs SCRIPT in a host that has no engine; the settings are in ``config``."""

    def run(state: bytes | None = None, *, play: bool = False) -> None:
        file = tmp_path / "state"
        if state is not None:
            file.write_bytes(state)
        named = str(file) if state is not None else ""
        subprocess.run(
            (sys.executable, "-c", SCRIPT, vst3, named, "play" if play else ""),
            env={
                **os.environ,
                "LARS_RUNTIME_DIR": str(nobody),
                "XDG_CONFIG_HOME": str(tmp_path / "config"),
                "XDG_DATA_HOME": str(tmp_path / "data"),
            },
            timeout=300,
            check=True,
        )

    return run


def settings(tmp_path: Path, command: str, *, automatic: bool) -> Path:
    """The user's own, as the window writes them."""
    file = tmp_path / "config" / "LARS" / "plugin.settings"
    file.parent.mkdir(parents=True)
    file.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<PROPERTIES>\n'
        f'  <VALUE name="engineCommand" val="{command}"/>\n'
        f'  <VALUE name="startEngine" val="{int(automatic)}"/>\n</PROPERTIES>\n'
    )
    return file


@pytest.fixture
def evil(vst3: Path, nobody: Path, states: ModuleType, tmp_path: Path) -> tuple[bytes, Path]:
    """A state that wants a command to be run, and the file that this would make."""
    os.environ["LARS_RUNTIME_DIR"], before = str(nobody), os.environ.get("LARS_RUNTIME_DIR")
    plugin: Any = VST3Plugin(str(vst3))
    if before is None:
        del os.environ["LARS_RUNTIME_DIR"]
    else:
        os.environ["LARS_RUNTIME_DIR"] = before
    made = tmp_path / "made-by-the-state"
    xml = states.inner(plugin.raw_state)
    xml = re.sub(r'(engineCommand|startEngine)="[^"]*"', "", xml)
    attack = f'<LARS engineCommand="/bin/sh -c &quot;id > {made}&quot;" startEngine="1" '
    return states.with_inner(plugin.raw_state, xml.replace("<LARS ", attack)), made


def test_a_state_runs_no_command(
    evil: tuple[bytes, Path], in_host: Callable[..., None], nobody: Path, tmp_path: Path
) -> None:
    state, made = evil
    settings(tmp_path, "lars serve", automatic=False)
    in_host(state)
    assert not made.exists()
    in_host(state, play=True)
    assert not made.exists()
    assert not nobody.exists()  # no log of an engine either


def test_the_command_is_in_no_new_state(
    evil: tuple[bytes, Path], states: ModuleType, vst3: Path
) -> None:
    plugin: Any = VST3Plugin(str(vst3))
    plugin.raw_state = evil[0]
    for word in ("engineCommand", "startEngine", "/bin/sh", "serve"):
        assert word not in states.inner(plugin.raw_state)


def test_the_users_own_setting_starts_the_users_own_command_when_it_is_needed(
    evil: tuple[bytes, Path], in_host: Callable[..., None], tmp_path: Path
) -> None:
    state, made_by_state = evil
    made = tmp_path / "made-by-the-user"
    file = settings(tmp_path, f"/bin/sh -c &quot;id > {made}&quot;", automatic=False)
    in_host(state, play=True)
    assert not made.exists()  # the state asks, the user has not said so
    file.write_text(file.read_text().replace('val="0"', 'val="1"'))
    in_host(state, play=True)
    assert made.exists()
    assert not made_by_state.exists()
    made.unlink()
    file.chmod(0o666)
    in_host(state, play=True)
    assert not made.exists()  # a file that anybody can write is not the user's word


def test_states_full_of_entities_or_without_an_end_are_refused_and_leave_the_host_alive(
    vst3: Path, states: ModuleType, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(nobody))
    plugin: Any = VST3Plugin(str(vst3))
    plugin.dry_wet = 25.0
    kept = plugin.raw_state
    lines = ['<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">']
    for before, name in zip("abcdefghijk", "bcdefghijkl", strict=True):
        lines.append(f'<!ENTITY {name} "{f"&{before};" * 20}">')
    laughs = f'<!DOCTYPE LARS [{"".join(lines)}]><LARS version="1" model="&l;"/>'
    itself = '<!DOCTYPE LARS [<!ENTITY a "&a;">]><LARS version="1" model="&a;"/>'
    deep = '<LARS version="1">' + "<a>" * 200_000
    for xml in (laughs, itself, deep):
        plugin.raw_state = states.with_inner(kept, xml)
        assert plugin.dry_wet == pytest.approx(25.0, abs=0.05)


def test_a_latency_that_a_state_claims_takes_no_gigabytes(
    vst3: Path, states: ModuleType, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(nobody))
    plugin: Any = VST3Plugin(str(vst3))
    plugin.process(np.zeros((2, 512), np.float32), RATE, buffer_size=512)
    kept = plugin.raw_state
    xml = states.inner(kept)
    claims = "".join(
        f'<latency stream="|{mode}|2|{block}|{RATE}.000000" samples="{1 << 26}"/>'
        for mode in ("|live", "|offline")
        for block in (512, 1024, 8192)
    )
    plugin.raw_state = states.with_inner(kept, xml.replace("<parameters>", claims + "<parameters>"))
    plugin.process(np.zeros((2, 512), np.float32), RATE, buffer_size=512)
    assert plugin.reported_latency_samples <= 60 * RATE


# The model.


@contextmanager
def engine_of(folder: Path, *, backwards: bool = False) -> Iterator[EngineProcess]:
    """An engine with ``ordered_models``."""
    environment = {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    if backwards:
        environment["LARS_TEST_REVERSED"] = "1"
    arguments = ["--models-from", "ordered_models"]
    with EngineProcess(arguments, environment=environment, seconds=180.0) as engine:
        yield engine


@pytest.fixture(scope="module")
def ordered() -> Iterator[EngineProcess]:
    with engine_of(Path(__file__).parent) as engine:
        yield engine


@pytest.fixture(scope="module")
def backwards() -> Iterator[EngineProcess]:
    with engine_of(Path(__file__).parent, backwards=True) as engine:
        yield engine


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, nobody: Path, vst3: Path) -> Callable[..., Any]:
    """A plugin that finds this engine, or none, with a state; it has played once."""

    def load(engine: EngineProcess | None, state: bytes | None = None, **values: Any) -> Any:
        monkeypatch.setenv("LARS_RUNTIME_DIR", str(engine.runtime if engine else nobody))
        plugin: Any = VST3Plugin(str(vst3))
        if state is not None:
            plugin.raw_state = state
        else:
            plugin.residual_mute = True  # the stems alone tell which model they are from
        for name, value in values.items():
            if name in ("place", "files_place"):
                task = "model" if name == "place" else "model_for_files"
                plugin.parameters[task].raw_value = value / PLACES
            else:
                setattr(plugin, name, value)
        plugin.process(np.zeros((2, 4410), np.float32), RATE, buffer_size=512)
        return plugin

    return load


def heard(plugin: Any) -> str:
    """The model whose stems come."""
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 8000)).astype(np.float32)
    made: NDArray[np.float32] = plugin.process(audio, RATE, buffer_size=512, reset=True)
    share = float(np.sum(made[:, :6000] * audio[:, :6000]) / np.sum(audio[:, :6000] ** 2))
    shares = {"lars-fullmix": 0.25, "lars-live": 0.5, "lars-mini": 0.75}
    (name,) = [name for name, value in shares.items() if abs(value - share) < 0.01]
    return name


def place_of(plugin: Any) -> int:
    share: float = plugin.parameters["model"].raw_value
    return round(share * PLACES)


def test_a_state_saved_without_an_engine_gets_the_default_model_of_one(
    at: Callable[..., Any], ordered: EngineProcess, states: ModuleType
) -> None:
    fresh = at(ordered)
    assert heard(fresh) == "lars-live"
    saved = at(None).raw_state
    restored = at(ordered, saved)
    assert heard(restored) == "lars-live"
    assert place_of(restored) == NAMES.index("lars-live")
    assert restored.reported_latency_samples == fresh.reported_latency_samples
    # The same from there on: saved with the engine, opened without, and with one again.
    again = at(ordered, at(None, restored.raw_state).raw_state)
    assert heard(again) == "lars-live"
    # As the first version wrote it.
    older = re.sub(r' modelPlace="[^"]*"', "", states.inner(saved))
    assert heard(at(ordered, states.with_inner(saved, older))) == "lars-live"
    offline = at(None, mode="Offline").raw_state
    assert heard(at(ordered, offline)) == "lars-mini"


@pytest.mark.parametrize("name", NAMES)
def test_a_chosen_model_is_kept_by_name_with_without_and_in_another_engine(
    at: Callable[..., Any], ordered: EngineProcess, backwards: EngineProcess, name: str
) -> None:
    chosen = at(ordered, place=NAMES.index(name))
    assert heard(chosen) == name
    saved = chosen.raw_state
    without = at(None, saved)
    for state in (saved, without.raw_state):
        for engine, order in ((ordered, NAMES), (backwards, NAMES[::-1])):
            restored = at(engine, state)
            assert heard(restored) == name
            assert place_of(restored) == order.index(name)
            assert heard(at(ordered, restored.raw_state)) == name


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_place_chosen_without_an_engine_is_the_model_at_that_place(
    at: Callable[..., Any], ordered: EngineProcess, name: str
) -> None:
    saved = at(None, place=NAMES.index(name)).raw_state
    assert place_of(at(None, saved)) == NAMES.index(name)
    assert heard(at(ordered, saved)) == name


def test_live_stream_and_files_have_a_model_each_and_neither_changes_the_other(
    at: Callable[..., Any], ordered: EngineProcess, backwards: EngineProcess
) -> None:
    plugin = at(ordered, place=NAMES.index("lars-mini"), files_place=NAMES.index("lars-fullmix"))
    for engine in (None, ordered, backwards):
        if engine is not None:
            plugin = at(engine, plugin.raw_state)
            for mode, name in (("Live", "lars-mini"), ("Offline", "lars-fullmix")) * 2:
                plugin.mode = mode
                assert heard(plugin) == name
        else:
            plugin = at(None, plugin.raw_state)
    # One of them alone: the other is the default for its task.
    alone = at(ordered, place=NAMES.index("lars-fullmix"))
    alone.mode = "Offline"
    assert heard(alone) == "lars-mini"
    alone.mode = "Live"
    assert heard(alone) == "lars-fullmix"


def test_the_one_model_of_an_earlier_versions_session_is_that_of_its_mode(
    at: Callable[..., Any], ordered: EngineProcess, states: ModuleType
) -> None:
    for mode, other, default in (
        ("Live", "Offline", "lars-mini"),
        ("Offline", "Live", "lars-live"),
    ):
        task = "place" if mode == "Live" else "files_place"
        saved = at(ordered, mode=mode, **{task: NAMES.index("lars-fullmix")}).raw_state
        xml = re.sub(r' (model|filesModel)(Place)?="[^"]*"', "", states.inner(saved))
        old = states.with_inner(saved, xml.replace("<LARS ", '<LARS model="lars-fullmix" '))
        plugin = at(ordered, old)
        assert heard(plugin) == "lars-fullmix"
        plugin.mode = other
        assert heard(plugin) == default


def test_a_place_that_no_model_has_changes_no_model_and_is_restored(
    at: Callable[..., Any], ordered: EngineProcess
) -> None:
    saved = at(ordered, place=22).raw_state
    restored = at(ordered, saved)
    assert place_of(restored) == 22
    assert heard(restored) == "lars-live"


def test_a_model_that_the_engine_does_not_have_keeps_its_name(
    at: Callable[..., Any], ordered: EngineProcess, states: ModuleType
) -> None:
    saved = at(ordered, place=0).raw_state
    xml = states.inner(saved).replace('model="lars-fullmix"', 'model="gone &amp; away"')
    restored = at(ordered, states.with_inner(saved, xml))
    assert 'model="gone &amp; away"' in states.inner(restored.raw_state)


# Parameters.


def test_any_float_that_a_host_sets_is_restored(
    vst3: Path, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(nobody))
    plugin: Any = VST3Plugin(str(vst3))
    other: Any = VST3Plugin(str(vst3))
    rng = np.random.default_rng(24)
    silence = np.zeros((2, 512), np.float32)
    switches = [name for name in plugin.parameters if name.endswith(("_mute", "_solo", "bypass"))]
    assert len(switches) == 2 * len([*STEMS, "residual"]) + 1

    def set_all() -> None:
        for parameter in plugin.parameters.values():
            parameter.raw_value = float(rng.uniform())
        plugin.process(silence, RATE)

    def values(of: Any) -> dict[str, float]:
        return {name: parameter.raw_value for name, parameter in of.parameters.items()}

    for _ in range(10):
        set_all()
        saved = plugin.raw_state
        plugin.raw_state = saved
        wanted = values(plugin)
        assert all(wanted[name] in (0.0, 1.0) for name in switches)
        set_all()
        plugin.raw_state = saved
        assert values(plugin) == wanted
        other.raw_state = saved
        assert values(other) == wanted
        assert other.raw_state == saved
        time.sleep(0.05)  # for the plugin's own timers to run in between
