# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading from pipes."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import AudioReader, read_audio, write_audio
from lars_plugin.audio.pieces import Pieces, Spool
from lars_plugin.errors import AudioFileError

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")

RATE, FRAMES = 44100, 30000


def noise(channels: int = 2, frames: int = FRAMES) -> np.ndarray:
    rng = np.random.default_rng(7)
    return (rng.standard_normal((channels, frames)) * 0.1).astype(np.float32)


@contextmanager
def fifo(path: Path, data: bytes | Callable[[int], None]) -> Iterator[Path]:
    """A pipe into which a thread writes; a broken pipe fails."""
    os.mkfifo(path)
    errors: list[OSError] = []

    def feed() -> None:
        number = os.open(path, os.O_WRONLY)
        try:
            if callable(data):
                data(number)
            else:
                with open(number, "wb", closefd=False) as handle:
                    handle.write(data)
        except OSError as error:
            errors.append(error)
        finally:
            os.close(number)

    thread = threading.Thread(target=feed)
    thread.start()
    yield path
    thread.join(20)
    assert not thread.is_alive()
    assert errors == []


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("RF64", "PCM_24"),
     ("WAVEX", "PCM_24"), ("FLAC", "PCM_24"), ("AIFF", "PCM_16"), ("OGG", "VORBIS"),
     ("OGG", "OPUS"), ("MP3", None), ("W64", "FLOAT"), ("AU", "PCM_16"), ("CAF", "PCM_24")],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 2])
def test_a_pipe_gives_what_the_file_gives(
    tmp_path: Path, kind: str, subtype: str | None, channels: int
) -> None:
    rate = 48000 if subtype == "OPUS" else RATE
    soundfile.write(tmp_path / "a", noise(channels).T, rate, subtype, format=kind)
    wanted, _ = read_audio(tmp_path / "a")
    with (
        fifo(tmp_path / "pipe", (tmp_path / "a").read_bytes()) as path,
        AudioReader(path) as reader,
    ):
        back = np.concatenate(list(reader.blocks(1000)), axis=1)
        assert reader.rate == rate
    np.testing.assert_array_equal(back, wanted)
    assert reader.warnings == ()


def with_size(data: bytes, size: int) -> bytes:
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def chunk(name: bytes, count: int) -> bytes:
    return struct.pack("<4sI", name, count) + b"x" * count


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFEFFC, 4000])
def test_a_wav_header_without_the_right_length_is_read_to_the_end(
    tmp_path: Path, size: int
) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, RATE, subtype="PCM_16")
    wanted, _ = read_audio(tmp_path / "a.wav")
    data = with_size((tmp_path / "a.wav").read_bytes(), size)
    with fifo(tmp_path / "pipe", data) as path, AudioReader(path) as reader:
        back = np.concatenate(list(reader.blocks()), axis=1)
    np.testing.assert_array_equal(back, wanted)
    assert bool(reader.warnings) == (size == 4000)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("tail", [b"LIST", b"bext", b"RIFF"])
def test_what_follows_the_audio_is_not_read_as_audio_and_the_writer_is_not_cut_off(
    tmp_path: Path, channels: int, tail: bytes
) -> None:
    frames = FRAMES + 1  # an odd number of bytes for one and three channels
    soundfile.write(tmp_path / "a.wav", noise(channels, frames).T, RATE, subtype="PCM_24")
    data = (tmp_path / "a.wav").read_bytes()
    more = data if tail == b"RIFF" else chunk(tail, 300_000)
    with fifo(tmp_path / "pipe", data + more) as path, AudioReader(path) as reader:
        assert sum(block.shape[1] for block in reader.blocks()) == frames
    assert ["another file" in warning for warning in reader.warnings] == [True] * (tail == b"RIFF")


def test_a_pipe_that_ends_early_warns(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, RATE, subtype="PCM_16")
    data = (tmp_path / "a.wav").read_bytes()
    with fifo(tmp_path / "pipe", data[: 44 + 40_001]) as path, AudioReader(path) as reader:
        assert reader.frames == FRAMES
        assert sum(block.shape[1] for block in reader.blocks()) == 10_000
    assert f"promises {FRAMES / RATE:.3f} s but it ends after {10_000 / RATE:.3f}" in str(
        reader.warnings
    )


