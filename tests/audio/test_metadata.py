# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording carries beside its audio gets into its stems."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin.audio import AudioWriter, Metadata, read_audio, read_metadata, write_audio
from lars_plugin.audio.metadata import flac_blocks
from lars_plugin.separation.files import separate_file
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import IdentityModel

RATE = 44100
START = 3600 * RATE + 1234


def bext(version: int = 1, history: bytes = b"A=PCM,F=48000,W=24,M=stereo\r\n") -> bytes:
    data = bytearray(602)
    data[:9] = b"Drum take"
    data[256:261] = b"Micro"
    data[320:338] = b"2024-05-0612:34:56"
    data[338:346] = START.to_bytes(8, "little")
    data[346:348] = version.to_bytes(2, "little")
    data[348:352] = b"UMID"
    data[412:422] = struct.pack("<5h", -2300, 800, -100, -1800, -2000)
    return bytes(data) + history


def cue(positions: list[int]) -> bytes:
    points = [
        struct.pack("<II4sIII", number, position, b"data", 0, 0, position)
        for number, position in enumerate(positions, 1)
    ]
    return struct.pack("<I", len(points)) + b"".join(points)


LABELS = b"adtl" + b"labl" + struct.pack("<II", 9, 1) + b"Fill\0" + b"\0"
ACID = struct.pack("<IHHfIHHf", 2, 57, 0x8000, 0.0, 16, 4, 4, 127.3)
SMPL = struct.pack("<9I", 0, 0, 20833, 60, 0, 0, 0, 1, 0) + struct.pack("<6I", 0, 0, 10, 900, 0, 0)
INFO = (
    b"INFO"
    + b"INAM"
    + struct.pack("<I", 6)
    + b"Groove"
    + b"IART"
    + struct.pack("<I", 3)
    + b"Me\0\0"
)
IXML = b'<?xml version="1.0"?><BWFXML><TAKE>7</TAKE></BWFXML>'
ID3_BODY = (
    b"TKEY" + struct.pack(">IH", 3, 0) + b"\0Am" + b"TBPM" + struct.pack(">IH", 4, 0) + b"\x00128"
)
ID3 = b"ID3\x03\0\0" + bytes([0, 0, 0, len(ID3_BODY)]) + ID3_BODY
CHUNKS = [
    (b"bext", bext()), (b"cue ", cue([1000, 500])), (b"LIST", LABELS), (b"acid", ACID),
    (b"smpl", SMPL), (b"LIST", INFO), (b"iXML", IXML), (b"id3 ", ID3),
]  # fmt: skip


def with_chunks(
    path: Path, before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]]
) -> Path:
    """A WAV file with chunks before and behind its audio."""
    wave = np.random.default_rng(0).integers(-3000, 3000, (4801, 2)).astype("<i2")

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack("<4sI", name, len(data)) + data + b"\0" * (len(data) % 2)

    body = b"WAVE" + chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, RATE, RATE * 4, 4, 16))
    body += b"".join(chunk(*c) for c in before) + chunk(b"data", wave.tobytes())
    body += b"".join(chunk(*c) for c in after)
    path.write_bytes(chunk(b"RIFF", body))
    return path


def stem_of(path: Path, suffix: str, **options: object) -> Path:
    separator = Separator(IdentityModel(stems=["kick"]))
    out = path.with_name(f"stem.{suffix}")
    separate_file(separator, path, lambda _: out, **options)  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize("bits", ["16", "24", "32f"])
@pytest.mark.parametrize("order", [(CHUNKS, []), ([], CHUNKS)])
def test_chunks_of_a_wav_file_are_in_its_stems_as_they_were(
    tmp_path: Path, bits: str, order: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]
) -> None:
    path = with_chunks(tmp_path / "a.wav", *order)
    stem = stem_of(path, "wav", bits=bits)
    found = read_metadata(stem)
    assert [name for name, _ in found.chunks] == [name for name, _ in CHUNKS]
    for (_, data), (name, expected) in zip(found.chunks, CHUNKS, strict=True):
        if name == b"bext":  # but for the identity of another recording
            assert data[:348] + data[412:] == expected[:348] + expected[412:]
            assert data[348:412] == bytes(64)
        else:
            assert data == expected
    np.testing.assert_allclose(read_audio(stem)[0], read_audio(path)[0], atol=2**-15)
    assert soundfile.info(stem).frames == 4801


