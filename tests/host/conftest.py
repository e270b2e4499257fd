# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the plugin once, starts an engine for it, and loads it into a host."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from lars_plugin.bridge.local_engine import EngineProcess
from tests.models import python_path

ROOT = Path(__file__).parents[2]
PACKAGES = "apt-get install --no-install-recommends juce-modules-source cmake g++ make pkg-config"
CATCH2_PROGRAMS = ("lars_units", "lars_hygiene", "lars_conformance", "lars_message_lock")


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}:\n{done.stdout[-6000:]}", pytrace=False)


def _settings_without_engine(folder: Path) -> str:
    """A folder of settings in which the user lets no engine start by itself."""
    file = folder / "LARS" / "plugin.settings"
    file.parent.mkdir()
    file.write_text('<PROPERTIES><VALUE name="startEngine" val="0"/></PROPERTIES>\n')
    return str(folder)


# For good: a plugin that pedalboard has loaded lives on in this process, and looks at the settings
# again and again. Between tests and after the last it must not find the user's, which may let it
# start an engine; tests/conftest.py does likewise with the user's other folders.
_own = tempfile.mkdtemp(prefix="lars-tests-")
atexit.register(shutil.rmtree, _own, ignore_errors=True)
os.environ["XDG_CONFIG_HOME"] = _settings_without_engine(Path(_own))


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plugins find no settings of another test, and no ``lars`` that was recorded. They start no
    engine by themselves."""
    with pytest.MonkeyPatch.context() as patch:
        settings = _settings_without_engine(tmp_path_factory.mktemp("config"))
        patch.setenv("XDG_CONFIG_HOME", settings)
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def load_module() -> Callable[[str], ModuleType]:
    """Loads a module beside this file, which is in no package."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def models(load_module: Callable[[str], ModuleType]) -> ModuleType:
    """``host_models``, what the engine has."""
    return load_module("host_models")


@pytest.fixture(scope="session")
def ardour(load_module: Callable[[str], ModuleType]) -> ModuleType:
    """``ardour_session``; skips where there is no Ardour."""
    module = load_module("ardour_session")
    if why := module.missing():
        pytest.skip(why)
    return module


@pytest.fixture(scope="session")
def build() -> Path:
    """The folder of the built plugin and its test programs, brought up to date.

    It is ``build/juce``, where ``make plugin`` builds too, or LARS_PLUGIN_BUILD. Skips where JUCE
    cannot be had. With LARS_PLUGIN_AS_BUILT it is taken as it is.
    """
    folder = Path(os.environ.get("LARS_PLUGIN_BUILD", ROOT / "build" / "juce"))
    if os.environ.get("LARS_PLUGIN_AS_BUILT"):
        return folder
    if not (shutil.which("cmake") and (shutil.which("g++") or shutil.which("clang++"))):
        pytest.skip(f"no cmake or no C++ compiler: the plugin is not built here; {PACKAGES}")
    if os.environ.get("LARS_JUCE_DIR") is None and not list(
        Path("/usr/lib").glob("*/cmake/JUCE-*")
    ):
        pytest.skip(f"no JUCE: the plugin is not built here; {PACKAGES}, or set LARS_JUCE_DIR")
    launcher: list[str] = []
    if shutil.which("ccache"):
        launcher = [f"-DCMAKE_{kind}_COMPILER_LAUNCHER=ccache" for kind in ("C", "CXX")]
    juce = os.environ.get("LARS_JUCE_DIR")
    where = [f"-DLARS_JUCE_DIR={juce}"] if juce else []
    if clap := os.environ.get("LARS_CLAP_DIR"):
        where.append(f"-DLARS_CLAP_DIR={clap}")
    wanted = [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DLARS_TESTS=ON",
        "-DLARS_SANITIZE=ON",
        "-DLARS_LV2=ON",
    ]
    source = ROOT / "bridge" / "juce"
    _run("cmake", "-S", source, "-B", folder, *wanted, *launcher, *where)
    jobs = os.environ.get("LARS_PLUGIN_JOBS", str(os.cpu_count() or 1))
    _run("cmake", "--build", folder, "-j", jobs)
    return folder


@pytest.fixture(scope="session")
def vst3(build: Path) -> Path:
    """The plugin's bundle."""
    return build / "LARS_artefacts" / "Release" / "VST3" / "LARS.vst3"


