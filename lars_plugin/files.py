# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear complete or not at all, and SHA-256 of files.

Every file is written under a temporary name in its folder and then renamed. ``AtomicFiles`` does
so for one or more files that belong together and gives handles; ``replacing`` does so for one file
and gives a path, for libraries that open files themselves. Three have their own way: the cache of
converted networks (folders that must never replace each other), downloads (resumed under the name
of the part, :mod:`lars_plugin.zoo.claims`), and the table of scores that an evaluation appends to.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from lars_plugin.errors import AudioFileError, LarsError
from lars_plugin.leftovers import hold, new_part, remove_leftovers

__all__ = [
    "AtomicFiles",
    "discard_unfinished",
    "patiently",
    "printable",
    "put_in_place",
    "replacing",
    "sha256_of",
    "write_failure",
]

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
# Windows: how often something is tried again that another program stands in the way of, and the
# first wait in seconds, which doubles: 1.3 s in all.
_TRIES, _FIRST_WAIT = 8, 0.01
# Characters of a temporary name.
_PART_LENGTH = len(".lars-0123456789abcdef.part")
# Windows takes no longer path, unless it has been told to.
_LONGEST_PATH = 259

_CAUSES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your disk quota is used up; free some space",
    errno.EFBIG: "the file would exceed the size limit; write FLAC or 16 bits, or lift the limit",
    errno.EACCES: "the folder is not writable; choose another or change its permissions",
    errno.EPERM: "the folder is not writable; choose another or change its permissions",
    errno.EROFS: "the folder is read-only; choose another",
    errno.ENOTDIR: "a part of its path is a file, not a folder; choose another",
    errno.EEXIST: "a part of its path is a file, not a folder; choose another",
    errno.EISDIR: "a folder of that name is in the way; move it or choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}

# Of all threads: files under temporary names, and folders made for files of which none is
# complete yet. Whoever changes them, or makes, names or removes such files, holds the lock.
_unfinished: set[Path] = set()
_made: set[Path] = set()
_lock = threading.Lock()


def printable(path: str | os.PathLike[str]) -> str:
    """A path for messages: bytes that are not UTF-8 become U+FFFD, control characters ``?``."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)


def write_failure(path: Path, error: OSError, kind: type[LarsError] = AudioFileError) -> LarsError:
    """The one-line error for a file that could not be written.

    Args:
        path: of the file.
        error: the system's.
        kind: of the new error.
    """
    cause = _CAUSES.get(error.errno or 0, error.strerror or str(error))
    if sys.platform == "win32":
        longest = max(len(path.name), _PART_LENGTH)
        if len(os.path.abspath(path.parent)) + 1 + longest > _LONGEST_PATH:
            cause = "the path is too long for Windows; choose a shorter folder or name"
        elif error.errno == errno.EACCES and path.exists():
            cause = "another program has the file open; close it there"
    return kind(f"cannot write {printable(path)}: {cause}")


def patiently(act: Callable[[], None]) -> None:
    """Give a file or a folder another name. On Windows that fails while another program has it
    open, and virus scanners and indexers open whatever is new, so it is tried again for a second.

    Args:
        act: raises PermissionError where something is open.

    Raises:
        OSError: as ``act`` raised it at last.
    """
    wait = _FIRST_WAIT
    for _ in range(_TRIES - 1 if sys.platform == "win32" else 0):
        try:
            return act()
        except PermissionError:
            time.sleep(wait)
            wait *= 2
    return act()


def sha256_of(path: Path) -> str:
    """SHA-256 of a whole file, lower-case hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def put_in_place(temporary: Path, path: Path) -> None:
    """Bring a complete file to the disk, then give it its name in the same folder.

    Raises:
        OSError: it could not be written or renamed.
    """
    with temporary.open("rb+") as handle:
        os.fsync(handle.fileno())
    patiently(lambda: os.replace(temporary, path))


def discard_unfinished(*, exiting: bool = False) -> None:
    """Remove every file that is not complete yet, whoever writes it: for a forced exit.

    Args:
        exiting: the caller ends the process now. No thread can make or name a file any more.
    """
    _lock.acquire()
    for path in _unfinished:
        with contextlib.suppress(OSError):
            path.unlink()
        _remove_folders(path.parent)
    _unfinished.clear()
    if not exiting:
        _lock.release()


