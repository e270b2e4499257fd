# SPDX-License-Identifier: GPL-3.0-or-later
"""Which decoder reads a file, and what of the file it is given."""

from __future__ import annotations

import functools
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

import soundfile

from lars_plugin.audio.chain import Chain
from lars_plugin.audio.foreign import ForeignFile, can_decode, missing_decoder, open_foreign
from lars_plugin.audio.headers import header_lengths
from lars_plugin.audio.ogg import read_links
from lars_plugin.audio.pieces import ENDLESS, Pieces, PipeWav, Readable, Spool
from lars_plugin.audio.riff import (
    Extent,
    Layout,
    follows_audio,
    mended_header,
    read_layout,
    real_extent,
)
from lars_plugin.audio.sniff import foreign_kind, tag_length
from lars_plugin.audio.virtual import ForwardFile, QuietFile
from lars_plugin.errors import AudioFileError
from lars_plugin.files import printable

__all__ = ["STDIN", "Opened", "input_path"]

# Standard input, on systems that have no such file too.
STDIN = Path("/dev/stdin")

# A lossy file may miss its promise by the decoder's delay; no audio is lost.
_TOLERANCE = 4096

# What libsndfile says of files whose header it understands.
_UNKNOWN_CODING = ("unsupported", "unimplemented", "internal error")


def input_path(name: str | os.PathLike[str]) -> Path:
    """The path that a name on a command line means: ``-`` is standard input."""
    return STDIN if os.fspath(name) == "-" else Path(name)


