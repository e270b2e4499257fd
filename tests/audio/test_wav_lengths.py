# SPDX-License-Identifier: GPL-3.0-or-later
"""WAV files whose header is wrong about their length: pipes, crashes, more than 32 bits."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin.audio import AudioReader, read_audio
from lars_plugin.audio.virtual import ForwardFile
from lars_plugin.errors import AudioFileError

RATE = 44100
FRAMES = 30000
GIB = 1 << 30

needs = {
    tool: pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    for tool in ("sox", "ffmpeg")
}


def noise(channels: int = 2, frames: int = FRAMES) -> np.ndarray:
    rng = np.random.default_rng(7)
    return (rng.standard_normal((channels, frames)) * 0.1).astype(np.float32)


def fmt(bits: int = 16, channels: int = 2, tag: int = 1) -> bytes:
    align = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, RATE, RATE * align, align, bits)
    return struct.pack("<4sI", b"fmt ", 16) + form


def wav(
    path: Path,
    data: bytes,
    size: int,
    *,
    riff: int | None = None,
    tail: bytes = b"",
    kind: bytes = b"RIFF",
    ds64: bytes = b"",
) -> Path:
    """A WAV file of this data whose header says ``size``, and ``riff`` for all."""
    body = b"WAVE" + ds64 + fmt() + struct.pack("<4sI", b"data", size)
    whole = len(body) + len(data) + len(tail)
    start = struct.pack("<4sI", kind, whole & 0xFFFFFFFF if riff is None else riff)
    path.write_bytes(start + body + data + tail)
    return path


def sizes(riff: int, data: int) -> bytes:
    return struct.pack("<4sIQQQI", b"ds64", 28, riff, data, 0, 0)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", name, len(data)) + data + b"\0" * (len(data) % 2)


PCM = (noise() * 32767).astype("<i2").T.tobytes()
WAVE = np.frombuffer(PCM, "<i2").reshape(-1, 2).T / np.float32(32768)


def check(path: Path, warnings: tuple[str, ...] = ()) -> None:
    """The whole of :data:`PCM`, and warnings with these words."""
    with AudioReader(path) as reader:
        back = np.concatenate(list(reader.blocks(1000)), axis=1)
        assert reader.frames == back.shape[1]
    np.testing.assert_array_equal(back, WAVE)
    assert len(reader.warnings) == len(warnings), reader.warnings
    for warning, words in zip(reader.warnings, warnings, strict=True):
        assert words in warning


@pytest.mark.parametrize(
    "size",
    [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0xFFFFFFFC, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000,
     0x7FFFEFFC, 0x80000000],
)  # fmt: skip
def test_a_size_that_is_not_known_means_all_to_the_end_of_the_file(
    tmp_path: Path, size: int
) -> None:
    check(wav(tmp_path / "a.wav", PCM, size, riff=size))


@pytest.mark.parametrize("kind", [b"RF64", b"BW64"])
@pytest.mark.parametrize("size", [0, (1 << 63) - 1, (1 << 64) - 1, 0xFFFFFFFF, len(PCM)])
def test_64_bit_headers_with_and_without_a_length_are_read_to_the_end(
    tmp_path: Path, kind: bytes, size: int
) -> None:
    check(wav(tmp_path / "a.wav", PCM, 0xFFFFFFFF, riff=0xFFFFFFFF, kind=kind, ds64=sizes(0, size)))


@pytest.mark.parametrize("name", [b"LIST", b"bext", b"id3 ", b"iXML", b"cue "])
@pytest.mark.parametrize("size", [len(PCM), 0, 0xFFFFFFFF, 0x7FFFF000])
def test_chunks_behind_the_audio_are_not_read_as_audio(
    tmp_path: Path, name: bytes, size: int
) -> None:
    check(wav(tmp_path / "a.wav", PCM, size, tail=chunk(name, b"x" * 9001) + chunk(b"JUNK", b"")))


def test_a_chunk_behind_the_audio_may_be_cut_off_or_lack_its_padding(tmp_path: Path) -> None:
    check(
        wav(
            tmp_path / "a.wav", PCM, len(PCM), tail=struct.pack("<4sI", b"LIST", 99999) + PCM[:9000]
        )
    )
    tail = chunk(b"LIST", b"x" * 5001)[:-1] + chunk(b"bext", b"y" * 6000)
    check(wav(tmp_path / "b.wav", PCM, len(PCM), tail=tail))


@pytest.mark.parametrize("tag", [b"ID3\x03", b"APETAGEX", b"TAG"])
def test_tags_behind_the_audio_are_not_read_as_audio(tmp_path: Path, tag: bytes) -> None:
    check(wav(tmp_path / "a.wav", PCM, len(PCM), tail=tag + bytes(9000)))


@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF, None])
def test_a_size_that_is_too_small_is_read_beyond_with_a_warning(
    tmp_path: Path, riff: int | None
) -> None:
    path = wav(tmp_path / "a.wav", PCM, 4000, riff=riff)
    check(path, (f"covers {1000 / RATE:.3f} s of {FRAMES / RATE:.3f} s; all of it is read",))


def test_audio_behind_a_file_that_was_finished_is_missed_with_a_warning(tmp_path: Path) -> None:
    first = wav(tmp_path / "a.wav", PCM, len(PCM)).read_bytes()
    other = tmp_path / "b.wav"
    other.write_bytes(first + first)  # cat a.wav a.wav
    check(other, (f"covers {FRAMES / RATE:.3f} s of about {2 * FRAMES / RATE:.3f} s; only that",))
    path = wav(tmp_path / "c.wav", PCM[:4000] + PCM, 4000, riff=36 + 4000)
    with AudioReader(path) as reader:
        assert reader.frames == 1000
    assert f"covers {1000 / RATE:.3f} s of about" in reader.warnings[0]


@pytest.mark.parametrize("tag", [30, 1000, 1001])
@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC", "OGG"])
def test_audio_behind_an_id3_tag_is_whole(tmp_path: Path, kind: str, tag: int) -> None:
    soundfile.write(tmp_path / "a", noise().T, RATE, format=kind)
    plain, rate = read_audio(tmp_path / "a")
    head = b"ID3\x03\0\0" + struct.pack("4B", 0, 0, tag >> 7, tag & 127) + b"\x01" * tag
    (tmp_path / "b").write_bytes(head + (tmp_path / "a").read_bytes())
    with AudioReader(tmp_path / "b") as reader:
        back = np.concatenate(list(reader.blocks()), axis=1)
    np.testing.assert_array_equal(back, plain)
    assert (reader.warnings, reader.rate) == ((), rate)


def test_a_file_of_0_frames_with_chunks_behind_them_holds_no_audio(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", b"", 0, tail=chunk(b"LIST", b"x" * 9000))
    with pytest.raises(AudioFileError, match="0 frames"):
        AudioReader(path)


def big(path: Path, header: bytes, count: int, tail: bytes = b"") -> Path:
    """A sparse file of ``count`` bytes of silence behind a header; takes no room."""
    with path.open("wb") as handle:
        handle.write(header)
        handle.truncate(len(header) + count)
        handle.seek(0, 2)
        handle.write(tail)
    return path


def header(size: int, riff: int, bits: int = 16) -> bytes:
    body = b"WAVE" + fmt(bits) + struct.pack("<4sI", b"data", size & 0xFFFFFFFF)
    return struct.pack("<4sI", b"RIFF", riff & 0xFFFFFFFF) + body


@pytest.mark.parametrize("gib", [1.0, 2.5, 4.5, 9.0])
@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFEFFC, "wrapped"])
@pytest.mark.parametrize("tail", [b"", chunk(b"LIST", bytes(99))])
def test_files_beyond_2_and_4_gib_are_as_long_as_they_are(
    tmp_path: Path, gib: float, bits: int, size: int | str, tail: bytes
) -> None:
    frames = int(gib * GIB) // (bits // 4)
    count = frames * bits // 4
    said = count if isinstance(size, str) else size
    path = big(tmp_path / "a.wav", header(said, said + 36, bits), count, tail)
    with AudioReader(path) as reader:
        assert reader.frames == frames
        assert reader.warnings == ()


@pytest.mark.parametrize("tool", [pytest.param(tool, marks=needs[tool]) for tool in needs])
@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("gib", [0.001, 2.5, 4.5])
def test_headers_that_sox_and_ffmpeg_write_into_a_pipe_hide_nothing(
    tmp_path: Path, tool: str, bits: int, gib: float
) -> None:
    source = wav(tmp_path / "s.wav", PCM, len(PCM))
    raw = ["-t", "raw", "-r", "44100", "-c", "2", "-e", "signed", "-b", "16", "-"]
    command = {
        "sox": ["sox", *raw, "-b", str(bits), "-t", "wav", "-"],
        "ffmpeg": ["ffmpeg", "-v", "error", "-i", str(source), "-c:a", f"pcm_s{bits}le", "-f",
                   "wav", "pipe:1"],
    }[tool]  # fmt: skip
    made = subprocess.run(command, input=PCM, capture_output=True, check=True).stdout
    start = made.index(b"data") + 8
    frames = int(gib * GIB) // (bits // 4)
    path = big(tmp_path / "a.wav", made[:start], frames * bits // 4)
    with AudioReader(path) as reader:
        assert reader.frames == frames
        assert reader.warnings == ()
    (tmp_path / "b.wav").write_bytes(made)
    check(tmp_path / "b.wav")


def test_a_wrapped_file_gives_its_last_samples(tmp_path: Path) -> None:
    count = 4 * GIB + 400000
    path = big(tmp_path / "a.wav", header(count, count + 36), count - len(PCM), PCM)
    with AudioReader(path) as reader:
        assert isinstance(reader._file, ForwardFile)
        reader._file.seek(reader.frames - FRAMES)  # 4 GiB of silence take too long
        back = next(reader.blocks(FRAMES))
    np.testing.assert_array_equal(back, WAVE)


@settings(deadline=None, max_examples=60)
@given(
    frames=st.integers(1, 3000),
    size=st.sampled_from(["true", 0, 0xFFFFFFFF, 0x7FFFF000]),
    tails=st.lists(st.tuples(st.sampled_from([b"LIST", b"bext", b"cue "]), st.integers(0, 9000))),
    tag=st.integers(0, 300),
    channels=st.integers(1, 3),
)
def test_any_length_tag_and_chunks_give_the_same_audio(
    tmp_path_factory: pytest.TempPathFactory,
    frames: int,
    size: int | str,
    tails: list[tuple[bytes, int]],
    tag: int,
    channels: int,
) -> None:
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    wave = noise(channels, frames)
    data = (wave * 8388607).astype("<i4").T.tobytes()
    narrow = np.frombuffer(data, np.uint8).reshape(-1, 4)[:, :3].tobytes()
    said = len(narrow) if isinstance(size, str) else size
    body = b"WAVE" + fmt(24, channels) + struct.pack("<4sI", b"data", said) + narrow
    body += b"\0" * (len(narrow) % 2) + b"".join(chunk(name, b"t" * n) for name, n in tails)
    head = b"ID3\x03\0\0" + struct.pack("4B", 0, 0, tag >> 7, tag & 127) + b"t" * tag
    path.write_bytes((head if tag else b"") + struct.pack("<4sI", b"RIFF", len(body)) + body)
    with AudioReader(path) as reader:
        back = np.concatenate(list(reader.blocks(1000)), axis=1)
    assert back.shape == wave.shape
    assert np.abs(back - wave).max() < 2**-22
    assert reader.warnings == ()