def _make_folders(folder: Path) -> None:
    """Make what is missing; the lock is held."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _made.add(folder)


def _remove_folders(folder: Path) -> None:
    """Remove folders that were made and turned out to be of no use; the lock is held."""
    while folder in _made:
        try:
            folder.rmdir()
        except OSError:
            return  # not empty: other files are being written there
        _made.discard(folder)
        folder = folder.parent


class _NamedFile(io.FileIO):
    """A new file whose errors tell its final name, which the system does not."""

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor, "r+b")
        self._path = path

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError as error:
            error.filename = self._path
            raise


class AtomicFiles:
    """Files written under temporary names and renamed together at the end.

    Leaving the ``with`` block normally renames them all; leaving it by an exception, Ctrl-C
    included, removes them, the renamed ones too, and the folders made for them. A file that
    was replaced cannot be brought back, but all that can fail for a name is tried before.
    They get their names in the order in which they were created. What a process that was killed
    has left in the same folders is removed.

    Args:
        error: raised when a file cannot be written.

    Example::

        with AtomicFiles() as files:
            files.create(Path("out/a.txt")).write(b"a")
            files.create(Path("out/b.txt")).write(b"b")
    """

    def __init__(self, error: type[LarsError] = AudioFileError) -> None:
        self._error = error
        self._open: list[tuple[Path, Path, BinaryIO]] = []  # final name, temporary name, handle
        self._cleared: set[Path] = set()  # folders in which there is nothing of dead processes

    def __enter__(self) -> AtomicFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.commit()
            return
        failed = error.filename if isinstance(error, OSError) else None
        ours = [path for path, *_ in self._open if path is failed]
        self.rollback()
        if ours and isinstance(error, OSError):
            raise write_failure(ours[0], error, self._error) from error

    def create(self, path: Path, mode: int = 0o666) -> BinaryIO:
        """A new file, open for reading and writing, that will be called ``path``.

        Missing folders are made. The handle is closed by this object.

        Args:
            path: the final name.
            mode: of the file; the umask takes its part.

        Raises:
            AudioFileError, or the chosen error: the file cannot be made here, or could not get
                that name later.
        """
        return self.begin(path, mode)[1]

    def begin(self, path: Path, mode: int = 0o666) -> tuple[Path, BinaryIO]:
        """See ``create``; returns the temporary name and the handle."""
        with _lock:
            try:
                _make_folders(path.parent)
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                # Now, not after an hour's work, find out whether the system takes the name.
                with contextlib.suppress(FileNotFoundError):
                    path.lstat()
                if path.parent not in self._cleared:
                    remove_leftovers(path.parent)
                    self._cleared.add(path.parent)
                temporary, descriptor = new_part(path.parent, mode)
                handle = io.BufferedRandom(_NamedFile(descriptor, path))
            except OSError as error:
                _remove_folders(path.parent)
                raise write_failure(path, error, self._error) from error
            _unfinished.add(temporary)
            self._open.append((path, temporary, handle))
        return temporary, handle

    def stat(self, path: Path) -> os.stat_result:
        """What the system says of the file that will be called ``path``, as written so far.

        Raises:
            AudioFileError, or the chosen error: what was written does not get to the file.
            KeyError: no such file in this group.
        """
        for final, _, handle in self._open:
            if final == path:
                try:
                    handle.flush()
                    return os.fstat(handle.fileno())
                except OSError as error:
                    raise write_failure(path, error, self._error) from error
        raise KeyError(path)

    def commit(self) -> None:
        """Bring everything to the disk and give all files their names.

        Raises:
            AudioFileError, or the chosen error: one of them could not be completed; none is left
                then.
        """
        named: list[Path] = []
        held: list[int] = []
        path = Path()
        try:
            for final, _, handle in self._open:
                path = final
                handle.flush()
                os.fsync(handle.fileno())
                # Closed now, as Windows wants it, but nobody's prey until it has its name.
                if (lock := hold(handle.fileno())) is not None:
                    held.append(lock)
                handle.close()
            # With the lock a forced exit comes before all the names or after them.
            with _lock:
                for final, temporary, _ in self._open:
                    path = final
                    new = not os.path.lexists(path)
                    patiently(functools.partial(os.replace, temporary, path))
                    if new:
                        named.append(path)
                    _unfinished.discard(temporary)
                _made.difference_update(*(final.parents for final, _, _ in self._open))
                self._open.clear()
        except BaseException as error:
            for done in named:
                with contextlib.suppress(OSError):
                    done.unlink()
            self.rollback()
            if isinstance(error, OSError):
                raise write_failure(path, error, self._error) from error
            raise
        finally:
            for lock in held:
                os.close(lock)

    def rollback(self) -> None:
        """Remove everything. Never raises."""
        for _, _, handle in self._open:
            # Closing flushes, which fails again on a full disk: the file goes all the same.
            with contextlib.suppress(OSError):
                handle.close()
        with _lock:
            for _, temporary, _ in self._open:
                try:
                    temporary.unlink(missing_ok=True)
                except OSError as error:
                    log.warning("cannot remove %s: %s", printable(temporary), error.strerror)
                _unfinished.discard(temporary)
            for final, _, _ in self._open:
                _remove_folders(final.parent)
            self._open.clear()


@contextlib.contextmanager
def replacing(
    path: Path, *, error: type[LarsError] = AudioFileError, mode: int = 0o666
) -> Iterator[Path]:
    """A temporary file beside ``path`` that becomes it when the block ends well.

    Missing folders are made. When the block fails, ``path`` stays as it was.

    Args:
        path: the final name.
        error: raised when the file cannot be written; OSErrors of the block become it too.
        mode: of the file; the umask takes its part.
    """
    with AtomicFiles(error) as files:
        temporary, _ = files.begin(path, mode)
        try:
            yield temporary
        except OSError as failure:
            raise write_failure(path, failure, error) from failure
