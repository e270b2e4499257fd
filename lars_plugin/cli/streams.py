# SPDX-License-Identifier: GPL-3.0-or-later
"""The standard streams: they are always there, and their failures are told from those of files."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import BinaryIO, TextIO, cast

__all__ = ["STDOUT", "provide_streams"]

# The file name in errors of what cannot be printed.
STDOUT = "standard output"


class _Stdout(io.FileIO):
    """Standard output; its errors bear its name."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STDOUT
            raise


class _Stderr(io.FileIO):
    """Standard error. What cannot be said there, because a disk is full, must not end the work."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            return len(data)


def provide_streams() -> None:
    """Replace stdin, stdout and stderr where they are closed, and name stdout in its errors.

    What is closed (``>&-``, a service, pythonw) gets what swallows everything. A closed descriptor
    is given to the next file that is opened, which may be a stem: what a library then prints would
    get into it. So descriptors 0 to 2 are taken first.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                _occupy(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Open until the process ends, as those that it stands for.
            stream = open(os.devnull, "w", encoding="utf-8", errors="replace")  # noqa: SIM115
            setattr(sys, name, stream)
    sys.stdout = _own(sys.stdout, sys.__stdout__, _Stdout)
    sys.stderr = _own(sys.stderr, sys.__stderr__, _Stderr)


def _own(stream: TextIO, first: TextIO | None, kind: type[io.FileIO]) -> TextIO:
    """The same stream over another kind of raw file, if it is the process's own."""
    if stream is not first or type(stream) is not io.TextIOWrapper:
        return stream  # a test's, a notebook's, or replaced before
    below: object = stream.buffer
    buffered = isinstance(below, io.BufferedWriter)  # with python -u it is not
    old = below.raw if isinstance(below, io.BufferedWriter) else below
    if type(old) is not io.FileIO:
        return stream  # a console of Windows
    stream.flush()
    raw = kind(old.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        cast(BinaryIO, io.BufferedWriter(raw) if buffered else raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _occupy(number: int) -> None:
    got = os.open(os.devnull, os.O_RDWR)
    if got != number:
        os.dup2(got, number)
        os.close(got)
