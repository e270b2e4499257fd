# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import AudioReader, check_channels, read_audio
from lars_plugin.audio.headers import header_lengths
from lars_plugin.errors import AudioFileError, InputError

RATE = 44100
FRAMES = 30000


def noise(channels: int = 2, frames: int = FRAMES) -> np.ndarray:
    rng = np.random.default_rng(7)
    return (rng.standard_normal((channels, frames)) * 0.1).astype(np.float32)


def save(
    path: Path, wave: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str | None = None
) -> Path:
    with path.open("wb") as handle:  # a handle: any name is fine
        soundfile.write(handle, wave.T, rate, format=kind, subtype=subtype)
    return path


def cut(path: Path, fraction: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("RF64", "FLOAT", 0),
        ("W64", "FLOAT", 0),
        ("AIFF", "PCM_24", 2**-23),
        ("AIFF", "FLOAT", 0),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
    ],
)
def test_lossless_files_come_back_as_they_were(
    tmp_path: Path, kind: str, subtype: str, tolerance: float
) -> None:
    wave = noise()
    back, rate = read_audio(save(tmp_path / "a", wave, kind=kind, subtype=subtype))
    assert (rate, back.shape) == (RATE, wave.shape)
    assert back.dtype == np.float32
    assert np.abs(back - wave).max() <= tolerance


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"),
    [("MP3", None, 44100), ("OGG", "VORBIS", 44100), ("OGG", "OPUS", 48000)],
)
def test_lossy_files_keep_length_and_timing(
    tmp_path: Path, kind: str, subtype: str | None, rate: int
) -> None:
    t = np.arange(FRAMES) / rate
    wave = (0.5 * np.sin(2 * np.pi * 440 * t) * np.hanning(FRAMES)).astype(np.float32)[None]
    with AudioReader(save(tmp_path / "a", wave, rate, kind, subtype)) as reader:
        back = np.concatenate(list(reader.blocks(1000)), axis=1)
    assert back.shape == wave.shape
    assert np.abs(back - wave).max() < 0.05
    assert reader.warnings == ()


@pytest.mark.parametrize("size", [100, 777, FRAMES - 1, FRAMES, FRAMES + 1])
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3", "OGG", "AIFF"])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_block_size_gives_the_same_audio(
    tmp_path: Path, kind: str, channels: int, size: int
) -> None:
    path = save(tmp_path / "a", noise(channels), kind=kind)
    with soundfile.SoundFile(path) as file:
        whole = file.read(dtype="float32", always_2d=True).T
    with AudioReader(path) as reader:
        blocks = list(reader.blocks(size))
        assert reader.position == reader.frames == FRAMES
    assert all(0 < block.shape[1] <= size for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000, 96000, 192000])
def test_rates_from_8_to_192_khz_are_reported_as_they_are(tmp_path: Path, rate: int) -> None:
    assert read_audio(save(tmp_path / "a.wav", noise(), rate))[1] == rate


def test_an_empty_file_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(AudioFileError, match=r"a\.wav is empty \(0 bytes\)"):
        AudioReader(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
def test_a_file_of_0_frames_is_an_error(tmp_path: Path, kind: str) -> None:
    with pytest.raises(AudioFileError, match="0 frames"):
        AudioReader(save(tmp_path / "a", noise(frames=0), kind=kind))


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="No such file"):
        AudioReader(tmp_path / "none.wav")
    with pytest.raises(AudioFileError, match="is a folder"):
        AudioReader(tmp_path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "a.aiff", "a"])
def test_text_under_an_audio_name_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no audio at all " * 100)
    with pytest.raises(AudioFileError, match="no audio file, or a damaged one"):
        read_audio(tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)],
)
def test_a_header_alone_is_an_error(tmp_path: Path, kind: str, subtype: str | None) -> None:
    path = save(tmp_path / f"a.{kind.lower()}", noise(), kind=kind, subtype=subtype)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(AudioFileError, match="cannot read"):
        read_audio(path)


@pytest.mark.parametrize("field", ["channels", "rate"])
def test_a_header_without_channels_or_rate_is_an_error(tmp_path: Path, field: str) -> None:
    path = save(tmp_path / "a.wav", noise(), subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[slice(22, 24) if field == "channels" else slice(24, 28)] = bytes(
        2 if field == "channels" else 4
    )
    path.write_bytes(data)
    with pytest.raises(AudioFileError, match="cannot read"):
        AudioReader(path)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("RF64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_16"),
    ],
)
def test_a_truncated_lossless_file_gives_all_that_is_there_and_a_warning(
    tmp_path: Path, kind: str, subtype: str
) -> None:
    wave = noise()
    whole = read_audio(save(tmp_path / "a", wave, kind=kind, subtype=subtype))[0]
    with AudioReader(cut(tmp_path / "a", 0.6)) as reader:
        part = np.concatenate(list(reader.blocks(10000)), axis=1)
    # FLAC loses its last, incomplete block of 4,096 frames.
    assert 0.45 * FRAMES < part.shape[1] <= 0.61 * FRAMES
    np.testing.assert_array_equal(part, whole[:, : part.shape[1]])
    (warning,) = reader.warnings
    assert f"promises {FRAMES / RATE:.3f} s" in warning
    assert f"ends after {part.shape[1] / RATE:.3f} s" in warning


