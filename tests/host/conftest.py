# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the plugin once, starts an engine for it, and loads it into a host."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import platformdirs
import pytest

from lars_plugin.bridge.embedded import EngineProcess

JUCE = Path(__file__).parents[2] / "bridge" / "juce"
PACKAGES = "apt-get install --no-install-recommends juce-modules-source cmake g++ make"
TARGETS = (
    "LARS_VST3",
    "lars_vectors",
    "lars_units",
    "lars_hygiene",
    "lars_interpose",
    "lars_realtime",
    "lars_vst3",
)


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in JUCE.rglob("*") if path.is_file()):
        digest.update(path.relative_to(JUCE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}:\n{done.stdout[-6000:]}", pytrace=False)


def _module(name: str) -> ModuleType:
    """A module beside this file, which is in no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """``host_models``, what the engine has."""
    return _module("host_models")


@pytest.fixture(scope="session")
def ardour() -> ModuleType:
    """``ardour_session``; skips where there is no Ardour."""
    module = _module("ardour_session")
    if why := module.missing():
        pytest.skip(why)
    return module


@pytest.fixture(scope="session")
def build() -> Path:
    """The folder of the built plugin and its test programs.

    In a cache folder per state of the sources; or in LARS_PLUGIN_BUILD, which is brought up to
    date. Skips where JUCE cannot be had.
    """
    if not (shutil.which("cmake") and (shutil.which("g++") or shutil.which("clang++"))):
        pytest.skip(f"no cmake or no C++ compiler: the plugin is not built here; {PACKAGES}")
    if os.environ.get("LARS_JUCE_DIR") is None and not list(
        Path("/usr/lib").glob("*/cmake/JUCE-*")
    ):
        pytest.skip(f"no JUCE: the plugin is not built here; {PACKAGES}, or set LARS_JUCE_DIR")
    chosen = os.environ.get("LARS_PLUGIN_BUILD")
    cache = Path(platformdirs.user_cache_dir("lars-plugin", appauthor=False))
    folder = Path(chosen) if chosen else cache / f"juce-{_digest()}"
    done = folder / "built"
    if done.exists() and not chosen:
        return folder
    launcher: list[str] = []
    if shutil.which("ccache"):
        launcher = [f"-DCMAKE_{kind}_COMPILER_LAUNCHER=ccache" for kind in ("C", "CXX")]
    juce = os.environ.get("LARS_JUCE_DIR")
    where = [f"-DLARS_JUCE_DIR={juce}"] if juce else []
    _run("cmake", "-S", JUCE, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *launcher, *where)
    jobs = os.environ.get("LARS_PLUGIN_JOBS", str(os.cpu_count() or 1))
    _run("cmake", "--build", folder, "-j", jobs, "--target", *TARGETS)
    done.touch()
    return folder


@pytest.fixture(scope="session")
def vst3(build: Path) -> Path:
    """The plugin's bundle."""
    return build / "LARS_artefacts" / "Release" / "VST3" / "LARS.vst3"


@pytest.fixture(scope="session")
def start_engine() -> Callable[[], EngineProcess]:
    """Starts ``lars serve`` with the models of ``host_models.py``; the caller closes it."""

    def start() -> EngineProcess:
        return EngineProcess(
            ["--models-from", "host_models"],
            environment={"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"},
            seconds=180.0,  # where several tests share a core
        )

    return start


@pytest.fixture(scope="module")
def engine(start_engine: Callable[[], EngineProcess]) -> Iterator[EngineProcess]:
    """An engine that this process's plugins find."""
    before = os.environ.get("LARS_RUNTIME_DIR")
    with start_engine() as engine:
        os.environ["LARS_RUNTIME_DIR"] = str(engine.runtime)
        yield engine
    if before is None:
        del os.environ["LARS_RUNTIME_DIR"]
    else:
        os.environ["LARS_RUNTIME_DIR"] = before
