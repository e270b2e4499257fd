# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioReader: an audio file as a stream of blocks."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.audio.atomic import printable
from lars_plugin.audio.headers import header_facts
from lars_plugin.audio.virtual import ForwardFile, QuietFile
from lars_plugin.errors import AudioFileError, InputError

__all__ = ["EXTENSIONS", "AudioReader", "check_channels", "read_audio"]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]

# Names under which audio is looked for in folders. A file given by name may have any.
EXTENSIONS = (
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif",
    ".aiff", ".aifc", ".caf", ".au",
)  # fmt: skip

_BLOCK = 1 << 16

# A lossy file may miss its promise by the decoder's delay; that is no loss of audio.
_TOLERANCE = 4096


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
    """Reads WAV, RF64, FLAC, MP3, Ogg (Vorbis, Opus), AIFF and whatever else libsndfile knows.

    Args:
        path: any name the system allows, valid UTF-8 or not.

    Raises:
        AudioFileError: no such file, not audio, empty, or without a single frame.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._name = printable(path)
        self._warnings: list[str] = []
        self._position = 0
        try:
            if self._path.is_dir():
                raise AudioFileError(f"{self._name} is a folder, not an audio file")
            self._handle: BinaryIO = self._path.open("rb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise AudioFileError(f"cannot read {self._name}: {reason}") from error
        self._source = QuietFile(self._handle)
        try:
            self._file = self._open()
            self._check_length()
        except BaseException:
            self._handle.close()
            raise

    def _open(self) -> ForwardFile:
        if not self._handle.seekable():
            raise AudioFileError(f"{self._name} is a pipe or a device; give a regular file")
        self._size = os.fstat(self._handle.fileno()).st_size
        if self._size == 0:
            raise AudioFileError(f"{self._name} is empty (0 bytes)")
        try:
            return ForwardFile(self._source)
        except (soundfile.SoundFileError, TypeError):
            self._check_source("")
            # By its name libsndfile recognises more, such as MP3 files that begin with junk.
            name = str(self._path) if sys.platform == "win32" else os.fsencode(self._path)
            try:
                return ForwardFile(name)
            except (soundfile.SoundFileError, TypeError) as error:
                reason = getattr(error, "error_string", "").rstrip(".") or "format not recognised"
                raise AudioFileError(
                    f"cannot read {self._name}: no audio file, or a damaged one ({reason})"
                ) from error

    def _check_length(self) -> None:
        facts = header_facts(self._handle, self._size, self.frames)
        if self.frames <= 0:
            self._file.close()
            lost = f", though {facts.held} follow: it was not closed properly" if facts.held else ""
            raise AudioFileError(f"{self._name} holds no audio (its header says 0 frames{lost})")
        if facts.promised is not None and facts.promised > self.frames:
            self._warn_short(facts.promised, self.frames)
        elif facts.held is not None and facts.held > self.frames:
            self._warn(
                f"its header covers {self._seconds(self.frames)} of about"
                f" {self._seconds(facts.held)}; only that part is used; re-encode it to get all"
            )

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
        """Frames that can be expected; a damaged file may end earlier, never later."""
        return int(self._file.frames)

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
        missing = self.frames - self._position
        if not whole or missing > (0 if self._file.format in ("WAV", "FLAC") else _TOLERANCE):
            self._warn_short(self.frames, self._position)

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
            if self._handle.tell() < self._size:
                raise AudioFileError(
                    f"{self._name} is damaged at {self._seconds(self._position + count)}"
                    f" ({getattr(error, 'error_string', error)}); repair or re-encode it"
                ) from error
            return False, min(count, len(buffer))

    def _check_source(self, where: str) -> None:
        """A disk that fails looks like the end of the file, or like no audio, to libsndfile."""
        try:
            self._source.check()
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

    def _warn_short(self, promised: int, held: int) -> None:
        self._warn(
            f"its header promises {self._seconds(promised)} but it ends after"
            f" {self._seconds(held)}; what is there is used"
        )

    def _warn(self, what: str) -> None:
        self._warnings.append(f"{self._name}: {what}")
        log.warning("%s", self._warnings[-1])

    def close(self) -> None:
        """Give the file back; twice is fine."""
        self._file.close()
        self._handle.close()

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
