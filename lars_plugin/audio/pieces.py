# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are not one file on a disk: parts of one, and pipes."""

from __future__ import annotations

import bisect
import errno
import os
import selectors
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

__all__ = ["ENDLESS", "Pieces", "PipeWav", "Readable", "Spool"]

_BLOCK = 1 << 16

# Seconds after which a read that waits checks whether it must end.
_LOOK = 0.1

# The length of what has none, in bytes: beyond any file, and libsndfile can still multiply it.
ENDLESS = 1 << 56


class Readable(Protocol):
    """The part of a binary file that reading needs."""

    def read(self, count: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


class Pieces:
    """Bytes, and parts of a file, one behind the other as one file.

    Args:
        handle: the file; it is moved.
        pieces: bytes, or ``(start, length)`` in the file.
    """

    def __init__(self, handle: Readable, pieces: Sequence[bytes | tuple[int, int]]) -> None:
        self._handle = handle
        self._pieces = pieces
        self._starts: list[int] = []
        self._size = self._position = 0
        for piece in pieces:
            self._starts.append(self._size)
            self._size += len(piece) if isinstance(piece, bytes) else piece[1]

    def read(self, count: int, /) -> bytes:
        """At most ``count`` bytes; fewer at the end only."""
        parts: list[bytes] = []
        while count > 0 and self._position < self._size:
            index = bisect.bisect_right(self._starts, self._position) - 1
            piece = self._pieces[index]
            skip = self._position - self._starts[index]
            if isinstance(piece, bytes):
                part = piece[skip : skip + count]
            else:
                self._handle.seek(piece[0] + skip)
                part = self._handle.read(min(count, piece[1] - skip))
            if not part:
                break
            parts.append(part)
            self._position += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As files do."""
        base = (0, self._position, self._size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position


class _Pipe:
    """A pipe whose reading can be stopped from another thread."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self.stopped = threading.Event()

    def read(self, count: int) -> bytes:
        """As many bytes; fewer at the end only."""
        if os.name != "posix":  # elsewhere one cannot wait for a pipe for a limited time
            return self._pipe.read(count)
        parts = []
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            while count > 0:
                while not selector.select(_LOOK):
                    if self.stopped.is_set():
                        raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
                part = os.read(self._pipe.fileno(), count)
                if not part:
                    break
                parts.append(part)
                count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._pipe.close()


class Spool:
    """A pipe in which one can seek: what was read is kept in a temporary file.

    Raises:
        OSError: here and in all methods, when the pipe or the temporary file fails.
    """

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = _Pipe(pipe)
        # Small at first: of a WAV file only the header comes here.
        self._kept = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115 # see close
        self._size = self._position = 0
        self._ended = False

    def _keep(self, size: int) -> None:
        """Have at least this many bytes, if there are as many."""
        self._kept.seek(self._size)
        while self._size < size and not self._ended:
            data = self._pipe.read(min(_BLOCK, size - self._size))
            self._kept.write(data)
            self._size += len(data)
            self._ended = not data

    def read(self, count: int, /) -> bytes:
        self._keep(self._position + count)
        self._kept.seek(self._position)
        data = self._kept.read(count)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence == 2:
            self._keep(ENDLESS)
        base = (0, self._position, self._size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def fileno(self) -> int:
        """Of the temporary file, with all of the pipe in it."""
        self._keep(ENDLESS)
        number = self._kept.fileno()  # moves it to the disk
        self._kept.flush()
        os.lseek(number, 0, os.SEEK_SET)
        return number

    def forward(self, start: int) -> Callable[[int], bytes]:
        """A function that reads on from ``start`` and keeps nothing; nothing else works then."""
        self._keep(start)
        self._kept.seek(start)

        def read(count: int) -> bytes:
            return self._kept.read(count) or self._pipe.read(count)

        return read

    def stop(self) -> None:
        """Have a read that waits in another thread, and all later ones, fail."""
        self._pipe.stopped.set()

    def close(self) -> None:
        """Remove the temporary file and close the pipe; may be called twice."""
        self._kept.close()
        self._pipe.close()


class PipeWav:
    """A WAV file out of a pipe, for libsndfile: a header without an end, then the pipe.

    Args:
        header: that promises :data:`ENDLESS` bytes.
        read: gives what follows the header, see :meth:`Spool.forward`.
        length: bytes of audio that the pipe's own header says; 0 where it does not know.
        chunk: tells whether these twelve bytes, behind so many, are audio no longer.
    """

    def __init__(
        self,
        header: bytes,
        read: Callable[[int], bytes],
        length: int,
        chunk: Callable[[bytes], bool],
    ) -> None:
        self._header, self._read, self._length, self._chunk = header, read, length, chunk
        self._position = self._done = 0
        self._ahead = self._first = b""
        self._ended = False
        self.beyond = False
        """Audio went on where the pipe's own header says that it ends."""
        self.rest = 0
        """Bytes behind the audio."""
        self.another = False
        """Whether they are another recording."""

    def read(self, count: int, /) -> bytes:
        parts: list[bytes] = []
        while count > 0:
            # libsndfile takes a short read for the end.
            part = self._header[self._position : self._position + count] or self._audio(count)
            if not part:
                break
            parts.append(part)
            self._position += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _audio(self, count: int) -> bytes:
        place = self._position - len(self._header)
        # libsndfile looks at the beginning of the audio, and goes back to it.
        again = self._first[place : place + count]
        if again:
            return again
        if place != self._done:
            raise OSError(errno.ESPIPE, "a pipe cannot be read twice")
        if not self.beyond and not self._ended and self._done + count > self._length:
            if self._done == self._length:
                self._look()
            else:
                count = self._length - self._done
        if self._ended:
            return b""
        part, self._ahead = self._ahead[:count], self._ahead[count:]
        part = part or self._read(count)
        self._ended = not part
        self._done += len(part)
        if place == len(self._first) < _BLOCK:
            self._first += part
        return part

    def _look(self) -> None:
        """Where the audio should end: does it?"""
        # An odd length is padded to an even one.
        while len(self._ahead) < 12 + self._length % 2:
            data = self._read(12 + self._length % 2 - len(self._ahead))
            if not data:
                break
            self._ahead += data
        rests = self._ahead, self._ahead[self._length % 2 :]
        if len(self._ahead) < 12 or any(self._chunk(rest) for rest in rests):
            self._ended = True
            self.rest = len(self._ahead)
            self.another = any(rest[8:12] == b"WAVE" for rest in rests)
            while data := self._read(_BLOCK):  # who writes must not find the pipe broken
                self.rest += len(data)
        else:
            self.beyond = True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = (0, self._position, len(self._header) + ENDLESS)[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position
