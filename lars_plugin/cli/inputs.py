# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a list of names on the command line means."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lars_plugin.audio import EXTENSIONS, printable
from lars_plugin.cli.left_out import reason, tell_left_out

__all__ = ["Found", "find_inputs"]

log = logging.getLogger(__name__)

# Files with two names that are told of one by one.
_TOLD = 3


@dataclass(frozen=True)
class Found:
    """A file to separate, or why a name gave none.

    Attributes:
        path: the file, or the name as it was given.
        named: given as such, not found in a folder or by a pattern.
        error: one line, or empty.
        root: the folder that was named, or found by a pattern, and that the file lies below;
            None for a file that was named or found itself.
    """

    path: Path
    named: bool
    error: str = ""
    root: Path | None = field(default=None, compare=False)


def find_inputs(names: Sequence[str], output: Path) -> list[Found]:
    """Files, folders with all audio files below them, and patterns (also when quoted).

    What is there by the very name, the first folders of a pattern included, goes before what
    the name would mean as a pattern: ``[Album]/*.wav`` is about a folder ``[Album]``.

    In folders and by patterns only files with a known extension are found; hidden ones, and
    the output folder where it lies below, are left out; a warning names all that are. A file
    found twice counts once, under its first name; a warning tells of another name for it.
    """
    found: list[Found] = []
    seen: dict[str, Path] = {}
    twice: list[tuple[Path, Path]] = []
    for name in names:
        for item in _expand(name, os.path.realpath(output)):
            first = seen.setdefault(os.path.realpath(item.path), item.path)
            if item.error or first is item.path:
                found.append(item)
            elif os.path.abspath(first) != os.path.abspath(item.path):
                twice.append((item.path, first))
    for path, first in twice[:_TOLD]:
        log.warning("%s is left out: it is the same file as %s", printable(path), printable(first))
    if len(twice) > _TOLD:
        log.warning("%d more are left out: they are the same files as others", len(twice) - _TOLD)
    return found


def _expand(name: str, output: str) -> Iterator[Found]:
    path = Path(name)
    if path.is_dir():
        yield from _scan(path, output)
    elif not os.path.lexists(path) and glob.has_magic(name):
        matches = _matches(_literal_start(name))
        good = [match for match in matches if match.is_dir() or not reason(match)]
        if not good and "[" in name:
            # Names of albums and takes hold brackets more often than patterns do.
            matches = _matches(name.replace("[", "[[]"))
            good = [match for match in matches if match.is_dir() or not reason(match)]
        tell_left_out(path, [match for match in matches if not match.is_dir()])
        if not good:
            yield Found(path, True, f"no audio file matches {printable(path)}")
        for match in good:
            if match.is_dir():
                yield from (item for item in _scan(match, output) if not item.error)
            else:
                yield Found(match, False)
    else:
        yield Found(path, True)  # whatever is wrong with it, reading it will tell


def _matches(pattern: str) -> list[Path]:
    """Folders and files that a pattern means, in order."""
    return [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]


def _literal_start(name: str) -> str:
    """The pattern with its first folders, as far as they are there by that name, escaped."""
    path = Path(name)
    start = Path()
    for count, part in enumerate(path.parts):
        if not os.path.lexists(start / part):
            return os.path.join(glob.escape(str(start)), *path.parts[count:])
        start /= part
    return glob.escape(str(start))


def _scan(folder: Path, output: str) -> Iterator[Found]:
    failed: list[OSError] = []
    count = 0
    left_out: list[Path] = []
    for root, folders, files in os.walk(folder, onerror=failed.append):
        left_out += [Path(root, name) for name in sorted(folders) if name.startswith(".")]
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(root, name)) != output
        )
        for path in (Path(root, name) for name in sorted(files)):
            if not reason(path):
                count += 1
                yield Found(path, False, root=folder)
            else:
                left_out.append(path)
    tell_left_out(folder, left_out)
    for error in failed:
        place = Path(os.fsdecode(error.filename))
        yield Found(place, True, f"cannot look into {printable(place)}: {error.strerror}")
    if not count and not failed:
        known = " ".join(EXTENSIONS)
        yield Found(folder, True, f"{printable(folder)} holds no audio file (looked for {known})")
