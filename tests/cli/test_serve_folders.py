# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars serve`` where its runtime folder cannot be used: one line that says what to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="runtime folders of POSIX systems")


def serve(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lars_plugin", "serve", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def without_folders(**more: str) -> dict[str, str]:
    left = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XDG_RUNTIME_DIR", "LARS_RUNTIME_DIR")
    }
    return {**left, **more}


@pytest.mark.parametrize("variable", ["LARS_RUNTIME_DIR", "XDG_RUNTIME_DIR"])
@pytest.mark.parametrize("arguments", [[], ["--tcp", "0"]])
def test_a_runtime_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, variable: str, arguments: list[str]
) -> None:
    (tmp_path / "file").touch()
    done = serve(without_folders(**{variable: str(tmp_path / "file" / "run")}), *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("lars: error: cannot make the folder ")
    assert "set LARS_RUNTIME_DIR to another" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_socket_where_none_can_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = without_folders(LARS_RUNTIME_DIR=str(tmp_path / "run"))
    done = serve(environment, "--socket", str(tmp_path / "file" / "a.sock"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"lars: error: {tmp_path / 'file'} is not a folder")
    assert done.stderr.count("\n") == 1


def mounting(mounts: str) -> list[str] | None:
    """The words before a command that is to see these mounts, which nobody else does; None where
    the system does not let us mount, or they hide Python or this package."""
    program = shutil.which("unshare")
    words = [program or "", "-rm", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    probe = [*words, sys.executable, "-c", "import lars_plugin"]
    if program is None or subprocess.run(probe, capture_output=True).returncode:
        return None
    return words


@pytest.mark.parametrize("there", [False, True])
def test_a_read_only_runtime_folder_is_one_line(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "mnt"
    folder.mkdir()
    run = folder / "run"
    if there:
        run.mkdir(mode=0o700)
    mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}"'
    words = mounting(mount)
    if words is None:
        pytest.skip("this system does not let us mount a folder read-only")
    done = subprocess.run(
        [*words, sys.executable, "-m", "lars_plugin", "serve"],
        env=without_folders(LARS_RUNTIME_DIR=str(run)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("lars: error: ")
    assert "Read-only file system" in done.stderr
    assert "internal error" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_any_runtime_folder_nothing_of_a_library_is_printed(tmp_path: Path) -> None:
    # The folder by the user's number, for once: in a /tmp and a /run/user of the test's own.
    (tmp_path / "users").mkdir()
    mounts = f'mount --bind "{tmp_path}" /tmp'
    if Path("/run/user").is_dir():
        mounts = f'mount --bind "{tmp_path}/users" /run/user && {mounts}'
    words = mounting(mounts)
    if words is None:
        pytest.skip("this system does not let us mount a /tmp of our own")
    command = [*words, sys.executable, "-m", "lars_plugin", "serve"]
    environment = without_folders(TMPDIR="/tmp")
    done = subprocess.run(
        [*command, "--status"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("lars: error: no engine is running (")
    assert done.stderr.count("\n") == 1
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert first.startswith("ready ")
    assert list(tmp_path.glob("lars-*"))


def test_an_engine_without_standard_streams_serves_and_ends(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    command = f'exec "{sys.executable}" -m lars_plugin serve <&- >&- 2>&-'
    environment = without_folders(LARS_RUNTIME_DIR=str(runtime))
    with subprocess.Popen(["sh", "-c", command], env=environment) as process:
        try:
            for _ in range(600):
                if (runtime / "engine.json").exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            done = serve(environment, "--status")
            assert done.returncode == 0, done.stderr
            assert "no sessions, no jobs" in done.stdout
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
