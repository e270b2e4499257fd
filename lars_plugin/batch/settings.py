# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a run, and those that a manifest gives to single files."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from lars_plugin.cli.makings import settings_digest
from lars_plugin.errors import InputError

__all__ = ["Settings", "add_recording_options", "parse_overrides"]

_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def add_recording_options(parser: Any) -> Any:
    """Options that a file of a manifest may have for itself; returns the group about files."""
    from lars_plugin.cli.separate import add_output_options

    files = add_output_options(parser, filename="{path}/{track}/{stem}.{ext}")
    parser.add_argument_group("evaluation").add_argument("--evaluate", action="store_true",
        help="score the stems where the true ones lie beside the recording, as `lars evaluate` does"
        " (clips)")  # fmt: skip
    return files


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


@functools.cache
def _columns() -> dict[str, argparse.Action]:
    """Options by the name that a column has: the option's, or where it is stored."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    add_recording_options(parser)
    found: dict[str, argparse.Action] = {}
    for action in parser._actions:
        if isinstance(action, argparse._StoreConstAction) and not isinstance(
            action, (argparse._StoreTrueAction, argparse._StoreFalseAction)
        ):
            continue  # --flac and the like say what others say
        found.setdefault(action.dest, action)
        for flag in action.option_strings:
            if flag.startswith("--") and not flag.startswith("--no-"):
                found.setdefault(flag[2:].replace("-", "_"), action)
    return found


def parse_overrides(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from the columns of a manifest, by the names that the options are stored under.

    Empty cells and nulls say nothing.

    Raises:
        InputError: no option has that name, or it does not take that value.
    """
    return dict(_parsed(tuple((name, _text(value)) for name, value in values.items()
                              if value is not None and value != "")))  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # Parquet has floats where a column has gaps
    return str(value)


@functools.lru_cache(maxsize=4096)
def _parsed(values: tuple[tuple[str, str], ...]) -> tuple[tuple[str, Any], ...]:
    found: dict[str, Any] = {}
    for name, text in values:
        action = _columns().get(name.strip().lower().replace("-", "_"))
        if action is None:
            raise InputError(
                f"no option has the name of column {name!r}; leave it out, or begin it with #"
            )
        if action.nargs == 0:
            if text.lower() not in (*_TRUE, *_FALSE):
                raise InputError(f"column {name!r} is true or false, got {text!r}")
            found[action.dest] = text.lower() in _TRUE
            continue
        parser = _Parser(add_help=False, allow_abbrev=False)
        parser.add_argument("--value", type=action.type or str, choices=action.choices)
        try:
            found[action.dest] = parser.parse_args([f"--value={text}"]).value
        except InputError as error:
            said = str(error).replace("argument --value: ", "")
            raise InputError(f"column {name!r}: {said}") from error
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


class Settings:
    """Options of the run, and what they become with a file's own.

    Args:
        args: of the command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._digests: dict[str, str] = {}

    def of(self, overrides: Mapping[str, Any]) -> argparse.Namespace:
        """The options for a file, ready for the functions behind ``lars separate``.

        Raises:
            InputError: options that do not go together.
        """
        args = argparse.Namespace(**{**vars(self._args), **overrides})
        if args.two_stems and args.stems:
            # One of them is the run's, the other the file's.
            if "stems" in overrides:
                args.two_stems = None
            else:
                args.stems = None
        if isinstance(args.stems, list):
            args.stems = tuple(args.stems)
        if args.two_stems:
            args.stems, args.residual = (args.two_stems,), True
        return args

    def digest(self, overrides: str) -> str:
        """SHA-256 of all that outputs depend on beside the input.

        Args:
            overrides: JSON, as the ledger has them.

        Raises:
            InputError: options that cannot be used.
            ModelError: no such model here.
        """
        if overrides not in self._digests:
            args = self.of(json.loads(overrides))
            check(args)
            self._digests[overrides] = settings_digest(args)
        return self._digests[overrides]


def check(args: argparse.Namespace) -> None:
    """Find wrong options before any work is done.

    Raises:
        InputError: says which.
    """
    from lars_plugin.audio.channels import check_channel_names
    from lars_plugin.audio.writer import check_format
    from lars_plugin.cli.naming import OutputNames

    check_format(args.format, args.bits)
    if args.channels is not None:
        check_channel_names(args.channels)
    if args.midi:
        from lars_plugin.cli.midi_options import check_hit_options

        check_hit_options(args)
    OutputNames(args.work, args.filename, args.format, "model")