def test_the_loudness_of_the_mixture_is_not_said_of_a_stem(tmp_path: Path) -> None:
    path = with_chunks(tmp_path / "a.wav", [(b"bext", bext(2))], [])
    ((_, data),) = read_metadata(stem_of(path, "wav")).chunks
    assert data[412:422] == struct.pack("<5H", *[0x7FFF] * 5)
    assert data[338:346] == START.to_bytes(8, "little")


def test_chunks_of_a_wav_file_become_comments_of_flac_stems_and_come_back(tmp_path: Path) -> None:
    path = with_chunks(tmp_path / "a.wav", CHUNKS, [])
    stem = stem_of(path, "flac")
    tags = dict(read_metadata(stem).tags)
    assert tags["TIME_REFERENCE"] == str(START)
    assert tags["ORIGINATION_DATE"] == "2024-05-06"
    assert tags["BPM"] == "127.3"
    assert tags["INITIALKEY"] == "A"
    assert tags["TITLE"] == "Groove"
    assert tags["ARTIST"] == "Me"
    assert (tags["CHAPTER001"], tags["CHAPTER002"]) == ("00:00:00.011", "00:00:00.023")
    assert tags["CHAPTER002NAME"] == "Fill"
    # Chunks are kept as they were, and the audio is whole.
    assert read_metadata(stem).chunks == read_metadata(path).chunks
    np.testing.assert_allclose(read_audio(stem)[0], read_audio(path)[0], atol=2**-23)
    stem.rename(tmp_path / "again.flac")
    assert (
        read_metadata(stem_of(tmp_path / "again.flac", "wav")).chunks == read_metadata(path).chunks
    )


def test_comments_of_a_flac_file_are_in_its_stems(tmp_path: Path) -> None:
    tags = (
        ("TITLE", "Grüße 鼓"), ("BPM", "93.5"), ("INITIALKEY", "F#m"),
        ("TIME_REFERENCE", str(START)), ("CHAPTER001", "00:00:00.050"), ("CHAPTER001NAME", "Verse"),
        ("PERFORMER", "A"), ("PERFORMER", "B"), ("REPLAYGAIN_TRACK_GAIN", "-7 dB"),
    )  # fmt: skip
    path = tmp_path / "a.flac"
    wave = np.random.default_rng(0).standard_normal((2, 4800)).astype(np.float32) * 0.1
    with AudioWriter(path, RATE, 2, metadata=Metadata(tags=tags)) as writer:
        writer.write(wave)
    kept = tuple(tag for tag in tags if not tag[0].startswith("REPLAYGAIN"))
    assert read_metadata(path).tags == kept
    assert read_metadata(stem_of(path, "flac")).tags == kept
    # In a WAV file: a time stamp, a cue point and an ID3 tag, and from there back.
    stem = stem_of(path, "wav")
    chunks = dict(read_metadata(stem).chunks)
    assert chunks[b"bext"][338:346] == START.to_bytes(8, "little")
    assert struct.unpack("<20xI", chunks[b"cue "][4:28])[0] == 2205
    assert b"Verse" in chunks[b"LIST"]
    stem.rename(tmp_path / "b.wav")
    back = dict(read_metadata(stem_of(tmp_path / "b.wav", "flac")).tags)
    for name, value in kept[:6]:
        assert back[name] == value
    assert back["PERFORMER"] == "A"


