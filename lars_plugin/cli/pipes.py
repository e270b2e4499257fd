# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard input and output in the place of files: ``lars separate - --stdout --stems kick``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from lars_plugin.audio import AtomicFiles, input_path, printable
from lars_plugin.cli.display import Display
from lars_plugin.cli.inputs import Found
from lars_plugin.cli.report import Outcome, Report
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.separation.files import separate_file
from lars_plugin.separation.separator import Separator

__all__ = ["check_stdout", "input_names", "separate_to_stdout"]


def input_names(names: Sequence[str]) -> list[str]:
    """The inputs' names with that of standard input for ``-``."""
    return [str(input_path(name)) if name == "-" else name for name in names]


def check_stdout(args: argparse.Namespace, found: Sequence[Found]) -> None:
    """Whether ``--stdout`` can be done with the other options and these inputs.

    Raises:
        InputError: it cannot; the message says what to change.
    """
    if len(found) != 1:
        raise InputError(f"--stdout takes one input, not {len(found)}; leave --stdout out")
    for option, given in (
        ("--json", args.json),
        ("--midi", args.midi),
        ("--format flac", args.format != "wav"),
        ("--residual or --two-stems", args.residual),
    ):
        if given:
            raise InputError(f"--stdout writes one WAV file only; leave {option} out")
    if sys.stdout.isatty():
        raise InputError("standard output is a terminal; send it into a file or a program")


def separate_to_stdout(
    args: argparse.Namespace, separator: Separator, found: Found, report: Report
) -> None:
    """Write the one stem to standard output while it is made.

    Raises:
        InputError: the model gives more than one stem.
        BrokenPipeError: nobody reads any more.
    """
    if len(separator.stems) != 1:
        raise InputError(
            f"--stdout takes one stem; add --stems with one of {', '.join(separator.stems)}"
        )
    report.about(separator)
    # What a library may print must not get into the audio.
    out, kept = sys.stdout.buffer, contextlib.redirect_stdout(sys.stderr)
    display = Display(1, shown=not args.quiet)
    with kept, tempfile.TemporaryDirectory() as folder, display, display.file(found.path) as step:
        name = Path(folder) / "stdout.wav"
        try:
            result = separate_file(
                separator,
                found.path,
                lambda _stem: name,
                bits=args.bits,
                rescale=args.rescale,
                progress=step,
                files=_Stdout(out),
                channels=args.channels,
                metadata=args.metadata,
            )
            out.flush()
        except AudioFileError as error:
            if isinstance(error.__cause__, BrokenPipeError):
                raise error.__cause__ from error
            message = str(error).replace(printable(name), "standard output")
            report.add(Outcome(found.path, "failed", error=message))
            return
        # Told as of a file, on standard error.
        outputs = {stem: Path("standard output", "-") for stem in result.outputs}
        result = dataclasses.replace(result, outputs=outputs)
        report.add(Outcome(found.path, "done", result=result))


class _Stdout(AtomicFiles):
    """Standard output in the place of files that appear when they are complete."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out

    def create(self, path: Path, mode: int = 0o666) -> BinaryIO:  # noqa: ARG002 # there is but one
        return cast(BinaryIO, _Output(self._out))

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


class _Output(io.RawIOBase):
    """Standard output for an encoder; it can go back only in a file that is all its own."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._own = _is_own_file(out)

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._own

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        view = memoryview(data)
        while view:  # unbuffered, it may take a part
            view = view[self._out.write(view) :]
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._out.seek(offset, whence)


def _is_own_file(out: BinaryIO) -> bool:
    """Whether this is a plain file, empty, and not one that is only appended to."""
    try:
        number = out.fileno()
        if not stat.S_ISREG(os.fstat(number).st_mode) or os.fstat(number).st_size:
            return False
        import fcntl
    except (OSError, ImportError):
        return False
    return not fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND
