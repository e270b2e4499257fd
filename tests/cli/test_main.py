# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import lars_plugin
from lars_plugin import cli
from lars_plugin.cli import Command, main
from lars_plugin.errors import AudioFileError, InputError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], Any]], None]:
    """Puts in a command ``fake`` that does what a test says."""

    def install(run: Callable[[Any], Any]) -> None:
        module = ModuleType("fake_command")

        def add(subparsers: Any) -> None:
            parser = subparsers.add_parser("fake")
            parser.add_argument("-v", "--verbose", action="store_true")
            parser.add_argument("-q", "--quiet", action="store_true")

        module.__dict__.update(add_fake_parser=add, run_fake=run)
        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setattr(cli, "COMMANDS", (Command("fake", "a test", "fake_command"),))

    return install


def raising(error: BaseException) -> Callable[[Any], int]:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (AudioFileError("a.wav is empty"), 1, "lars: error: a.wav is empty"),
        (InputError("no such\nstem"), 2, "lars: error: no such stem"),
        (KeyboardInterrupt(), 130, "lars: interrupted"),
        (cli.Terminated(), 143, "lars: terminated"),
        (ZeroDivisionError("boo"), 1, "lars: internal error: ZeroDivisionError: boo; please"),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(
    command: Any, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    command(raising(error))
    assert main(["fake"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--debug", "fake"], ["fake", "--debug"]])
def test_debug_shows_the_traceback(
    command: Any, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    command(raising(AudioFileError("a.wav is empty")))
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("lars: error: a.wav is empty\n")


@pytest.mark.parametrize(
    ("flags", "shown"),
    [([], "warning"), (["-v"], "info warning"), (["-q"], ""), (["--debug"], "debug info warning")],
)
def test_the_librarys_log_goes_to_stderr(
    command: Any, capsys: pytest.CaptureFixture[str], flags: list[str], shown: str
) -> None:
    log = logging.getLogger("lars_plugin.test")

    def run(args: argparse.Namespace) -> int:
        log.debug("1")
        log.info("2")
        log.warning("3")
        return 0

    command(run)
    assert main(["fake", *flags]) == 0
    numbers = {"debug": 1, "info": 2, "warning": 3}
    assert capsys.readouterr().err == "".join(
        f"lars: {level}: {numbers[level]}\n" for level in shown.split()
    )
    assert logging.getLogger("lars_plugin").handlers == []


@pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_termination_is_an_interrupt_and_the_old_handler_comes_back(
    command: Any, name: str
) -> None:
    number = getattr(signal, name)

    def run(args: argparse.Namespace) -> int:
        os.kill(os.getpid(), number)
        time.sleep(10)  # interrupted at once
        return 0

    command(run)
    before = signal.signal(number, signal.SIG_DFL)  # under nohup it would be ignored
    try:
        assert main(["fake"]) == 143
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter")
def test_a_hangup_that_is_ignored_stays_ignored(command: Any) -> None:
    def run(args: argparse.Namespace) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 7

    command(run)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["fake"]) == 7
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lars {lars_plugin.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["separate"], ["separate", "x", "--no"]])
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "usage: lars" in capsys.readouterr().err


def test_help_names_all_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert f"    {command.name} " in text
    assert "130 interrupted" in text


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command.name, "--help"]) == 0
    assert f"usage: lars {command.name}" in capsys.readouterr().out


def test_presets_formats_and_bits_are_those_of_the_library(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Written down in the command, which must not import the library before it runs.
    from lars_plugin.audio import BITS, FORMATS
    from lars_plugin.backends.choice import BACKENDS, PRECISION_CHOICES
    from lars_plugin.cli.naming import DEFAULT_TEMPLATE, FIELDS
    from lars_plugin.separation.separator import PRESETS

    main(["separate", "--help"])
    text = capsys.readouterr().out
    for choices in (BITS, FORMATS, BACKENDS, PRECISION_CHOICES, PRESETS):
        assert "{" + ",".join(choices) + "}" in text
    assert " ".join(FIELDS) in " ".join(text.split())
    assert DEFAULT_TEMPLATE in text


@pytest.mark.parametrize("arguments", ["--help", "separate --help", "models list", "demo --help"])
def test_help_and_lists_do_not_wait_for_torch_or_scipy(arguments: str, tmp_path: Path) -> None:
    code = (
        "import sys; from lars_plugin.cli import main\n"
        f"assert main({arguments.split()!r}) == 0\n"
        "slow = {'torch', 'scipy', 'matplotlib', 'pedalboard', 'rich'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.skipif(os.name != "posix", reason="pipes break differently elsewhere")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(1); from lars_plugin.cli import main;"
         "import sys; sys.exit(main(['models', 'list']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert error == b""


def test_a_warning_is_told_once_though_a_library_prints_the_log_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warn(_args: object) -> int:
        logging.getLogger("lars_plugin.demo").warning("once")
        return 0

    monkeypatch.setattr("lars_plugin.cli.demo.run_demo", warn)
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        assert main(["demo"]) == 0
    finally:
        logging.getLogger().removeHandler(handler)
    assert capsys.readouterr().err == "lars: warning: once\n"
    assert logging.getLogger("lars_plugin").propagate
