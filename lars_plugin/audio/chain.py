# SPDX-License-Identifier: GPL-3.0-or-later
"""Several sound files, read one behind the other as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.audio.virtual import ForwardFile

__all__ = ["Chain"]


class Chain:
    """Like a :class:`ForwardFile`, of several.

    Args:
        openers: one for each file. Files of another rate or channel count than the first, and
            those behind one, are not read.

    Raises:
        SoundFileError: the first cannot be opened.
    """

    def __init__(self, openers: Sequence[Callable[[], ForwardFile]]) -> None:
        self._openers = list(openers)
        self._file = openers[0]()
        self._done = 0
        self.frames = int(self._file.frames)
        self.stopped = ""
        """Why not all are read; empty if all are."""
        for index, opener in enumerate(openers[1:], 1):
            try:
                other = opener()
            except (soundfile.SoundFileError, TypeError):
                self._stop(index, "cannot be read")
                break
            same = (other.samplerate, other.channels) == (self.samplerate, self.channels)
            if same:
                self.frames += int(other.frames)
            else:
                self._stop(index, f"has {other.samplerate} Hz and {other.channels} channel(s)")
            other.close()
            if not same:
                break
        self._openers = self._openers[1:]

    def _stop(self, index: int, why: str) -> None:
        self.stopped = f"recording {index + 1} of the {len(self._openers)} in it {why}"
        del self._openers[index:]

    @property
    def samplerate(self) -> int:
        """Hz."""
        return int(self._file.samplerate)

    @property
    def channels(self) -> int:
        """Of all files."""
        return int(self._file.channels)

    @property
    def format(self) -> str:
        """Of the first, libsndfile's name."""
        return str(self._file.format)

    def read(self, out: NDArray[np.float32]) -> NDArray[Any]:
        """Fill ``(frames, channels)``; what was filled, less at the end.

        Raises:
            SoundFileError: a file is damaged.
        """
        filled = 0
        while filled < len(out):
            part = self._file.read(out=out[filled:])
            filled += len(part)
            if len(part):
                continue
            if not self._openers:
                break
            self._done += int(self._file.tell())
            self._file.close()
            self._file = self._openers.pop(0)()
        return out[:filled]

    def tell(self) -> int:
        """Frames read."""
        return self._done + int(self._file.tell())

    def close(self) -> None:
        """Close the file that is open."""
        self._file.close()