@pytest.fixture(scope="session")
def program_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Makes a program's environment: the runtime folder of its engine, and what is given.

    Its settings are its own. A plugin that pedalboard has loaded lives on in this process; were the
    settings shared with it, it would start the engine that a program has chosen.
    """

    def make(*, runtime: Path, **more: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
        settings = _settings_without_engine(tmp_path_factory.mktemp("settings"))
        places = {"LARS_RUNTIME_DIR": str(runtime), "XDG_CONFIG_HOME": settings}
        return {**inherited, **places, **more}

    return make


@pytest.fixture(scope="session")
def run_program(
    build: Path, program_environment: Callable[..., dict[str, str]]
) -> Callable[..., str]:
    """Runs one of the test programs to its end, which is good; what it printed.

    Skips where it is one of Catch2's and there is no Catch2.
    """

    def run(program: str, *arguments: str | Path, runtime: Path, **more: str) -> str:
        path = build / "tests" / program
        if program.startswith(CATCH2_PROGRAMS) and not path.exists():
            pytest.skip("no Catch2: the C++ tests are not built; apt-get install catch2")
        done = subprocess.run(
            (path, *arguments),
            env=program_environment(runtime=runtime, **more),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=1200,  # one that hangs
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
        return done.stdout

    return run


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    """A runtime folder without an engine."""
    return tmp_path / "nobody"


@pytest.fixture(scope="session")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of noise, 44.1 kHz, stereo."""
    noise = np.random.default_rng(7).uniform(-0.2, 0.2, (30 * 44100, 2))
    path = tmp_path_factory.mktemp("audio") / "long.wav"
    soundfile.write(path, noise, 44100, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def driver(load_module: Callable[[str], ModuleType]) -> ModuleType:
    """``window_driver``; skips where there is no virtual screen, or nothing to work it with."""
    missing = [tool for tool in ("Xvfb", "xdotool") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: no window is shown; apt-get install xvfb xdotool")
    return load_module("window_driver")


@pytest.fixture(scope="session", autouse=True)
def no_screen_of_this_process() -> Iterator[None]:
    """JUCE in this process, for want of a screen, would take :0, which may be a test's; and Xlib
    ends a process, this one, whose screen goes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", ":9999")
        yield


@pytest.fixture(scope="session")
def display(driver: ModuleType) -> Iterator[str]:
    """A virtual screen."""
    with driver.screen() as display:
        yield display


@pytest.fixture(scope="session")
def managed_display(driver: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A virtual screen of the usual size, with a window manager; skips where there is none."""
    if shutil.which("openbox") is None:
        pytest.skip("no openbox: no window manager; apt-get install openbox")
    with (
        driver.screen("1920x1080") as display,
        driver.window_manager(display, tmp_path_factory.mktemp("openbox")),
    ):
        yield display


@pytest.fixture(scope="session")
def standalone(build: Path) -> Path:
    """The standalone program."""
    return build / "LARS_artefacts" / "Release" / "Standalone" / "LARS"


@pytest.fixture(scope="session")
def start_engine() -> Callable[[], EngineProcess]:
    """Starts ``lars serve`` with the models of ``host_models.py``; the caller closes it."""

    def start() -> EngineProcess:
        return EngineProcess(
            ["--models-from", "host_models"],
            environment={"PYTHONPATH": python_path(Path(__file__).parent), "OMP_NUM_THREADS": "1"},
            seconds=180.0,  # where several tests share a core
        )

    return start


@pytest.fixture(scope="session")
def shared_engine(start_engine: Callable[[], EngineProcess]) -> Iterator[EngineProcess]:
    """One for all tests that leave it alive."""
    with start_engine() as engine:
        yield engine


@pytest.fixture
def engine(
    shared_engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EngineProcess]:
    """An engine that this process's plugins find; it was there before and stays."""
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(shared_engine.runtime))
    yield shared_engine
    assert shared_engine.process.poll() is None, shared_engine.log.read_text("utf-8", "replace")


@pytest.fixture
def own_engine(
    start_engine: Callable[[], EngineProcess], monkeypatch: pytest.MonkeyPatch
) -> Iterator[EngineProcess]:
    """An engine that this process's plugins find, and that the test may kill."""
    with start_engine() as engine:
        monkeypatch.setenv("LARS_RUNTIME_DIR", str(engine.runtime))
        yield engine