class Opened:
    """An audio file, ready to be decoded from front to back.

    Args:
        path: a file, or a pipe.

    Attributes:
        file: the decoder.
        frames: that can be expected, 0 where that is not known.
        tolerance: how many fewer lose no audio; None: any.
        warnings: without the file's name.

    Raises:
        AudioFileError: it cannot be read, or is not audio.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._name = path, printable(path)
        self.warnings: list[str] = []
        self.frames = 0
        self.tolerance: int | None = _TOLERANCE
        self._quiet: list[QuietFile] = []
        self._pipe: tuple[PipeWav, Layout] | None = None
        try:
            self._raw = _open(path)
            self._mode = os.fstat(self._raw.fileno()).st_mode
        except (OSError, ValueError) as error:
            raise _unreadable(self._name, error) from error
        self._handle: BinaryIO | Spool = self._raw
        try:
            self.file = self._open()
            self._check_length()
        except BaseException as error:
            self._handle.close()
            if isinstance(error, OSError):
                raise _unreadable(self._name, error) from error
            raise

    def _open(self) -> ForwardFile | Chain | ForeignFile:
        if stat.S_ISCHR(self._mode) or stat.S_ISBLK(self._mode):
            raise AudioFileError(f"{self._name} is a terminal or a device; give a file or a pipe")
        if not self._raw.seekable():
            self._handle = Spool(self._raw)
            piped = self._open_piped_wav(self._handle)
            if piped is not None:
                return piped
        self._size = self._handle.seek(0, 2)
        if self._size == 0:
            raise AudioFileError(f"{self._name} is empty (0 bytes)")
        base = tag_length(self._handle)
        self._handle.seek(base)
        kind, ours = foreign_kind(self._handle.read(192))
        self._handle.seek(0)
        if not ours:
            return self._foreign(base, kind)
        try:
            return self._open_ours(base, kind)
        except (soundfile.SoundFileError, TypeError) as error:
            self.check()
            reason = str(getattr(error, "error_string", "")).rstrip(".") or "format not recognised"
        if kind and can_decode():
            try:
                return self._foreign(base, kind)
            except AudioFileError:
                pass  # libsndfile's reason is the better one
        elif kind and any(word in reason.lower() for word in _UNKNOWN_CODING):
            raise missing_decoder(self._name, f"this coding in {kind}")
        raise AudioFileError(
            f"cannot read {self._name}: no audio file, or a damaged one ({reason})"
        )

    def _foreign(self, base: int, kind: str) -> ForeignFile:
        handle = Pieces(self._handle, [(base, self._size - base)]) if base else self._handle
        return open_foreign(self._path, self._name, handle, kind)

    def _open_ours(self, base: int, kind: str) -> ForwardFile | Chain:
        layout = read_layout(self._handle, base) if kind == "WAV" else None
        if layout is not None:
            return self._open_wav(layout)
        if kind == "Ogg":
            links = read_links(self._handle, base, self._size)
            if links and links[-1].cut:
                self.warnings.append("its last part is cut off; what is there is used")
            # One sound alone, not in FLAC, libsndfile reads as it is.
            if len(links) > 1 or any(x.codec == "FLAC" or len(x.pieces) > 1 for x in links):
                chain = Chain([functools.partial(self._sound, link.pieces) for link in links])
                if chain.stopped:
                    self.warnings.append(
                        f"{chain.stopped}; only what is before is used; convert the rest apart"
                    )
                return chain
        if base:
            return self._sound([(base, self._size - base)])
        try:
            return self._listen(self._handle)
        except (soundfile.SoundFileError, TypeError):
            self.check()
            if self._handle is not self._raw:
                raise
            # By its name libsndfile recognises more, such as MP3 files that begin with junk.
            path = self._path
            return ForwardFile(str(path) if sys.platform == "win32" else os.fsencode(path))

    def _sound(self, pieces: list[bytes | tuple[int, int]]) -> ForwardFile:
        return self._listen(Pieces(self._handle, pieces))

    def _listen(self, handle: Readable) -> ForwardFile:
        # libsndfile takes the place where a file stands for its beginning.
        handle.seek(0)
        self._quiet.append(QuietFile(handle))
        return ForwardFile(self._quiet[-1])

    def _open_wav(self, layout: Layout) -> ForwardFile:
        extent = real_extent(self._handle, layout, self._size)
        header = mended_header(layout, extent.length)
        file = self._sound([header, (layout.start, extent.length)])
        self._tell_extent(extent, int(file.frames), file.samplerate)
        return file

    def _tell_extent(self, extent: Extent, frames: int, rate: int) -> None:
        def seconds(count: int) -> str:
            return f"{count * frames / max(extent.length, 1) / rate:.3f} s"

        if extent.promised is not None and frames:
            self.warn_short(seconds(extent.promised), seconds(extent.length))
        if extent.covered is not None:
            self.warnings.append(
                f"its header covers {seconds(extent.covered)} of {seconds(extent.length)};"
                " all of it is read"
            )
        if extent.missing:
            self.warnings.append(
                f"its header covers {seconds(extent.length)} of about"
                f" {seconds(extent.length + extent.missing)}; only that part is used; take the"
                " file apart if what follows is audio"
            )

    def _open_piped_wav(self, spool: Spool) -> ForwardFile | None:
        """A WAV file out of a pipe, read while it comes; None if it is another kind of file."""
        layout = read_layout(spool, 0)
        # With its bytes the other way round it would end at 4 GiB.
        if layout is None or layout.order != "<":
            return None
        length = 0 if layout.unknown else layout.length
        wav = PipeWav(
            mended_header(layout, ENDLESS), spool.forward(layout.start), layout.length,
            follows_audio,
        )  # fmt: skip
        try:
            file = self._listen(wav)
        except soundfile.SoundFileError as error:
            self.check()
            raise missing_decoder(self._name, "this coding in WAV") from error
        self._pipe = (wav, layout)
        self.tolerance = 0
        self.frames = length * int(file.frames) // ENDLESS
        return file

    def _check_length(self) -> None:
        file = self.file
        if self._pipe is not None:
            return
        if isinstance(file, ForeignFile):
            self.frames, self.tolerance = file.frames, file.tolerance
            return
        # libsndfile's way to say that a FLAC file does not tell.
        unknown = file.frames >= 1 << 62
        self.frames = 0 if unknown else int(file.frames)
        lengths = header_lengths(self._handle, self._size, self.frames)
        if self.frames <= 0 and not unknown:
            file.close()
            raise AudioFileError(f"{self._name} holds no audio (its header says 0 frames)")
        rate = file.samplerate
        if lengths.promised is not None and lengths.promised > self.frames:
            self.warn_short(f"{lengths.promised / rate:.3f} s", f"{self.frames / rate:.3f} s")
        elif lengths.held is not None and lengths.held > self.frames:
            self.warnings.append(
                f"its header covers {self.frames / rate:.3f} s of about"
                f" {lengths.held / rate:.3f} s; only that part is used; re-encode it to get all"
            )
        if file.format in ("WAV", "FLAC"):
            self.tolerance = 0

    def at_end(self, position: int) -> None:
        """Tell what is known only when all was read, ``position`` frames."""
        file = self.file
        if isinstance(file, ForeignFile):
            self.warnings += file.faults
        if self._pipe is not None:
            wav, layout = self._pipe
            if wav.beyond and not layout.unknown:
                self.warnings.append(
                    f"its header covers {self.frames / file.samplerate:.3f} s of"
                    f" {position / file.samplerate:.3f} s; all of it is read"
                )
            if wav.another:
                self.warnings.append(
                    f"another file of {wav.rest} bytes follows in the pipe; it is not used"
                )

    def warn_short(self, promised: str, held: str) -> None:
        """Tell that audio is missing."""
        self.warnings.append(
            f"its header promises {promised} but it ends after {held}; what is there is used"
        )

    @property
    def more(self) -> bool:
        """Whether the decoder stopped before the end of the file."""
        return self._pipe is None and self._handle.tell() < self._size

    def stop(self) -> None:
        """Have a read that waits for a pipe fail."""
        if isinstance(self._handle, Spool):
            self._handle.stop()

    def check(self) -> None:
        """Raise the error of a disk or pipe, which the decoder took for the end of the file.

        Raises:
            OSError: that.
        """
        for quiet in self._quiet:
            quiet.check()

    def close(self) -> None:
        """Give the file back; may be called twice."""
        self.file.close()
        self._handle.close()


def _unreadable(name: str, error: Exception) -> AudioFileError:
    reason = getattr(error, "strerror", None) or str(error)
    return AudioFileError(f"cannot read {name}: {reason}")


def _open(path: Path) -> BinaryIO:
    """Open a file, or standard input by its name, also where that is a socket."""
    try:
        return path.open("rb")
    except OSError:
        if path != STDIN:
            raise
        return os.fdopen(os.dup(0), "rb")
