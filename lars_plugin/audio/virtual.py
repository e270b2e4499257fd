# SPDX-License-Identifier: GPL-3.0-or-later
"""What libsndfile, through soundfile, needs to be told twice."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import soundfile

from lars_plugin.audio.pieces import Readable

__all__ = ["ForwardFile", "QuietFile"]


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile ships no types
    """A sound file that is read from front to back.

    soundfile seeks after every read of a seekable file. For MP3 and Ogg that restarts the
    decoder and changes the audio (up to the signal's own size at every block's edge), for a
    truncated FLAC file it fails. So it is told that it cannot seek.
    """

    def seekable(self) -> bool:
        return False


class QuietFile:
    """A file for libsndfile's callbacks, which must not raise: the first error waits here.

    What a callback raises would be printed and lost, Ctrl-C too.
    """

    def __init__(self, handle: Readable) -> None:
        self._handle: Any = handle  # whoever writes gives one that can be written to
        self._error: BaseException | None = None

    def check(self) -> None:
        """Raise the error that a callback met.

        Raises:
            OSError: the file cannot be read or written.
            BaseException: whatever else came, such as KeyboardInterrupt.
        """
        if self._error is not None:
            raise self._error

    def write(self, data: bytes) -> int:
        return self._try(lambda: self._handle.write(data), 0)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)

        def fill() -> int:
            data = self._handle.read(len(view))
            view[: len(data)] = data
            return len(data)

        return self._try(fill, 0)

    def read(self, count: int) -> bytes:
        data = bytearray(count)
        return bytes(data[: self.readinto(data)])

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._try(lambda: self._handle.seek(offset, whence), -1)

    def tell(self) -> int:
        return self._try(self._handle.tell, -1)

    def _try(self, call: Callable[[], int], failed: int) -> int:
        try:
            return call()
        except OSError as error:
            # A damaged header may send libsndfile to a place before the file: no fault of ours.
            if error.errno != errno.EINVAL:
                self._error = self._error or error
        except ValueError:
            # Closed by a rollback, before libsndfile writes its last words.
            self._error = self._error or OSError(errno.EBADF, "the file is closed")
        except BaseException as error:
            self._error = self._error or error
        return failed
