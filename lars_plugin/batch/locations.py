# SPDX-License-Identifier: GPL-3.0-or-later
"""Where inputs and outputs lie: in local folders, or wherever fsspec finds them.

A location is a path or a URL (``s3://bucket/song.wav``, ``gs://…``, ``https://…``). Credentials
are taken as fsspec takes them: from the environment, or from its configuration files.
"""

from __future__ import annotations

import functools
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.files import printable

__all__ = [
    "Entry",
    "check_protocol",
    "exists",
    "fetch",
    "is_remote",
    "list_files",
    "literal_folder",
    "local_form",
    "patiently",
    "pure_path",
    "put",
    "remove_all",
]

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# An object store that fails for a moment is asked again within the job, after so many seconds.
_PATIENCE = (0.25, 1.0, 4.0)
# Stores in which an object appears when it is complete; elsewhere it is renamed then.
_WHOLE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl")


class Entry(NamedTuple):
    """A file of a listing: its location, size and what changes when it does."""

    location: str
    size: int | None
    changed: str | None


def is_remote(location: str) -> bool:
    """Whether a location is a URL of something else than local files."""
    return "://" in location and not location.startswith("file://")


def local_form(location: str) -> str:
    """A path in the place of a URL of a local file, else the location."""
    if not location.startswith("file://"):
        return location
    return unquote(urlsplit(location).path)


def pure_path(location: str) -> PurePosixPath:
    """A URL's place, as names of outputs take it: ``s3://bucket/a.wav`` is ``/bucket/a.wav``."""
    parts = urlsplit(location)
    return PurePosixPath("/" + unquote(f"{parts.netloc}/{parts.path.lstrip('/')}").lstrip("/"))


def literal_folder(location: str) -> str:
    """A URL without what makes it a pattern: the folder that all matches lie below."""
    parts = location.rstrip("/").split("/")
    magic = (i for i, part in enumerate(parts) if any(c in part for c in "*?["))
    return "/".join(parts[: next(magic, len(parts))])


def _file_system(location: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it.

    Raises:
        InputError: fsspec does not know the protocol, or a package is missing.
    """
    from fsspec.core import url_to_fs

    protocol = location.split("://", 1)[0]
    try:
        system, path = url_to_fs(location)
    except ImportError as error:
        raise InputError(_lacking(protocol, error)) from error
    except ValueError as error:
        raise InputError(f"{printable(location)}: {error}") from error
    return system, str(path)


def check_protocol(location: str) -> None:
    """Find out before any work whether URLs like this one can be used.

    Raises:
        InputError: fsspec does not know the protocol, or a package is missing.
    """
    _usable(location.split("://", 1)[0])


@functools.cache
def _usable(protocol: str) -> None:
    from fsspec import get_filesystem_class

    try:
        # Without a connection, and without credentials.
        get_filesystem_class(protocol)
    except ImportError as error:
        raise InputError(_lacking(protocol, error)) from error
    except ValueError as error:
        raise InputError(f"fsspec does not know {printable(protocol)}://") from error


def _lacking(protocol: str, error: ImportError) -> str:
    return f"{protocol}:// needs another package: {' '.join(str(error).split())}"


def list_files(location: str, take: Callable[[str], bool]) -> Iterator[Entry]:
    """Files below a remote folder, those that match a pattern, or the one of that name.

    Args:
        location: a URL.
        take: says by its name whether a file that was not named itself is wanted.

    Raises:
        InputError: see above.
        AudioFileError: the place cannot be listed.
    """
    system, path = _file_system(location)
    # Names come back in the store's own form; locations are to look as they were given.
    folder = literal_folder(location)
    place = _file_system(folder)[1].rstrip("/")

    def entry(name: str, info: Mapping[str, Any]) -> Entry:
        changed = next(
            (str(info[key]) for key in ("ETag", "etag", "mtime", "LastModified", "updated",
                                        "created") if info.get(key)), None,
        )  # fmt: skip
        below = name.startswith(place + "/")
        url = folder + name[len(place) :] if below else str(system.unstrip_protocol(name))
        return Entry(url, info.get("size"), changed)

    def listed() -> list[Entry]:
        system.invalidate_cache()  # what it remembers of an earlier listing may have changed
        if any(character in path for character in "*?["):
            found = system.glob(path, detail=True)
            return [entry(name, info) for name, info in sorted(found.items())
                    if info.get("type") != "directory" and take(name)]  # fmt: skip
        if system.isdir(path):
            found = system.find(path, detail=True)
            return [entry(name, info) for name, info in sorted(found.items()) if take(name)]
        return [Entry(location, None, None)]

    yield from patiently(listed, f"cannot list {printable(location)}")


def fetch(location: str, folder: Path) -> Path:
    """Copy a remote file into a folder, under its own name.

    Raises:
        AudioFileError: it cannot be read; the cause is the store's error.
    """
    system, path = _file_system(location)
    name = PurePosixPath(unquote(urlsplit(location).path)).name or "input"
    local = folder / name
    patiently(lambda: system.get_file(path, os.fspath(local)), f"cannot read {printable(location)}")
    return local


def put(local: Path, location: str) -> None:
    """Bring a complete file to a remote place: it appears there when it is complete.

    Raises:
        AudioFileError: it cannot be written; the cause is the store's error.
    """
    system, path = _file_system(location)

    def once() -> None:
        parent = path.rsplit("/", 1)[0]
        if location.split("://", 1)[0] in _WHOLE:
            system.put_file(os.fspath(local), path)
            return
        system.makedirs(parent, exist_ok=True)
        temporary = f"{parent}/.lars-{secrets.token_hex(8)}.part"
        try:
            system.put_file(os.fspath(local), temporary)
            if system.exists(path):
                system.rm_file(path)
            system.mv(temporary, path)
        except BaseException:
            try:
                system.rm_file(temporary)
            except Exception:  # whatever the store's library raises; the first error counts
                log.debug("cannot remove %s", temporary, exc_info=True)
            raise

    patiently(once, f"cannot write {printable(location)}")


def exists(location: str) -> bool:
    """Whether something is there.

    Raises:
        AudioFileError: that cannot be told.
    """
    system, path = _file_system(location)
    return bool(patiently(lambda: system.exists(path), f"cannot look for {printable(location)}"))


def remove_all(location: str) -> None:
    """Remove a remote folder with all that is in it; what cannot be removed stays."""
    try:
        system, path = _file_system(location)
        if system.exists(path):
            system.rm(path, recursive=True)
    except Exception as error:  # whatever the store's library raises; the stems are complete
        log.warning("cannot remove %s: %s", printable(location), error)


def patiently(action: Callable[[], Result], what: str) -> Result:
    """Do something in a store, again if it fails for a moment.

    Raises:
        AudioFileError: it failed again and again, or for good.
    """
    for pause in (*_PATIENCE, None):
        try:
            return action()
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            raise AudioFileError(f"{what}: {_reason(error)}") from error
        except Exception as error:
            # Stores raise what their libraries raise; all of it is an OSError to us.
            cause = error if isinstance(error, OSError) else OSError(_reason(error))
            if pause is None:
                raise AudioFileError(f"{what}: {_reason(error)}") from cause
            log.info("%s: %s; once more in %g s", what, _reason(error), pause)
            time.sleep(pause)
    raise AssertionError


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileNotFoundError):
        text = "no such file"
    return " ".join(str(text).split()) or type(error).__name__
