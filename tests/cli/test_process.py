# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as a process of its own: signals, limits, exit codes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from lars_plugin.cli import main

Song = Callable[..., Path]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX systems")

# `lars separate` with a model that needs no torch, whose import takes longer than these tests.
PROGRAM = """
import sys
from lars_plugin import cli
from lars_plugin.cli import separate
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import IdentityModel, SlowModel
separate.make_separator = lambda args, stems=None: Separator({model}, stems=stems)
sys.exit(cli.main(sys.argv[1:]))
"""
QUICK = PROGRAM.format(model="IdentityModel()")
SLOW = PROGRAM.format(model="SlowModel(0.01)")
INSTANT = PROGRAM.format(model="SlowModel(0)")
STUBBORN = PROGRAM.format(model="SlowModel(5)")


@contextmanager
def running(*arguments: object, program: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """``lars`` at work; killed at the end, should it still be there."""
    call = ["-m", "lars_plugin"] if program is None else ["-c", program]
    with subprocess.Popen(
        [sys.executable, *call, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_files(folder: Path, process: subprocess.Popen[str]) -> list[Path]:
    """The files in the making, as soon as there are any."""
    for _ in range(600):
        parts = list(folder.rglob("*.part"))
        if parts:
            return parts
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("no file was begun within 30 s")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
@pytest.mark.parametrize("flags", [[], ["--rescale", "--flac", "-j", "2"]])
def test_an_interrupt_leaves_no_file_and_no_traceback(
    song: Song, tmp_path: Path, number: int, code: int, word: str, flags: list[str]
) -> None:
    song("in/a.wav", 20.0)
    song("in/b.wav", 20.0)
    out = tmp_path / "out"
    with running("separate", tmp_path / "in", "-o", out, *flags, program=SLOW) as process:
        wait_for_files(out, process)
        process.send_signal(number)
        output, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert output == ""
    assert error.splitlines() == ["lars: stopping; once more to stop at once", f"lars: {word}"]
    assert not out.exists()


def test_an_interrupt_stops_a_real_network_too(tiny: Path, song: Song, tmp_path: Path) -> None:
    path, out = song("a.wav", 20.0), tmp_path / "out"
    with running("separate", path, "-m", tiny, "--overlap", 64, "-o", out) as process:
        wait_for_files(out, process)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "lars: interrupted"
    assert not out.exists()


def test_a_second_interrupt_ends_at_once_what_cannot_stop_soon(song: Song, tmp_path: Path) -> None:
    path = song("a.wav", 20.0)
    out = tmp_path / "out"
    with running("separate", path, "-o", out, program=STUBBORN) as process:
        assert len(wait_for_files(out, process)) >= 1
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "lars: stopped"
    assert [path for path in out.rglob("*") if path.is_file()] == []


def test_what_was_complete_before_an_interrupt_stays(song: Song, tmp_path: Path) -> None:
    song("in/a.wav", 0.1)
    song("in/b.wav", 20.0)
    out = tmp_path / "out"
    arguments = ["separate", tmp_path / "in", "-o", out, "--json", "--stems", "kick"]
    with running(*arguments, program=SLOW) as process:
        for _ in range(600):
            if (out / "a" / "kick.wav").exists() and list(out.glob("b/*.part")):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    statuses = {Path(r["input"]).name: r["status"] for r in json.loads(output)["results"]}
    assert statuses == {"a.wav": "done", "b.wav": "cancelled"}
    assert [path.relative_to(out).as_posix() for path in out.rglob("*.wav")] == ["a/kick.wav"]
    assert not list(out.rglob("*.part"))


@pytest.mark.parametrize("flags", [[], ["--flac"], ["--rescale"]])
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(
    song: Song, tmp_path: Path, flags: list[str]
) -> None:
    song("in/long.wav", 3.0)
    song("in/short.wav", 0.1)
    out = tmp_path / "out"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    arguments = ["separate", tmp_path / "in", "-o", out, "--stems", "kick", *flags]
    with running(*arguments, program=limit + QUICK) as process:
        output, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "short.wav: kick in" in output
    assert "cannot write" in error
    assert "/long/kick" in error
    assert "exceed the size limit" in error
    assert error.count("\n") == 1
    assert os.listdir(out) == ["short"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("size=500k", "the disk is full; free some space"),
        ("ro", "the folder is read-only; choose another"),
    ],
)
def test_a_full_or_read_only_file_system_is_one_line_and_leaves_nothing(
    song: Song, tmp_path: Path, option: str, message: str
) -> None:
    path = song("a.wav", 10.0)
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "lars.py").write_text(QUICK)
    mount = f'mount -t tmpfs -o {option} tmpfs "{out}"'
    program = shutil.which("unshare")
    # A mount of our own, which no other process sees and which goes with ours.
    shell = [program or "", "-rm", "sh", "-c"]
    if program is None or subprocess.run([*shell, mount], capture_output=True).returncode:
        pytest.skip("this system does not let us mount a small file system")
    call = f'"{sys.executable}" "{tmp_path}/lars.py" separate "{path}" -o "{out}"'
    done = subprocess.run(
        [*shell, f'{mount} && {{ {call}; echo "exit $?"; find "{out}" -type f; }}'],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "exit 1\n"
    assert "cannot write" in done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_line_runs_as_a_module_and_as_a_script(
    tiny: Path, song: Song, tmp_path: Path
) -> None:
    arguments = ["separate", song("a.wav", 0.1), "-m", tiny, "-o", tmp_path / "out", "--json"]
    with running(*arguments) as process:
        output, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert json.loads(output)["results"][0]["status"] == "done"
    (script,) = entry_points(group="console_scripts", name="lars")
    assert script.load() is main


def test_a_terminal_shows_a_bar_with_the_time_left(song: Song, tmp_path: Path) -> None:
    import pty

    path = song("a.wav", 1.0)
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, "separate", path, "-o", tmp_path / "out"],
        stdin=slave, stdout=subprocess.PIPE, stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        os.close(slave)
        shown = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # how Linux tells the end
                break
            if not data:
                break
            shown += data
        os.close(master)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert b"a.wav" in shown
    assert b"%" in shown
    assert b"left" in shown
    assert output.count(b"\n") == 1  # the bar does not get into what is piped
    assert b"\x1b" not in output


# Without standard streams; the shell closes them as a service manager may.


def closed(streams: str, *arguments: object, program: str | None = None) -> int:
    call = ["-m", "lars_plugin"] if program is None else ["-c", program]
    command = [sys.executable, *call, *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *command], timeout=120
    ).returncode


