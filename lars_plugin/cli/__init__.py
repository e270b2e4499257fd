# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``lars COMMAND …``, also ``python -m lars_plugin``.

A command is a module with ``add_NAME_parser(subparsers)`` and ``run_NAME(args) -> exit code``,
one line in :data:`COMMANDS`. Only the module of the command that was called is imported, so
that ``lars --help`` does not wait for numpy and torch.

Exit codes: 0 all done, 1 something failed, 2 wrong usage (nothing was begun), 130 interrupted
by Ctrl-C, 143 terminated.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from lars_plugin import __version__
from lars_plugin.cli.streams import STDOUT, provide_streams
from lars_plugin.errors import InputError, LarsError
from lars_plugin.files import write_failure

__all__ = ["COMMANDS", "Command", "Terminated", "main"]


class Command(NamedTuple):
    """What the main parser has to know of a command before its module is imported."""

    name: str
    help: str
    module: str


COMMANDS = (
    Command("separate", "split drum recordings into stems", "lars_plugin.cli.separate"),
    Command("batch", "separate a library, on one machine or on Ray", "lars_plugin.batch.command"),
    Command("midi", "transcribe drum recordings to MIDI", "lars_plugin.cli.midi"),
    Command("studio", "a page to separate, hear and remix drums", "lars_plugin.studio.command"),
    Command("demo", "separate a drum performance made on the spot", "lars_plugin.cli.demo"),
    Command("models", "list, download, convert and export models", "lars_plugin.zoo.command"),
    Command("evaluate", "score models on clips with stems", "lars_plugin.evaluation.command"),
    Command("bench", "measure speed, and what it costs", "lars_plugin.bench.command"),
    Command("train", "train a model", "lars_plugin.training.command"),
    Command("serve", "run the engine that DAWs connect to", "lars_plugin.bridge.command"),
    Command("stream", "play a file through the engine", "lars_plugin.bridge.command"),
)

# What the system says when there is no room for what is written.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_EPILOG = """\
exit codes: 0 all done, 1 something failed, 2 wrong usage, 130 interrupted, 143 terminated

`lars COMMAND --help` tells more about each.
"""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: leave as after Ctrl-C, so that no file is left half-written."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; never raises.

    Args:
        argv: the arguments without the program's name; None for those of this process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = False
    provide_streams()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not end a night's work.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        args = _parser(arguments).parse_args(arguments)
        debug = args.debug
        command = next(command for command in COMMANDS if command.name == args.command)
        with _terminated_as_interrupt(), _logging(args):
            if argv is None:
                _remember()
            code = int(_function(command, "run_{}")(args))
            sys.stdout.flush()
            return code
    except SystemExit as stop:  # from argparse: --help, --version, wrong usage
        return stop.code if isinstance(stop.code, int) else 2
    except BrokenPipeError:
        _stop_printing()  # whoever read our output has gone
        return 1
    except OSError as error:
        if error.filename == STDOUT:
            _stop_printing()
        elif error.errno not in _FULL:
            return _report(error, debug)
        failure = write_failure(Path(os.fsdecode(error.filename or "a file")), error)
        failure.__cause__ = error
        return _report(failure, debug)
    except BaseException as error:
        return _report(error, debug)


def _remember() -> None:
    """The first command that is run tells the plugin where this installation is."""
    from lars_plugin.bridge.installed import remember_installation

    remember_installation()


def _stop_printing() -> None:
    """Keep Python from failing again at what standard output would not take when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: BaseException, debug: bool) -> int:
    """Tell about an error in one line and return the exit code."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        terminated = isinstance(error, Terminated)
        _tell("terminated" if terminated else "interrupted")
        return 143 if terminated else 130
    if isinstance(error, LarsError):
        _tell(f"error: {error}")
        return 2 if isinstance(error, InputError) else 1
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        _tell("error: this command needs PyTorch: run `pip install torch`")
        return 2
    _tell(
        f"internal error: {type(error).__name__}: {error}"
        + ("" if debug else "; please report it with the output of the same command and --debug")
    )
    return 1


def _tell(message: str) -> None:
    print("lars:", " ".join(message.split()), file=sys.stderr)


def _function(command: Command, name: str) -> Any:
    return getattr(importlib.import_module(command.module), name.format(command.name))


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the options of no command but the one that these arguments call."""
    parser = argparse.ArgumentParser(
        prog="lars",
        description="Drum recordings in, kick, snare, toms, hi-hat and cymbals out.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lars {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and all log messages")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    called = next((word for word in arguments if not word.startswith("-")), None)
    for command in COMMANDS:
        if command.name == called:
            _function(command, "add_{}_parser")(subparsers)
            subparsers.choices[command.name].add_argument(
                "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
            )
        else:
            subparsers.add_parser(command.name, help=command.help)
    return parser


@contextlib.contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP raise :class:`Terminated` in the main thread."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    old = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Ignored on purpose (nohup), or we are not in the main thread: leave it as it is.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            with contextlib.suppress(ValueError):
                old[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class _Handler(logging.Handler):
    """Prints to whatever stderr is at the moment: a progress bar puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"lars: {record.levelname.lower()}: {self.format(record)}", file=sys.stderr)


@contextlib.contextmanager
def _logging(args: argparse.Namespace) -> Iterator[None]:
    """The library's log on stderr: warnings, or with ``--verbose`` and ``--debug`` more."""
    level = logging.WARNING
    if args.debug:
        level = logging.DEBUG
    elif getattr(args, "verbose", False):
        level = logging.INFO
    elif getattr(args, "quiet", False):
        level = logging.ERROR
    logger = logging.getLogger("lars_plugin")
    handler = _Handler()
    old = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    # A library may give the root logger a handler of its own: everything would be told twice.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(old)
        logger.propagate = True
