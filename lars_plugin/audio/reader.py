# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioReader: an audio file as a stream of blocks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.audio.opening import Opened
from lars_plugin.audio.sniff import FOREIGN_EXTENSIONS
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.files import printable

__all__ = ["EXTENSIONS", "AudioReader", "check_channels", "read_audio"]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]

# Names under which audio is looked for in folders. A file given by name may have any.
EXTENSIONS = (
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif",
    ".aiff", ".aifc", ".caf", ".au", *FOREIGN_EXTENSIONS,
)  # fmt: skip

_BLOCK = 1 << 16


def check_channels(channels: int, name: str | os.PathLike[str] = "the audio") -> None:
    """Only mono and stereo can be separated.

    Raises:
        InputError: another number of channels.
    """
    if channels not in (1, 2):
        raise InputError(
            f"{printable(name)} has {channels} channels; mono or stereo is needed: mix it down,"
            " or export the two channels that hold the drums"
        )


class AudioReader:
    """Reads WAV, RF64, FLAC, MP3, Ogg (Vorbis, Opus, FLAC), AIFF and whatever else libsndfile
    knows; with PyAV or the command ffmpeg also AAC, ALAC, WMA and the first sound of videos.

    Args:
        path: any name the system allows, valid UTF-8 or not; also a pipe, such as
            ``/dev/stdin``. WAV is then read while it comes, other kinds when all has come.

    Raises:
        AudioFileError: no such file, not audio, empty, or without a single frame.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._name = printable(path)
        self._warnings: list[str] = []
        self._position = 0
        if Path(path).is_dir():
            raise AudioFileError(f"{self._name} is a folder, not an audio file")
        self._opened = Opened(Path(path))
        self._file = self._opened.file
        self._warn()

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return int(self._file.samplerate)

    @property
    def channels(self) -> int:
        """Number of channels, any."""
        return int(self._file.channels)

    @property
    def frames(self) -> int:
        """Frames that can be expected, 0 where that is not known (a pipe); a damaged file may
        end earlier."""
        return self._opened.frames

    @property
    def position(self) -> int:
        """Frames read so far."""
        return self._position

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the file though it can be used; complete at the end of the audio."""
        return tuple(self._warnings)

    def blocks(self, frames: int = _BLOCK) -> Iterator[Wave]:
        """The rest of the file as new arrays ``(channels, n)`` float32, ``1 <= n <= frames``.

        Raises:
            AudioFileError: damaged audio, NaN or Inf, or a file without any audio in it.
        """
        buffer = np.empty((frames, self.channels), np.float32)
        whole = True
        while whole:
            whole, count = self._fill(buffer)
            if count == 0:
                break
            block = np.array(buffer[:count].T, order="C")
            self._check_finite(block)
            self._position += count
            yield block
        if self._position == 0:
            raise AudioFileError(f"{self._name} holds no audio that can be decoded")
        missing, tolerance = self.frames - self._position, self._opened.tolerance
        if self.frames and (not whole or (tolerance is not None and missing > tolerance)):
            self._opened.warn_short(self._seconds(self.frames), self._seconds(self._position))
        self._opened.at_end(self._position)
        self._warn()

    def _fill(self, buffer: Wave) -> tuple[bool, int]:
        """Read into the buffer: whether there may be more, and how many frames it got."""
        try:
            count = len(self._file.read(out=buffer))
            self._check_source(f" beyond {self._seconds(self._position)}")
            return True, count
        except soundfile.SoundFileError as error:
            self._check_source(f" beyond {self._seconds(self._position)}")
            # libsndfile stops at the fault and knows how far it got.
            count = max(0, int(self._file.tell()) - self._position)
            if self._opened.more:
                raise AudioFileError(
                    f"{self._name} is damaged at {self._seconds(self._position + count)}"
                    f" ({getattr(error, 'error_string', error)}); repair or re-encode it"
                ) from error
            return False, min(count, len(buffer))

    def _check_source(self, where: str) -> None:
        """A disk that fails looks like the end of the file, or like no audio, to libsndfile."""
        try:
            self._opened.check()
        except OSError as error:
            raise AudioFileError(f"cannot read {self._name}{where}: {error.strerror}") from error

    def _check_finite(self, block: Wave) -> None:
        finite = np.isfinite(block)
        if not finite.all():
            channel, index = np.argwhere(~finite)[np.argmin(np.argwhere(~finite)[:, 1])]
            raise AudioFileError(
                f"{self._name} holds {block[channel, index]} at"
                f" {(self._position + int(index)) / self.rate:.6f} s (channel {channel + 1});"
                " repair it first"
            )

    def _seconds(self, frames: int) -> str:
        return f"{frames / self.rate:.3f} s"

    def _warn(self) -> None:
        """Take over what opening, or reading to the end, found."""
        for what in self._opened.warnings:
            self._warnings.append(f"{self._name}: {what}")
            log.warning("%s", self._warnings[-1])
        self._opened.warnings.clear()

    def stop(self) -> None:
        """Have a thread that waits in :meth:`blocks` for a pipe stop with an AudioFileError."""
        self._opened.stop()

    def close(self) -> None:
        """Give the file back; may be called twice."""
        self._opened.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_audio(path: str | os.PathLike[str]) -> tuple[Wave, int]:
    """A whole file: ``((channels, samples) float32, rate in Hz)``, any number of channels.

    Raises:
        AudioFileError: see :class:`AudioReader`.
    """
    with AudioReader(path) as reader:
        blocks = list(reader.blocks())
        return np.concatenate(blocks, axis=1), reader.rate