CLOSED = [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize(
    ("streams", "flags"),
    [(CLOSED[0], []), (CLOSED[1], ["-v"]), (CLOSED[2], ["--json"]), (CLOSED[3], ["-j", "2"])],
)
def test_stems_are_made_without_standard_streams(
    song: Song, tmp_path: Path, streams: str, flags: list[str]
) -> None:
    paths = [song("a.wav", 0.2), song("b.flac", 0.2)]
    out = tmp_path / "out"
    assert closed(streams, "separate", *paths, "-o", out, *flags, program=QUICK) == 0
    with_streams = tmp_path / "with"
    with running("separate", *paths, "-o", with_streams, program=QUICK) as process:
        process.communicate(timeout=60)
    made = sorted(path.relative_to(out) for path in out.rglob("*.wav"))
    assert len(made) == 12
    for name in made:
        assert (out / name).read_bytes() == (with_streams / name).read_bytes()
    assert closed(streams, "separate", tmp_path / "none.wav", "-o", out, program=QUICK) == 1


@pytest.mark.parametrize("streams", [CLOSED[0], CLOSED[3]])
def test_other_commands_work_without_standard_streams(
    song: Song, tmp_path: Path, streams: str
) -> None:
    assert closed(streams, "models", "list") == 0
    assert closed(streams, "models", "list", "--json") == 0
    assert closed(streams, "--help") == 0
    assert closed(streams, "nonsense") == 2
    demo = tmp_path / "demo"
    assert closed(streams, "demo", "-o", demo, "--overlap", "1") == 0
    assert (demo / "stems.png").exists()
    stems = demo / "stems"
    midi = tmp_path / "a.mid"
    assert closed(streams, "midi", stems, "--model", "none", "-o", midi) == 0
    assert midi.stat().st_size > 100
    clip = tmp_path / "clips" / "one"
    shutil.copytree(demo / "reference", clip)
    shutil.copy(demo / "mix.wav", clip)
    scores = tmp_path / "scores.json"
    arguments = ["evaluate", tmp_path / "clips", "--model", "none", "--baseline", "mixture"]
    assert closed(streams, *arguments, "--json", scores) == 0
    assert scores.exists()
    assert closed(streams, "serve", "--latency-table") == 0


@pytest.mark.parametrize("again", [["--overwrite"], []])
def test_the_next_run_removes_what_a_killed_one_has_left(
    song: Song, tmp_path: Path, again: list[str]
) -> None:
    song("in/a.wav", 0.1)
    song("in/b.wav", 20.0)
    out = tmp_path / "out"
    arguments = ["separate", tmp_path / "in", "-o", out, "--stems", "kick"]
    with running(*arguments, program=INSTANT) as process:
        process.communicate(timeout=60)
    with running(*arguments, "--overwrite", program=SLOW) as process:
        for _ in range(600):
            if list(out.glob("b/*.part")):
                break
            time.sleep(0.05)
        process.kill()
        process.communicate(timeout=60)
    assert list(out.rglob(".lars-*.part"))
    # Also where nothing is left to do.
    with running(*arguments, *again, program=INSTANT) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert not list(out.rglob("*.part"))
    assert sorted(path.parent.name for path in out.rglob("kick.wav")) == ["a", "b"]


full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="a Linux device that is always full"
)


@full_device
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_standard_output_that_is_full_is_one_line(unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lars_plugin", "models", "list"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "lars: error: cannot write standard output: the disk is full; free some space\n"
    )


@full_device
def test_a_standard_error_that_is_full_costs_no_stems(song: Song, tmp_path: Path) -> None:
    # Of the first there is something to say.
    inputs = [tmp_path / "none.wav", song("a.wav", 0.2)]
    program = [sys.executable, "-c", QUICK, "separate", "-o", tmp_path, *inputs]
    with open("/dev/full", "w") as full:
        done = subprocess.run([*map(str, program)], stderr=full, check=False)
    assert done.returncode == 1
    assert len(list(tmp_path.glob("a/*.wav"))) == 6


def test_a_file_that_cannot_be_written_is_named_and_is_not_standard_output(
    song: Song, tmp_path: Path
) -> None:
    song("stems/kick.wav", 2.0)
    picture = tmp_path / "hits.png"
    limit = "import matplotlib.font_manager, resource, sys; from lars_plugin.cli import main;"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); sys.exit(main(sys.argv[1:]))"
    arguments = ["midi", tmp_path / "stems", "--model", "none", "-o", tmp_path / "a.mid"]
    with running(*arguments, "--plot", picture, program=limit) as process:
        _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"lars: error: cannot write {picture}: the file would exceed the size limit" in error
    assert not list(tmp_path.glob("**/*.p*"))


def test_what_is_no_file_of_ours_is_not_standard_output_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("lars_plugin.cli.demo.run_demo", fail)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == (
        "lars: error: cannot write a file: the disk is full; free some space\n"
    )
