# SPDX-License-Identifier: GPL-3.0-or-later
"""What stems were made from: a small hidden file beside them, and what may be done with it.

The file is JSON: a list of runs, each with the input (path, size, times, SHA-256), the model
(name and SHA-256 of its weights), the settings, the version, and the outputs (file, size, time).
Of an output only the last run that wrote it is kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lars_plugin.audio import AtomicFiles, printable
from lars_plugin.errors import AudioFileError
from lars_plugin.files import sha256_of

__all__ = ["Making", "Record", "Run", "Source", "Written"]

_MOST = 1 << 20  # bytes that are believed to be a record

# Seconds by which times of files may be off where they are copied, or kept on FAT.
_CLOCK = 2.0


@dataclass(frozen=True)
class Source:
    """An input as it was. ``sha256`` is empty where it changed while it was read."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str = ""

    @classmethod
    def of(cls, path: Path) -> Source | None:
        """The input as it is, without its SHA-256; None for what is not a plain file."""
        try:
            info = path.stat()
        except OSError:
            return None
        if not stat.S_ISREG(info.st_mode):
            return None
        return cls(
            os.path.realpath(path), info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino
        )

    def hashed(self) -> Source:
        """The same with its SHA-256, if it is still the same file.

        Raises:
            AudioFileError: it cannot be read.
        """
        try:
            digest = sha256_of(Path(self.path))
        except OSError as error:
            raise AudioFileError(f"cannot read {printable(self.path)}: {error.strerror}") from error
        same = Source.of(Path(self.path)) == dataclasses.replace(self, sha256="")
        return dataclasses.replace(self, sha256=digest if same else "")

    def same_as(self, now: Source) -> bool:
        """Whether a file that is there now has the content that this one had."""
        if not self.sha256 or self.size != now.size:
            return False
        if dataclasses.replace(self, sha256="") == now:
            return True  # nobody can write to a file and leave its ctime as it was
        return self.sha256 == (now.sha256 or now.hashed().sha256)


@dataclass(frozen=True)
class Making:
    """How outputs are made: equal makings of equal inputs give equal stems.

    Attributes:
        model: its name, and by part its configuration and weights.
        settings: of the command line, as far as they change what is written.
        version: of this package.
    """

    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    version: str

    def differences(self, other: Making) -> str:
        """What tells another making from this one, in words; empty if nothing does."""
        found = []
        if self.model != other.model:
            names = [str(making.model.get("name")) for making in (self, other)]
            found.append(
                f"model {names[0]}, now {names[1]}"
                if names[0] != names[1]
                else f"another version of model {names[0]}"
            )
        for key in sorted({*self.settings, *other.settings}):
            old, new = self.settings.get(key), other.settings.get(key)
            if old != new:
                found.append(f"{key} {_words(old)}, now {_words(new)}")
        if self.version != other.version:
            found.append(f"lars {self.version}, now {other.version}")
        return "; ".join(found)


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not given" if value is None else str(value)


@dataclass(frozen=True)
class Written:
    """An output as it was written: its file relative to the record's folder, size and time."""

    file: str
    size: int
    mtime_ns: int

    def is_there(self, path: Path, *, untouched: bool) -> bool:
        """Whether a file is this output.

        Args:
            path: of the file.
            untouched: also ask that nobody has written to it since.
        """
        try:
            info = path.lstat()
        except OSError:
            return False
        if not stat.S_ISREG(info.st_mode) or info.st_size != self.size:
            return False
        return not untouched or abs(info.st_mtime_ns - self.mtime_ns) <= _CLOCK * 1e9


@dataclass(frozen=True)
class Run:
    """Outputs, by stem, that were made together."""

    source: Source
    making: Making
    outputs: Mapping[str, Written]


class Record:
    """The runs that a record tells of.

    Args:
        path: of the record; read now. A damaged one tells of nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: tuple[Run, ...] = ()
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            with path.open("rb") as handle:
                data = handle.read(_MOST + 1)
            self._runs = tuple(map(_run, json.loads(data)["runs"])) if len(data) <= _MOST else ()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def runs(self) -> tuple[Run, ...]:
        """The oldest first."""
        return self._runs

    def find(self, stem: str, path: Path) -> tuple[Run, Written] | None:
        """The run that wrote an output, and what it wrote."""
        for run in self._runs:
            written = run.outputs.get(stem)
            if written is not None and self.file(written) == Path(os.path.abspath(path)):
                return run, written
        return None

    def file(self, written: Written) -> Path:
        """Where an output lies."""
        return Path(os.path.abspath(self._path.parent / written.file))

    def written(self, path: Path, info: os.stat_result) -> Written:
        """An output as a record tells of it."""
        folder = os.path.abspath(self._path.parent)
        return Written(
            os.path.relpath(os.path.abspath(path), folder), info.st_size, info.st_mtime_ns
        )

    def with_runs(self, new: Sequence[Run]) -> bytes:
        """The record's content when more runs have been added."""
        replaced = {written.file for run in new for written in run.outputs.values()}
        runs: list[Run] = []
        for run in self._runs:
            left = {stem: w for stem, w in run.outputs.items() if w.file not in replaced}
            if left:
                runs.append(dataclasses.replace(run, outputs=left))
        for run in new:
            for index, old in enumerate(runs):
                if (old.source, old.making) == (run.source, run.making):
                    runs[index] = dataclasses.replace(old, outputs={**old.outputs, **run.outputs})
                    break
            else:
                runs.append(run)
        document = {
            "about": "from what lars made these files, so that it can tell what is done already",
            "runs": [asdict(run) for run in runs],
        }
        return (json.dumps(document, indent=1) + "\n").encode()

    def add(self, new: Sequence[Run]) -> None:
        """Write the record with more runs in it.

        Raises:
            AudioFileError: it cannot be written.
        """
        with AtomicFiles() as files:
            files.create(self._path).write(self.with_runs(new))


def _run(data: Mapping[str, Any]) -> Run:
    return Run(
        Source(**data["source"]),
        Making(**data["making"]),
        {str(stem): Written(**written) for stem, written in data["outputs"].items()},
    )
