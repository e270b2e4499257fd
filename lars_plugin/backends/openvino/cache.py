# SPDX-License-Identifier: GPL-3.0-or-later
"""Converted networks on disk: found by what they were made of, used only when whole.

Any number of processes may need one at the same moment, in a folder that may be read-only or
full. So a conversion is written into a folder of its own and then renamed to the first free one of
a few names. What is whole under such a name is never changed, moved or removed again, because
others may have it open: that is why :mod:`lars_plugin.files`, which replaces files, does not do it.
Where nothing can be written, the network stays in memory.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lars_plugin.errors import EngineError
from lars_plugin.files import patiently, sha256_of
from lars_plugin.leftovers import part_name

__all__ = ["GRAPH", "CacheError", "Conversions", "cached", "kept", "key_of", "prepared"]

log = logging.getLogger(__name__)

GRAPH = "model.xml"
_FILES = (GRAPH, "model.bin")
_DIGESTS = "sha256.json"
# A broken folder that cannot be emptied keeps its name: the next conversion takes another.
_NAMES = 8
# No conversion takes so long: what is older was left by a process that was killed.
_STALE = 24 * 3600.0
_LEFT = (".part", ".old")  # the second is of versions before this one


class CacheError(EngineError):
    """A conversion could not be written."""


@dataclass(frozen=True)
class Conversions:
    """Where converted networks are kept and found.

    A conversion of the cache is for the versions of PyTorch and OpenVINO that made it. One that was
    prepared is for any: it is how a network comes to a machine that cannot convert.

    Attributes:
        root: the folder that new conversions are written into.
        prepared: folders of conversions that were made ahead; looked into first.
        ahead: whether what is written into ``root`` is made ahead.
    """

    root: Path
    prepared: tuple[Path, ...] = ()
    ahead: bool = False


def prepared(folders: Iterable[Path], key: str) -> Path | None:
    """The graph of a conversion that was made ahead, or None; broken ones are left out."""
    for folder in folders:
        if (folder / key).is_dir():
            problem = _problem(folder / key)
            if problem is None:
                return folder / key / GRAPH
            log.warning("%s: %s; it is not used", folder / key, problem)
    return None


def key_of(environment: Mapping[str, Any]) -> str:
    """A name for a conversion: a digest of all that its result depends on."""
    text = json.dumps(environment, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def kept(
    root: Path, key: str, make: Callable[[], Any], save: Callable[[Any, Path], None]
) -> Path | Any:
    """A conversion's file, or the graph itself where no file can be written.

    Args:
        root, key: see :func:`cached`.
        make: returns the graph.
        save: writes it into a folder; raises OSError when that fails.

    Returns:
        The path of the graph, or what ``make`` returned; either can be compiled.
    """
    graph: list[Any] = []

    def write(folder: Path) -> None:
        graph.append(make())
        save(graph[0], folder)

    try:
        return cached(root, key, write) / GRAPH
    except CacheError as error:
        _warn_once(root, error)
        return graph[0] if graph else make()


def cached(root: Path, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of a conversion, made now unless it is there and whole.

    Args:
        root: where conversions lie; made if missing.
        key: see :func:`key_of`.
        make: writes ``model.xml`` and ``model.bin`` into the folder it is given.

    Raises:
        CacheError: the folder cannot be written.
    """
    try:
        broken: list[str] = []
        for folder in _names(root, key):
            if not folder.is_dir():
                continue
            problem = _problem(folder)
            if problem is None:
                return folder
            broken.append(f"{folder}: {problem}")
        if broken:
            log.warning("%s; converting again", broken[0])
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        temporary = part_name(root)
        temporary.mkdir()
        try:
            make(temporary)
            digests = {name: sha256_of(temporary / name) for name in _FILES}
            (temporary / _DIGESTS).write_text(json.dumps(digests), encoding="utf-8")
            return _name(temporary, root, key)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise CacheError(
            f"cannot write the converted network to {root} ({error.strerror or error}): make"
            " room, or set LARS_CACHE to another folder"
        ) from error


def _names(root: Path, key: str) -> Iterator[Path]:
    yield root / key
    for number in range(2, _NAMES + 1):
        yield root / f"{key}-{number}"


def _name(temporary: Path, root: Path, key: str) -> Path:
    """Give a complete folder the first free name, unless another process made one meanwhile."""
    for folder in _names(root, key):
        for emptied in (False, True):
            if emptied:
                _empty_broken(folder)
            try:
                # Not over another: a folder that holds files is never replaced, on any system.
                patiently(functools.partial(os.rename, temporary, folder))
            except OSError:
                if not folder.is_dir():
                    raise
                if _problem(folder) is None:
                    return folder  # as good as ours
            else:
                return folder
    raise OSError(f"{_NAMES} broken conversions are there; delete {root / key}*")


def _empty_broken(folder: Path) -> None:
    """Take the files out of a broken folder, for a rename may replace an empty one.

    Another process may replace it at any moment, so files are removed from the folder that was
    found broken, whatever has its name by then. Where a system cannot do that, it stays.
    """
    if os.unlink not in os.supports_dir_fd or os.listdir not in os.supports_fd:
        return
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            broken = _problem(folder) is not None
            if broken and os.path.samestat(os.stat(folder), os.fstat(opened)):
                for name in os.listdir(opened):
                    os.unlink(name, dir_fd=opened)
        finally:
            os.close(opened)


def _sweep(root: Path) -> None:
    """Remove what processes left that were killed while they converted."""
    for left in root.glob(".*"):
        with suppress(OSError):  # another process may be at it
            if left.suffix in _LEFT and time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)


def _problem(folder: Path) -> str | None:
    """What is wrong with a conversion, or None."""
    try:
        digests = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
        for name in _FILES:
            if digests[name] != sha256_of(folder / name):
                return f"{name} is not what was written"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"it is not complete ({type(error).__name__})"
    return None


_warned: set[Path] = set()


def _warn_once(root: Path, error: CacheError) -> None:
    if root not in _warned:
        _warned.add(root)
        log.warning("%s; until then it is converted again each time", error)