def test_other_programs_read_what_is_written(tmp_path: Path) -> None:
    path = with_chunks(tmp_path / "a.wav", CHUNKS, [])
    for suffix in ("wav", "flac"):
        with soundfile.SoundFile(stem_of(path, suffix)) as file:
            assert file.frames == 4801
            assert file.title == "Groove"
            assert file.artist == "Me"
    if shutil.which("ffprobe") is None:
        return  # the rest is said twice above
    for suffix in ("wav", "flac"):
        command = ["ffprobe", "-v", "error", "-of", "json", "-show_format"]
        command.append(str(stem_of(path, suffix)))
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        shown = json.loads(done.stdout)["format"]["tags"]
        assert {k.lower(): v for k, v in shown.items()}["time_reference"] == str(START)
        assert done.stderr == b""


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_without_metadata_nothing_is_carried(tmp_path: Path, suffix: str) -> None:
    path = with_chunks(tmp_path / "a.wav", CHUNKS, [])
    assert not read_metadata(stem_of(path, suffix, metadata=False)).chunks
    plain = tmp_path / f"plain.{suffix}"
    write_audio(plain, read_audio(path)[0], RATE)
    assert stem_of(plain, suffix).read_bytes() == plain.read_bytes()


def test_the_tag_of_an_mp3_file_and_one_before_a_wav_file_are_read(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).standard_normal((9000, 2)) * 0.1
    soundfile.write(tmp_path / "a.mp3", wave, RATE, format="MP3")
    path = tmp_path / "b.mp3"
    path.write_bytes(ID3 + (tmp_path / "a.mp3").read_bytes())
    assert dict(read_metadata(stem_of(path, "wav")).chunks)[b"id3 "] == ID3
    assert dict(read_metadata(stem_of(path, "flac")).tags)["BPM"] == "128"
    inner = with_chunks(tmp_path / "c.wav", CHUNKS, [])
    inner.write_bytes(ID3 + inner.read_bytes())
    assert [name for name, _ in read_metadata(inner).chunks] == [name for name, _ in CHUNKS]


def test_large_and_senseless_chunks_stay_behind(tmp_path: Path) -> None:
    bad = [
        (b"bext", bytes(100)), (b"cue ", struct.pack("<I", 10**6)), (b"LIST", b"wavl" + bytes(8)),
        (b"smpl", SMPL[:40]), (b"acid", bytes(8)), (b"junk", bytes(10)), (b"iXML", bytes(5 << 20)),
    ]  # fmt: skip
    path = with_chunks(tmp_path / "a.wav", bad, [(b"iXML", IXML)])
    assert read_metadata(path).chunks == ((b"iXML", IXML),)
    assert soundfile.info(stem_of(path, "wav")).frames == 4801


def test_many_large_chunks_fit_or_stay_behind(tmp_path: Path) -> None:
    large = [(b"iXML", bytes([65 + k]) * (3 << 20)) for k in range(5)]
    path = with_chunks(tmp_path / "a.wav", large, [])
    assert len(read_metadata(stem_of(path, "wav")).chunks) == 5
    stem = stem_of(path, "flac")
    assert len(read_metadata(stem).chunks) == 2
    np.testing.assert_allclose(read_audio(stem)[0], read_audio(path)[0], atol=2**-23)
    with stem.open("rb") as handle:
        assert [kind for kind, _, _ in flac_blocks(handle)] == [0, 4, 2, 2, 1]


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 2200), noise=st.binary(max_size=40), at=st.integers(0, 2200))
def test_damaged_files_give_what_can_be_read_and_no_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes, at: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(with_chunks(folder / "a.wav", CHUNKS, []).read_bytes()[:2200])
    data[at : at + len(noise)] = noise
    (folder / "b.wav").write_bytes(data[:cut])
    found = read_metadata(folder / "b.wav")
    # What was read can be written, in both formats.
    for suffix in ("wav", "flac"):
        with AudioWriter(folder / f"c.{suffix}", RATE, 1, metadata=found) as writer:
            writer.write(np.zeros((1, 100), np.float32))
        assert read_audio(folder / f"c.{suffix}")[0].shape == (1, 100)


def test_what_is_no_file_carries_nothing(tmp_path: Path) -> None:
    assert not read_metadata(tmp_path)
    assert not read_metadata(tmp_path / "none.wav")
    (tmp_path / "empty.wav").touch()
    assert not read_metadata(tmp_path / "empty.wav")
