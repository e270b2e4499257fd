# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that a desktop has started has no terminal's PATH: the plugin finds its engine itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lars_plugin.bridge.discovery import RuntimeFile
from tests.engines import MARK
from tests.models import python_path

# What a desktop gives to what it starts.
DESKTOP_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Plays noise through the plugin twice as a host would that renders, and keeps the kick.
SCRIPT = """
import sys
import numpy as np
from pedalboard import VST3Plugin
plugin = VST3Plugin(sys.argv[1])
for stem in ("snare", "toms", "hi_hat", "ride", "crash"):
    setattr(plugin, stem + "_mute", True)
audio = np.random.default_rng(1).uniform(-0.3, 0.3, (2, 88200)).astype(np.float32)
first = plugin.process(audio, 44100)
np.save(sys.argv[2], np.stack([audio, plugin.process(audio, 44100)]))
"""


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a new user's desktop; an engine that was started in it is stopped."""
    home = tmp_path / "home"
    runtime = tmp_path / "runtime"
    home.mkdir()
    runtime.mkdir(mode=0o700)
    yield {
        "HOME": str(home),
        "PATH": DESKTOP_PATH,
        "XDG_RUNTIME_DIR": str(runtime),
        "PYTHONPATH": python_path(),
        "OMP_NUM_THREADS": "1",
        MARK: os.environ[MARK],
    }
    described = runtime / "lars" / "engine.json"
    if described.exists():
        pid = RuntimeFile(**json.loads(described.read_text())).pid
        os.kill(pid, signal.SIGTERM)
        for _ in range(200):
            if not described.exists():
                return
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def words(build: Path) -> Callable[..., list[str]]:
    """The words that the plugin would run for a command, or its error in one line."""

    def run(environment: dict[str, str], command: str = "lars serve") -> list[str]:
        done = subprocess.run(
            (build / "tests" / "lars_discovery", "words", command),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    return run


def program(path: Path) -> Path:
    """A program that does nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def lars(environment: dict[str, str], *arguments: str) -> str:
    """Runs this installation's command line."""
    done = subprocess.run(
        (sys.executable, "-m", "lars_plugin", *arguments),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_first_command_that_runs_tells_the_plugin_where_lars_is(
    desktop: dict[str, str], words: Callable[..., list[str]]
) -> None:
    home = Path(desktop["HOME"])
    (said,) = words(desktop)
    assert said.startswith("error 16 lars is not installed, or not where the plugin looks")
    assert 'run "lars serve" once in a terminal' in said
    lars(desktop, "models", "list")
    record = home / ".local" / "share" / "lars" / "installed.json"
    assert record.stat().st_mode & 0o777 == 0o600
    found = words(desktop)
    assert found == [*json.loads(record.read_text())["command"], "serve"]
    assert Path(found[0]).is_absolute()
    # A later installation is recorded by --record and by serve, but not by any other command.
    other = str(program(home / "other" / "lars"))
    record.write_text(json.dumps({"command": [other]}))
    lars(desktop, "models", "list")
    assert words(desktop) == [other, "serve"]
    assert str(record) in lars(desktop, "serve", "--record")
    assert words(desktop) == found
    # One that has gone is not believed, and the next command is recorded instead.
    record.write_text(json.dumps({"command": [str(home / "gone")]}))
    assert words(desktop)[0].startswith("error")
    lars(desktop, "models", "list")
    assert words(desktop) == found


def test_lars_is_looked_for_on_the_path_and_in_the_usual_places(
    desktop: dict[str, str], words: Callable[..., list[str]], tmp_path: Path
) -> None:
    usual = str(program(Path(desktop["HOME"]) / ".local" / "bin" / "lars"))
    assert words(desktop) == [usual, "serve"]
    on_path = str(program(tmp_path / "venv of mine" / "lars"))
    both = desktop | {"PATH": f"{Path(on_path).parent}:relative:{DESKTOP_PATH}"}
    assert words(both, "lars serve --realtime") == [on_path, "serve", "--realtime"]
    # What the user has set in full is run as it is.
    assert words(both, '"/opt/my lars/lars" serve') == ["/opt/my lars/lars", "serve"]


@pytest.mark.parametrize(
    "record",
    ["", "{", "[]", '{"command": "lars"}', '{"command": [7]}', '{"command": ["lars"]}',
     '{"command": []}', '{"command": null}'],
)  # fmt: skip
def test_a_damaged_record_is_not_believed(
    desktop: dict[str, str], words: Callable[..., list[str]], record: str
) -> None:
    file = Path(desktop["HOME"]) / ".local" / "share" / "lars" / "installed.json"
    file.parent.mkdir(parents=True)
    file.write_text(record)
    assert words(desktop)[0].startswith("error 16 lars is not installed")


def test_a_record_that_others_can_write_is_not_believed(
    desktop: dict[str, str], words: Callable[..., list[str]], tmp_path: Path
) -> None:
    file = Path(desktop["HOME"]) / ".local" / "share" / "lars" / "installed.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"command": [str(program(tmp_path / "lars"))]}))
    file.chmod(0o666)
    assert words(desktop)[0].startswith("error 16 lars is not installed")


def test_a_render_in_a_host_of_the_desktop_starts_the_engine_and_gets_stems(
    desktop: dict[str, str], vst3: Path, tmp_path: Path
) -> None:
    lars(desktop, "serve", "--record")
    out = tmp_path / "out.npy"
    subprocess.run((sys.executable, "-c", SCRIPT, vst3, out), env=desktop, timeout=600, check=True)
    audio, kick = np.load(out)
    # Without an engine it would be an equal share of the input.
    assert np.abs(kick[:, 44100:] - audio[:, 44100:] / 6).max() > 1e-3
    assert "ready" in (Path(desktop["XDG_RUNTIME_DIR"]) / "lars" / "engine.log").read_text()
