# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars separate - --stdout``, in processes of their own with real pipes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import read_audio
from lars_plugin.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these are shell pipes of POSIX")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "lars_plugin", *map(str, arguments)]


def run(*arguments: str | Path, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*arguments), input=data, capture_output=True, timeout=120)


def test_stems_of_standard_input_and_to_standard_output_are_those_of_the_file(
    tiny: Path, song: Callable[..., Path]
) -> None:
    data = song("take.wav").read_bytes()
    assert main(["separate", "take.wav", "-m", str(tiny), "-o", "out", "-q"]) == 0
    wanted, rate = read_audio("out/take/kick.wav")

    piped = run("separate", "-", "-m", tiny, "-o", "piped", "-q", data=data)
    assert piped.returncode == 0, piped.stderr
    np.testing.assert_array_equal(read_audio("piped/stdin/kick.wav")[0], wanted)

    with open("take.wav", "rb") as handle:
        made = subprocess.run(
            command("separate", "-", "-m", tiny, "-o", "file", "-q"), stdin=handle, timeout=120
        )
    assert made.returncode == 0
    np.testing.assert_array_equal(read_audio("file/stdin/kick.wav")[0], wanted)

    both = run("separate", "-", "-m", tiny, "--stdout", "--stems", "kick", data=data)
    assert both.returncode == 0, both.stderr
    back, back_rate = soundfile.read(io.BytesIO(both.stdout), dtype="float32")
    assert back_rate == rate
    np.testing.assert_array_equal(back.T, wanted)
    assert b"kick in standard output" in both.stderr

    # Into a file, the header has the length; behind what is there, it has none.
    for mode, start in (("wb", b""), ("ab", b"12345678")):
        Path("kick.wav").write_bytes(start)
        with open("kick.wav", mode) as handle:
            subprocess.run(
                command("separate", "take.wav", "-m", tiny, "--stdout", "--stems", "kick", "-q"),
                stdout=handle, check=True, timeout=120,
            )  # fmt: skip
        written = Path("kick.wav").read_bytes()
        assert written.startswith(start)
        Path("rest.wav").write_bytes(written[len(start) :])
        np.testing.assert_array_equal(read_audio("rest.wav")[0], wanted)
        size = int.from_bytes(written[len(start) + 4 : len(start) + 8], "little")
        assert size == (0xFFFFFFFF if start else len(written) - 8)


def test_a_wav_stream_without_a_length_can_be_separated_from_a_named_pipe(
    tiny: Path, song: Callable[..., Path]
) -> None:
    data = bytearray(song("take.wav").read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff" * 4
    os.mkfifo("pipe.wav")
    child = subprocess.Popen(command("separate", "pipe.wav", "-m", tiny, "-o", "out", "-q"))
    Path("pipe.wav").write_bytes(data)
    assert child.wait(120) == 0
    assert main(["separate", "take.wav", "-m", str(tiny), "-o", "file", "-q"]) == 0
    for path in Path("file/take").glob("[!.]*"):
        np.testing.assert_array_equal(read_audio(path)[0], read_audio(f"out/pipe/{path.name}")[0])


def test_who_stops_reading_ends_the_command_with_1_and_no_traceback(
    tiny: Path, song: Callable[..., Path]
) -> None:
    song("take.wav", seconds=10)
    child = subprocess.Popen(
        command("separate", "take.wav", "-m", tiny, "--stdout", "--stems", "kick", "-q"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.read(100)
    child.stdout.close()
    assert child.wait(120) == 1
    assert child.stderr.read() == b""
    child.stderr.close()


def test_a_command_that_waits_for_a_pipe_ends_soon_when_terminated(
    tiny: Path, song: Callable[..., Path]
) -> None:
    data = song("take.wav", seconds=2).read_bytes()
    child = subprocess.Popen(
        command("separate", "-", "-m", tiny, "-o", "out", "-q"),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stderr is not None
    child.stdin.write(data[: len(data) // 2])
    child.stdin.flush()
    end = time.monotonic() + 60
    while not list(Path().glob("out/**/.lars-*")):  # it has begun
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(0.5)
    begin = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 143
    assert time.monotonic() - begin < 8  # less than the ten seconds after which it is given up
    child.stdin.close()
    child.stderr.close()
    assert not [path for path in Path().glob("out/**/*") if path.is_file()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stdout"], "takes one stem; add --stems"),
        (["--stdout", "--stems", "kick,snare"], "takes one stem"),
        (["--stdout", "--stems", "kick", "--json"], "leave --json out"),
        (["--stdout", "--stems", "kick", "--midi"], "leave --midi out"),
        (["--stdout", "--stems", "kick", "--flac"], "leave --format flac out"),
        (["--stdout", "--two-stems", "kick"], "leave --residual or --two-stems out"),
        (["b.wav", "--stdout", "--stems", "kick"], "takes one input, not 2"),
    ],
)
def test_what_cannot_go_to_standard_output_is_wrong_usage(
    tiny: Path, song: Callable[..., Path], options: list[str], words: str
) -> None:
    song("a.wav")
    song("b.wav")
    made = run("separate", "a.wav", *options, "-m", tiny)
    assert made.returncode == 2
    assert b"RIFF" not in made.stdout
    assert words in made.stderr.decode()


def test_an_input_that_fails_gives_no_output_and_1(tiny: Path) -> None:
    made = run("separate", "-", "-m", tiny, "--stdout", "--stems", "kick", data=b"no audio" * 99)
    assert (made.returncode, made.stdout) == (1, b"")
    assert b"/dev/stdin: no audio file" in made.stderr


def test_a_terminal_as_input_is_refused(tiny: Path) -> None:
    controller, terminal = os.openpty()
    made = subprocess.run(
        command("separate", "-", "-m", tiny), stdin=terminal, capture_output=True, timeout=120
    )
    os.close(controller)
    os.close(terminal)
    assert made.returncode == 1
    assert b"is a terminal or a device; give a file or a pipe" in made.stderr


def test_standard_input_becomes_midi(tiny: Path, song: Callable[..., Path]) -> None:
    made = run("midi", "-", "-m", tiny, data=song("take.wav").read_bytes())
    assert made.returncode == 0, made.stderr
    assert Path("stdin.mid").exists()
