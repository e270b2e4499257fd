# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that libsndfile does not read: AAC, ALAC, WMA, and the sound of video files.

PyAV decodes them where it is installed (``pip install lars-plugin[formats]``), else the command
ffmpeg; both have the same decoders. What is read is the first audio stream, from the place
where its edit list lets it begin to the one where it lets it end: the delay that an encoder adds
in front and behind is not part of the recording.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import AudioFileError

if TYPE_CHECKING:
    import av

__all__ = ["ForeignFile", "can_decode", "conversion", "missing_decoder", "open_foreign"]

Wave = NDArray[np.float32]

# Containers that may be opened. Playlists are not among them: they name other files.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,asf,aac,matroska,webm,avi,ogg,caf,wav,w64,aiff,au,ac3,eac3,ape,wv,"
    "tta,tak,mpc,mpc8,amr,flv,dsf,mpegts,mpeg,mp3,flac"
)

# What an encoder fills its last packet up with is less than this.
_PADDING = 8192


def conversion(path: str) -> str:
    """A command that turns this file into one that can be read."""
    target = os.path.splitext(path)[0] + ".wav"
    words = ["ffmpeg", "-i", path, "-map", "0:a:0", "-c:a", "pcm_f32le", target]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


class _Source(Protocol):
    """What decodes."""

    rate: int
    channels: int
    # Frames that there should be, 0 where unknown, and how many fewer lose nothing; None: any.
    frames: int
    tolerance: int | None
    # Whether what is beyond them is padding.
    exact: bool
    # What was wrong, one line each.
    faults: list[str]

    def blocks(self) -> Iterator[Wave]:
        """``(n, channels)``."""

    def close(self) -> None: ...


class ForeignFile:
    """Like a :class:`~lars_plugin.audio.virtual.ForwardFile`, of what else can be decoded."""

    def __init__(self, source: _Source, kind: str) -> None:
        self._source = source
        self.format = kind
        self.samplerate, self.channels = source.rate, source.channels
        self.frames = source.frames
        self.tolerance = source.tolerance
        self._blocks = _trimmed(source.blocks(), source.frames) if source.exact else source.blocks()
        self._rest = np.empty((0, self.channels), np.float32)
        self._position = 0

    @property
    def faults(self) -> list[str]:
        """What was wrong so far, one line each."""
        return self._source.faults

    def read(self, out: Wave) -> Wave:
        """Fill ``(frames, channels)``; what was filled, less at the end."""
        filled = 0
        while filled < len(out):
            if not len(self._rest):
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = block
            count = min(len(out) - filled, len(self._rest))
            out[filled : filled + count] = self._rest[:count]
            self._rest = self._rest[count:]
            filled += count
        self._position += filled
        return out[:filled]

    def tell(self) -> int:
        """Frames read."""
        return self._position

    def close(self) -> None:
        """Stop decoding."""
        self._source.close()


def _trimmed(blocks: Iterator[Wave], frames: int) -> Iterator[Wave]:
    """Without padding behind so many frames; what is too much for padding stays."""
    beyond: list[Wave] = []
    done = extra = 0
    for block in blocks:
        inside = min(len(block), max(0, frames - done))
        done += len(block)
        if inside:
            yield block[:inside]
        if inside < len(block):
            beyond.append(block[inside:])
            extra += len(block) - inside
        if extra > _PADDING:
            yield from beyond
            beyond.clear()


def can_decode() -> bool:
    """Whether PyAV or ffmpeg is installed."""
    return importlib.util.find_spec("av") is not None or shutil.which("ffmpeg") is not None


def open_foreign(path: Path, name: str, handle: Any, kind: str) -> ForeignFile:
    """Open a file by whatever is installed.

    Args:
        path: of the file.
        name: the same, for messages.
        handle: the file, or a spool of a pipe.
        kind: for messages.

    Raises:
        AudioFileError: nothing is installed, the file has no sound, or is damaged.
    """
    try:
        import av
    except ImportError:
        pass
    else:
        handle.seek(0)
        return ForeignFile(_PyAV(av, handle, name, kind), kind)
    if shutil.which("ffmpeg"):
        return ForeignFile(_Command(path, handle, name, kind), kind)
    raise missing_decoder(name, kind)


def missing_decoder(name: str, kind: str) -> AudioFileError:
    """The error that says what to do."""
    return AudioFileError(
        f"cannot read {name}: {kind} needs PyAV or ffmpeg: pip install 'lars-plugin[formats]',"
        f" or convert it: {conversion(name)}"
    )


def _damaged(name: str, kind: str, reason: str) -> AudioFileError:
    return AudioFileError(
        f"cannot read {name}: a {kind} file that is damaged or incomplete ({reason})"
    )


def _no_sound(name: str, kind: str) -> AudioFileError:
    return AudioFileError(f"{name} holds no audio ({kind} without an audio stream)")


def _trust(container: str, rate: int) -> tuple[bool, int | None]:
    """Whether padding lies beyond the length in the header, and how much shorter loses nothing."""
    name = container.split(",")[0]
    if name == "mov":
        return True, _PADDING
    # In milliseconds, or of the pictures; elsewhere it is an estimate by the bit rate.
    return False, rate if name in ("matroska", "asf", "avi", "caf") else None


