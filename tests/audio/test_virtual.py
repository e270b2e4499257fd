# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest

from lars_plugin.audio import AudioReader, opening, write_audio, writer
from lars_plugin.audio.virtual import QuietFile
from lars_plugin.errors import AudioFileError


class FailingHandle:
    """A file that raises once it was read or written so many times."""

    def __init__(self, handle: BinaryIO, error: BaseException, left: int) -> None:
        self._handle, self._error, self._left = handle, error, left
        self.seek, self.tell = handle.seek, handle.tell

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._error

    def read(self, size: int) -> bytes:
        self._count()
        return self._handle.read(size)

    def write(self, data: bytes) -> int:
        self._count()
        return self._handle.write(data)


@pytest.fixture
def flac(tmp_path: Path) -> Path:
    wave = np.random.default_rng(0).standard_normal((2, 100_000)).astype(np.float32) * 0.1
    write_audio(tmp_path / "a.flac", wave, 44100)
    return tmp_path / "a.flac"


@pytest.mark.parametrize(
    ("raised", "seen", "message"),
    [
        (OSError(errno.EIO, "Input/output error"), AudioFileError, r"cannot read .*: Input/output"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
        (MemoryError("too much"), MemoryError, "too much"),
    ],
)
@pytest.mark.parametrize("left", [0, 1, 5, 20])
def test_what_goes_wrong_while_reading_is_neither_lost_nor_taken_for_the_end(
    flac: Path,
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    seen: type[BaseException],
    message: str,
    left: int,
) -> None:
    def quiet(handle: BinaryIO) -> QuietFile:
        return QuietFile(cast("BinaryIO", FailingHandle(handle, raised, left)))

    def read() -> None:
        with AudioReader(flac) as opened:
            for _ in opened.blocks(1000):
                pass

    monkeypatch.setattr(opening, "QuietFile", quiet)
    with pytest.raises(seen, match=message):
        read()


@pytest.mark.parametrize("raised", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt("stop")])
def test_what_goes_wrong_while_writing_is_not_lost(tmp_path: Path, raised: BaseException) -> None:
    def write() -> None:
        with (tmp_path / "a").open("w+b") as handle:
            failing = cast("BinaryIO", FailingHandle(handle, raised, 5))
            encoder = writer._FlacEncoder(failing, 44100, 2, 24)
            for _ in range(50):
                encoder.write(np.random.default_rng(0).integers(0, 2**20, (4096, 2), np.int32))

    with pytest.raises(type(raised), match=r"full|stop"):
        write()


def test_a_closed_file_is_an_error_that_waits(flac: Path) -> None:
    handle = flac.open("r+b")
    quiet = QuietFile(handle)
    quiet.check()
    handle.close()
    assert (quiet.write(b"x"), quiet.seek(0), quiet.tell(), quiet.read(3)) == (0, -1, -1, b"")
    with pytest.raises(OSError, match="the file is closed"):
        quiet.check()