def test_what_a_truncated_flac_file_gives_does_not_depend_on_the_block_size(tmp_path: Path) -> None:
    path = cut(save(tmp_path / "a", noise(), kind="FLAC"), 0.6)
    lengths = set()
    for size in (500, 4096, 10000, 100000):
        with AudioReader(path) as reader:
            lengths.add(sum(block.shape[1] for block in reader.blocks(size)))
    assert len(lengths) == 1


def test_a_truncated_mp3_warns(tmp_path: Path) -> None:
    path = cut(save(tmp_path / "a.mp3", noise(frames=RATE * 2), kind="MP3"), 0.6)
    with AudioReader(path) as reader:
        part = sum(block.shape[1] for block in reader.blocks())
    assert 0.5 * RATE * 2 < part < 0.7 * RATE * 2
    assert "promises 2.000 s" in reader.warnings[0]


def test_a_flac_file_damaged_in_the_middle_is_an_error_with_the_position(tmp_path: Path) -> None:
    path = save(tmp_path / "a.flac", noise(frames=3 * RATE), kind="FLAC")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    with pytest.raises(AudioFileError, match=r"damaged at 1\.\d\d\d s .*repair or re-encode"):
        read_audio(path)


def lie(path: Path, size: int) -> Path:
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    return path


def test_a_wav_header_that_promises_too_much_is_taken_at_what_is_there(tmp_path: Path) -> None:
    with AudioReader(lie(save(tmp_path / "a.wav", noise(), subtype="PCM_16"), 10**9)) as reader:
        assert reader.frames == FRAMES
    assert f"promises {10**9 / 4 / RATE:.3f} s" in reader.warnings[0]


def test_chunks_behind_the_audio_are_no_lost_audio(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", noise(), subtype="PCM_16")
    with path.open("ab") as handle:
        handle.write(struct.pack("<4sI", b"LIST", 10000) + bytes(10000))
    with AudioReader(path) as reader:
        assert reader.frames == FRAMES
    assert reader.warnings == ()


def test_an_mp3_that_is_longer_than_its_header_says_warns(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mp3", noise(frames=2 * RATE), kind="MP3")
    path.write_bytes(path.read_bytes() * 2)  # concatenated: the header counts the first half
    with AudioReader(path) as reader:
        assert reader.frames == 2 * RATE
    assert "covers 2.000 s of about 4." in reader.warnings[0]


def test_an_mp3_behind_a_tag_and_junk_is_found(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mp3", noise(), kind="MP3")
    data = path.read_bytes()
    path.write_bytes(b"ID3\x03\0\0\0\0\x0f\x76" + bytes((0x0F << 7) + 0x76) + data)
    with AudioReader(path) as reader:
        assert reader.frames == FRAMES
        assert reader.warnings == ()
    path.write_bytes(bytes(100) + data)
    assert read_audio(path)[0].shape == (2, FRAMES)


def test_header_lengths_of_random_bytes_never_fail(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a"
    starts = (b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"ID3", b"\xff\xfb", b"")
    for trial in range(200):
        data = starts[trial % 5] + rng.integers(0, 256, rng.integers(0, 200), np.uint8).tobytes()
        path.write_bytes(data or b"\0")
        with path.open("rb") as handle:
            lengths = header_lengths(handle, path.stat().st_size, 10)
            assert lengths.promised is None or lengths.promised >= 0
            assert handle.tell() == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_are_errors_that_name_the_first_position(tmp_path: Path, value: float) -> None:
    wave = noise()
    wave[1, 22050] = value
    wave[0, 25000] = np.nan
    path = save(tmp_path / "a.wav", wave, subtype="FLOAT")
    with (
        AudioReader(path) as reader,
        pytest.raises(AudioFileError, match=r"holds -?(nan|inf) at 0\.500000 s \(channel 2\)"),
    ):
        for _ in reader.blocks(10000):
            pass


def test_samples_too_large_for_float32_count_as_inf(tmp_path: Path) -> None:
    wave = noise().astype(np.float64)
    wave[0, 0] = 1e300
    with pytest.raises(AudioFileError, match=r"holds inf at 0\.000000 s"):
        read_audio(save(tmp_path / "a.wav", wave, subtype="DOUBLE"))


@pytest.mark.parametrize("channels", [1, 2])
def test_mono_and_stereo_pass(channels: int) -> None:
    check_channels(channels)


@pytest.mark.parametrize("channels", [0, 3, 8])
def test_other_channel_counts_are_refused_with_advice(tmp_path: Path, channels: int) -> None:
    with pytest.raises(InputError, match=f"{channels} channels; mono or stereo is needed: mix"):
        check_channels(channels, tmp_path / "a.wav")


def test_eight_channels_can_be_read(tmp_path: Path) -> None:
    wave = noise(8)
    np.testing.assert_array_equal(
        read_audio(save(tmp_path / "a.wav", wave, subtype="FLOAT"))[0], wave
    )


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_names_that_are_not_utf8_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9 \xff.bin")
    try:
        save(path, noise(), kind=kind)
    except OSError as error:
        pytest.skip(f"this file system wants UTF-8 names: {error}")
    assert read_audio(path)[0].shape == (2, FRAMES)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(AudioFileError) as caught:
        read_audio(path)
    str(caught.value).encode("utf-8")  # the message can be printed


def test_a_name_with_a_null_byte_is_an_error() -> None:
    with pytest.raises(AudioFileError, match="cannot read"):
        AudioReader("a\0b.wav")