class _PyAV:
    """Decodes by PyAV, which has ffmpeg's libraries inside."""

    def __init__(self, av: Any, handle: BinaryIO, name: str, kind: str) -> None:
        self._name = name
        self._errors = av.FFmpegError
        self.faults: list[str] = []
        try:
            self._container: av.container.InputContainer = av.open(
                handle, "r", options={"format_whitelist": _CONTAINERS}, metadata_errors="replace"
            )
        except (av.FFmpegError, ValueError) as error:
            raise _damaged(name, kind, _reason(error)) from error
        try:
            stream = next(iter(self._container.streams.audio), None)
            if stream is None:
                raise _no_sound(name, kind)
            self._stream = stream
            self._resampler: Any = None
            self.rate, self.channels = int(stream.rate or 0), int(stream.channels or 0)
            if not self.rate or not self.channels:
                raise _damaged(name, kind, "no rate or channels")
        except BaseException:
            self._container.close()
            raise
        self.exact, self.tolerance = _trust(self._container.format.name, self.rate)
        self.exact &= stream.duration is not None
        self.frames = 0
        if stream.duration is not None and stream.time_base is not None:
            self.frames = round(stream.duration * stream.time_base * self.rate)
        elif self._container.duration is not None:
            self.frames = round(Fraction(self._container.duration, 1_000_000) * self.rate)

    def blocks(self) -> Iterator[Wave]:
        done = 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except self._errors as error:
                    frames = []
                    lost = round((packet.duration or 0) * (packet.time_base or 0) * self.rate)
                    self._lost(done, lost, error)
                    done += lost
                    # The time that it would have taken, so that what follows stays in place.
                    yield np.zeros((lost, self.channels), np.float32)
                for frame in frames:
                    wave = _samples(frame)
                    if (frame.sample_rate, wave.shape[1]) != (self.rate, self.channels):
                        self.faults.append(
                            f"it goes on with {frame.sample_rate} Hz and {wave.shape[1]}"
                            f" channel(s) at {done / self.rate:.3f} s; only what is before is used"
                        )
                        return
                    done += len(wave)
                    yield wave
        except self._errors as error:
            self.faults.append(f"it is damaged at {done / self.rate:.3f} s ({_reason(error)})")

    def _lost(self, done: int, lost: int, error: Exception) -> None:
        where, size = done / self.rate, lost / self.rate
        if len(self.faults) < 3:
            self.faults.append(
                f"{size:.3f} s at {where:.3f} s cannot be decoded and are silent ({_reason(error)})"
            )

    def close(self) -> None:
        self._container.close()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _samples(frame: av.AudioFrame) -> Wave:
    """``(n, channels)`` float32 with full scale at 1, whatever the decoder gave."""
    wave: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        wave = wave.reshape(-1, len(frame.layout.channels)).T
    if wave.dtype == np.uint8:
        wave = (wave.astype(np.float32) - 128) / 128
    elif wave.dtype.kind == "i":
        # In double: 32 bits hold more than float32 can before it is scaled.
        wave = wave * (1 / float(1 << (8 * wave.dtype.itemsize - 1)))
    return np.asarray(wave.T, np.float32)


class _Command:
    """Decodes by the command ffmpeg, which writes float samples into a pipe."""

    def __init__(self, path: Path, handle: Any, name: str, kind: str) -> None:
        self._name = name
        self.faults: list[str] = []
        # A name could be an option, or a protocol; a pipe has none that lasts.
        self._pass: tuple[int, ...] = ()
        source = "file:" + os.path.abspath(path)
        if os.name != "nt" and not path.is_file():
            self._pass = (handle.fileno(),)
            source = f"/dev/fd/{self._pass[0]}"
        self._source = ["-protocol_whitelist", "file,pipe", "-format_whitelist", _CONTAINERS]
        self._source += ["-i", source]
        about = self._probe(name, kind)
        self.rate, self.channels = int(about["sample_rate"]), int(about["channels"])
        base, duration = Fraction(about["time_base"]), about.get("duration_ts")
        self.frames = round(int(duration) * base * self.rate) if duration else 0
        self.exact, self.tolerance = _trust(about["container"], self.rate)
        self.exact &= bool(duration)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 # see close
        self._process = subprocess.Popen(
            [
                "ffmpeg", "-nostdin", "-v", "error", *self._source, "-map", "0:a:0",
                "-f", "f32le", "-c:a", "pcm_f32le", "-ac", str(self.channels),
                "-ar", str(self.rate), "pipe:1",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            pass_fds=self._pass,
        )  # fmt: skip

    def _probe(self, name: str, kind: str) -> dict[str, Any]:
        command = ["ffprobe", "-v", "error", "-of", "json", "-select_streams", "a:0"]
        command += ["-show_streams", "-show_format", *self._source]
        try:
            answer = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, pass_fds=self._pass
            )
        except OSError as error:
            raise AudioFileError(f"cannot read {name}: ffprobe: {error.strerror}") from error
        if answer.returncode:
            lines = answer.stderr.decode("utf-8", "replace").strip().splitlines() or ["unknown"]
            raise _damaged(name, kind, lines[-1].rpartition(": ")[2])
        about = json.loads(answer.stdout)
        if not about.get("streams"):
            raise _no_sound(name, kind)
        return {**about["streams"][0], "container": about["format"]["format_name"]}

    def blocks(self) -> Iterator[Wave]:
        assert self._process.stdout is not None
        width = 4 * self.channels
        while data := self._process.stdout.read(width << 14):
            whole = len(data) // width * width
            yield np.frombuffer(data[:whole], "<f4").reshape(-1, self.channels)
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        if code or lines:
            cause = lines[-1].strip() if lines else f"exit code {code}"
            self.faults.append(f"ffmpeg could not decode all of it ({cause})")

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
