# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes from the driver to a worker and back, and the kinds of failures."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lars_plugin.errors import (
    AudioFileError,
    DatasetError,
    EngineError,
    InputError,
    ModelError,
    NonFiniteError,
)

__all__ = ["RETRIED", "Job", "Output", "Piece", "Result", "kind_of", "one_line"]

# Failures that another attempt may mend, in this run or in the next.
RETRIED = ("disk", "store", "memory", "killed")

_FULL = (errno.ENOSPC, errno.EDQUOT)
# A file that is not there, or not ours to read, will not be there in a second either.
_FINAL = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG)
_LONGEST = 500  # characters of an error


@dataclass(frozen=True)
class Output:
    """A file that was written: its name below the output folder, size, time and SHA-256."""

    file: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Piece:
    """A part of a long recording: its stems from sample ``first`` to before ``last``."""

    number: int
    first: int
    last: int


@dataclass(frozen=True)
class Job:
    """One recording, or one piece of it, to be separated.

    Attributes:
        key: of the ledger's row.
        location: of the input.
        root: the folder that was named and that the input lies below.
        overrides: settings of this recording, instead of those of the run.
        known: by name below the output folder, size and time of outputs that the ledger knows to
            be its own, so that they may be replaced.
        ours: outputs that are there come from an attempt of ours that did not report.
        pieces: that are done, and are to be put together.
        piece: the part that is to be separated; None: the whole.
    """

    key: int
    location: str
    root: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    ours: bool = False
    pieces: tuple[Piece, ...] = ()
    piece: Piece | None = None


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes:
        key: of the ledger's row.
        status: ``split``: nothing was written; ``pieces`` says which parts there are.
        piece: that the job was about.
        kind: of the failure, see :func:`kind_of`.
        error: one line.
        seconds: length of the audio.
        elapsed: seconds that a worker was busy.
        worker: host and process.
        sha256: of the input.
        outputs: by stem.
        warnings: about the input.
        skipped: the outputs were there already.
        scores: rows of an evaluation, as :class:`~lars_plugin.evaluation.scoring.Row` has them.
    """

    key: int
    status: Literal["done", "failed", "split", "cancelled"]
    piece: Piece | None = None
    kind: str = ""
    error: str = ""
    seconds: float = 0.0
    elapsed: float = 0.0
    worker: str = ""
    sha256: str = ""
    outputs: Mapping[str, Output] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    skipped: bool = False
    pieces: tuple[Piece, ...] = ()
    scores: tuple[Mapping[str, Any], ...] = ()


def kind_of(error: BaseException) -> str:
    """The kind of a failure: ``disk`` (full), ``store`` (input or output failed), ``memory``,
    ``unreadable``, ``input`` (settings or audio that cannot be used), ``model``, ``engine``,
    ``data`` (an evaluation's), or ``internal``. ``killed`` and ``refused`` come from elsewhere."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return "memory"
        if isinstance(cause, OSError):
            if cause.errno in _FULL:
                return "disk"
            if cause.errno not in _FINAL and not isinstance(cause, FileNotFoundError):
                return "store"
        cause = cause.__cause__
    if isinstance(error, NonFiniteError):
        return "engine"
    if isinstance(error, (EngineError, RuntimeError)) and "memory" in str(error).lower():
        return "memory"
    for kind, types in (
        ("input", InputError),
        ("unreadable", (AudioFileError, OSError)),
        ("model", ModelError),
        ("data", DatasetError),
        ("engine", EngineError),
    ):
        if isinstance(error, types):
            return kind
    return "internal"


def one_line(text: str) -> str:
    """An error's text for a table."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