def test_wav_is_read_while_it_comes_and_memory_does_not_grow(tmp_path: Path) -> None:
    head = with_size(_header(), 0xFFFFFFFF)
    block, count = bytes(1 << 16), 500  # 31 MiB
    asked = threading.Event()

    def feed(number: int) -> None:
        os.write(number, head + block)
        assert asked.wait(20)  # the first block was read before there was a second
        for _ in range(count - 1):
            view = memoryview(block)
            while view:
                view = view[os.write(number, view) :]

    tracemalloc.start()
    try:
        with fifo(tmp_path / "pipe", feed) as path, AudioReader(path) as reader:
            blocks = reader.blocks(1000)
            assert next(blocks).shape == (2, 1000)
            asked.set()
            total = 1000 + sum(block.shape[1] for block in blocks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == count * len(block) // 4
    assert peak < 4e6


def _header() -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, RATE, RATE * 4, 4, 16)
    return b"RIFF\xff\xff\xff\xffWAVE" + form + b"data\xff\xff\xff\xff"


def test_an_empty_pipe_and_one_with_a_header_only_hold_no_audio(tmp_path: Path) -> None:
    with fifo(tmp_path / "a", b"") as path, pytest.raises(AudioFileError, match="is empty"):
        AudioReader(path)
    with (
        fifo(tmp_path / "b", _header()) as path,
        AudioReader(path) as reader,
        pytest.raises(AudioFileError, match="no audio that can be decoded"),
    ):
        list(reader.blocks())
    with (
        fifo(tmp_path / "c", b"no audio at all " * 9999) as path,
        pytest.raises(AudioFileError, match="no audio file, or a damaged one"),
    ):
        AudioReader(path)


def test_a_read_that_waits_for_a_pipe_can_be_stopped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    writer = os.open(tmp_path / "a", os.O_RDWR)
    os.write(writer, _header() + bytes(4000))
    with AudioReader(tmp_path / "a") as reader:
        threading.Timer(0.3, reader.stop).start()
        with pytest.raises(AudioFileError, match="cannot read"):
            list(reader.blocks())
    os.close(writer)


def test_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="terminal or a device"):
        AudioReader("/dev/zero")


def test_standard_input_may_be_a_socket(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(), RATE)
    ours, theirs = socket.socketpair()
    code = "from lars_plugin.audio import STDIN, read_audio; print(read_audio(STDIN)[0].shape)"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs.fileno(), stdout=subprocess.PIPE, text=True
    )
    theirs.close()
    ours.sendall((tmp_path / "a.wav").read_bytes())
    ours.close()
    assert child.communicate(timeout=60)[0].strip() == f"(2, {FRAMES})"


def test_pieces_are_one_file(tmp_path: Path) -> None:
    data = bytes(range(200))
    (tmp_path / "a").write_bytes(data)
    pieces: list[bytes | tuple[int, int]] = [b"head", (10, 5), b"", (100, 50), (0, 3)]
    wanted = b"head" + data[10:15] + data[100:150] + data[:3]
    with (tmp_path / "a").open("rb") as handle:
        joined = Pieces(handle, pieces)
        assert joined.seek(0, 2) == len(wanted)
        for start in range(len(wanted) + 2):
            for count in (0, 1, 7, 100):
                joined.seek(start)
                assert joined.read(count) == wanted[start : start + count]


def test_a_spool_can_be_read_in_any_order() -> None:
    data = np.random.default_rng(0).integers(0, 256, 3 << 20, np.uint8).tobytes()
    ours, theirs = os.pipe()

    def feed() -> None:
        with open(theirs, "wb") as handle:
            handle.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    spool = Spool(open(ours, "rb"))  # noqa: SIM115 # closed below
    assert spool.read(10) == data[:10]
    assert spool.seek(1 << 20) == 1 << 20
    assert spool.read(10) == data[1 << 20 : (1 << 20) + 10]
    assert spool.seek(0, 2) == len(data)
    spool.seek(5)
    assert spool.read(4 << 20) == data[5:]
    thread.join()
    spool.close()
