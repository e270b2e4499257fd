# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PT012  # what happens before the error is what these tests are about
from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import wave as stdlib_wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin.audio import AtomicFiles, AudioWriter, read_audio, wav, write_audio
from lars_plugin.audio.writer import _FlacEncoder, check_format
from lars_plugin.errors import AudioFileError, InputError

RATE = 44100
KINDS = [("wav", "16"), ("wav", "24"), ("wav", "32f"), ("flac", "16"), ("flac", "24")]


def noise(channels: int = 2, frames: int = 5000, scale: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.standard_normal((channels, frames)) * scale).astype(np.float32)


@pytest.mark.parametrize(("kind", "bits"), KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_comes_back_to_half_a_step(
    tmp_path: Path, kind: str, bits: str, channels: int
) -> None:
    wave = noise(channels, 5001).clip(-1, 1 - 2**-15)
    path = tmp_path / f"a.{kind}"
    with AudioWriter(path, RATE, channels, bits=bits) as writer:
        for start in range(0, 5001, 1000):
            writer.write(wave[:, start : start + 1000])
    back, rate = read_audio(path)
    assert rate == RATE
    assert back.shape == wave.shape
    assert np.abs(back - wave).max() <= {"16": 2**-16, "24": 2**-24, "32f": 0}[bits]
    assert writer.clipped == 0


@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_a_written_file_written_again_is_the_same_to_the_bit(
    tmp_path: Path, kind: str, bits: str
) -> None:
    write_audio(tmp_path / f"a.{kind}", noise(), RATE, bits=bits)
    first = read_audio(tmp_path / f"a.{kind}")[0]
    write_audio(tmp_path / f"b.{kind}", first, RATE, bits=bits)
    np.testing.assert_array_equal(read_audio(tmp_path / f"b.{kind}")[0], first)


@pytest.mark.parametrize(("kind", "bits"), [k for k in KINDS if k[1] != "32f"])
def test_samples_beyond_full_scale_are_clipped_and_counted_and_nothing_else_is_touched(
    tmp_path: Path, kind: str, bits: str
) -> None:
    wave = noise()
    wave[0, 10], wave[1, 20], wave[1, 30], wave[0, 40], wave[0, 50] = 1.5, -2.0, 1.01, 1.0, -1.0
    with AudioWriter(tmp_path / f"a.{kind}", RATE, 2, bits=bits) as writer:
        writer.write(wave)
    back = read_audio(tmp_path / f"a.{kind}")[0]
    step = 2.0 ** -(int(bits) - 1)
    assert writer.clipped == 3
    assert writer.peak_dbfs == pytest.approx(6.0206, abs=1e-3)
    assert np.abs(back - wave.clip(-1, 1)).max() <= step
    assert (back.max(), back.min()) == (1 - step, -1)


def test_float_files_hold_samples_beyond_full_scale(tmp_path: Path) -> None:
    wave = noise(scale=3)
    with AudioWriter(tmp_path / "a.wav", RATE, 2, bits="32f") as writer:
        writer.write(wave)
    assert writer.clipped == 0
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], wave)


def test_silence_peaks_at_minus_infinity(tmp_path: Path) -> None:
    with AudioWriter(tmp_path / "a.wav", RATE, 1) as writer:
        writer.write(np.zeros((1, 10), np.float32))
        writer.write(np.zeros((1, 0), np.float32))
    assert writer.peak_dbfs == -np.inf


def test_the_block_given_is_not_changed(tmp_path: Path) -> None:
    wave = noise(scale=2)
    kept = wave.copy()
    write_audio(tmp_path / "a.wav", wave, RATE, bits="16")
    np.testing.assert_array_equal(wave, kept)


@settings(max_examples=40, deadline=None)
@given(
    channels=st.integers(1, 3),
    frames=st.integers(0, 50),
    bits=st.sampled_from([16, 24, 32]),
    rate=st.sampled_from([8000, 44100, 192000]),
)
def test_wav_files_of_any_shape_are_read_by_libsndfile_and_by_the_standard_library(
    channels: int, frames: int, bits: int, rate: int
) -> None:
    handle = io.BytesIO()
    encoder = wav.WavEncoder(handle, rate, channels, bits)
    values = np.arange(frames * channels).reshape(frames, channels) * 113 - 3000
    encoder.write((values / 10).astype(np.float32) if bits == 32 else values.astype(np.int32))
    encoder.finish()
    data = handle.getvalue()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert len(data) % 2 == 0
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.samplerate, file.channels, file.frames) == (rate, channels, frames)
        assert file.subtype == {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[bits]
        back = file.read(dtype="float32" if bits == 32 else "int32", always_2d=True)
    expected = (values / 10).astype(np.float32) if bits == 32 else values << (32 - bits)
    np.testing.assert_array_equal(back, expected)
    if bits != 32:
        with stdlib_wave.open(io.BytesIO(data)) as other:
            assert (other.getnframes(), other.getsampwidth()) == (frames, bits // 8)


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_a_file_beyond_the_riff_limit_becomes_rf64(
    monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    monkeypatch.setattr(wav, "_RIFF_LIMIT", 1000)
    handle = io.BytesIO()
    encoder = wav.WavEncoder(handle, RATE, 1, bits)
    values = np.arange(999).reshape(999, 1)
    encoder.write(values.astype(np.float32) if bits == 32 else values.astype(np.int32))
    assert handle.getvalue()[:4] == b"RIFF"
    encoder.finish()
    assert handle.getvalue()[:4] == b"RF64"
    with soundfile.SoundFile(io.BytesIO(handle.getvalue())) as file:
        assert (file.format, file.frames) == ("RF64", 999)
        back = file.read(dtype="float32" if bits == 32 else "int32")
    np.testing.assert_array_equal(back, values[:, 0] if bits == 32 else values[:, 0] << 32 - bits)


def test_sizes_beyond_4_gib_are_told_in_64_bits() -> None:
    encoder = wav.WavEncoder(io.BytesIO(), RATE, 2, 32)
    encoder._frames = 10**9
    header = encoder._header()
    assert header[:8] == b"RF64\xff\xff\xff\xff"
    assert header[12:16] == b"ds64"
    riff, data, frames = (int.from_bytes(header[k : k + 8], "little") for k in (20, 28, 36))
    assert (data, frames) == (8 * 10**9, 10**9)
    assert riff == data + len(header) - 8
    assert len(header) == len(wav.WavEncoder(io.BytesIO(), RATE, 2, 32)._header())


@pytest.mark.parametrize(
    ("extension", "bits", "message"),
    [
        ("mp3", "16", "cannot write 'mp3' files; use wav or flac"),
        ("", "16", "use wav or flac"),
        ("wav", "8", "unknown bits '8'; use 16, 24, 32f"),
        ("flac", "32f", "FLAC has no float samples; use 24 bits, or WAV for 32f"),
    ],
)
def test_formats_that_cannot_be_written_are_refused_with_advice(
    tmp_path: Path, extension: str, bits: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_format(extension, bits)
    with pytest.raises(InputError, match=message):
        AudioWriter(tmp_path / f"a.{extension}", RATE, 2, bits=bits)
    assert list(tmp_path.iterdir()) == []


def test_more_channels_than_flac_can_hold_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="FLAC cannot hold 9 channels at 44100 Hz; write WAV"):
        AudioWriter(tmp_path / "a.flac", RATE, 9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_a_failure_while_writing_leaves_nothing(tmp_path: Path, kind: str) -> None:
    with pytest.raises(KeyboardInterrupt), AudioWriter(tmp_path / f"new/a.{kind}", RATE, 2) as w:
        w.write(noise())
        raise KeyboardInterrupt
    with (
        pytest.raises(InputError, match=r"block must be \(2, n\)"),
        AudioWriter(tmp_path / f"new/a.{kind}", RATE, 2) as w,
    ):
        w.write(noise(1))
    assert list(tmp_path.iterdir()) == []


def test_a_flac_file_without_frames_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="FLAC cannot hold 0 frames"):
        write_audio(tmp_path / "a.flac", noise(frames=0), RATE)
    assert list(tmp_path.iterdir()) == []
    write_audio(tmp_path / "a.wav", noise(frames=0), RATE)
    assert soundfile.info(tmp_path / "a.wav").frames == 0


def test_writers_of_a_group_appear_together(tmp_path: Path) -> None:
    with AtomicFiles() as files:
        for name in ("a.wav", "b.flac"):
            with AudioWriter(tmp_path / name, RATE, 2, files=files) as writer:
                writer.write(noise())
        assert not (tmp_path / "a.wav").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.flac"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_a_full_disk_is_noticed_by_both_encoders(kind: str) -> None:
    with (
        open("/dev/full", "w+b", buffering=0) as handle,
        pytest.raises(OSError, match="No space left") as caught,
    ):
        encoder = (wav.WavEncoder if kind == "wav" else _FlacEncoder)(handle, RATE, 2, 16)
        for _ in range(20):
            encoder.write(np.zeros((5000, 2), np.int32))
        encoder.finish()
    assert caught.value.errno == errno.ENOSPC


FULL_DISK = """
import resource, sys
import numpy as np
from lars_plugin.audio import write_audio
from lars_plugin.errors import AudioFileError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
wave = np.random.default_rng(0).standard_normal((2, 300_000)).astype(np.float32) * 0.1
try:
    write_audio(sys.argv[1], wave, 44100)
except AudioFileError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are a POSIX matter")
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_a_disk_that_fills_up_gives_one_line_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / f"new/a.{kind}")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "exceed the size limit" in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0,
    reason="folder modes bind POSIX users other than root; a read-only mount: test_process.py",
)
def test_a_read_only_folder_gives_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(AudioFileError, match=r"cannot write .*the folder is not writable"):
        write_audio(tmp_path / "a.wav", noise(), RATE)


def test_names_that_are_not_utf8_are_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.flac")
    try:
        (tmp_path / name).touch()
    except OSError as error:
        pytest.skip(f"this file system wants UTF-8 names: {error}")
    write_audio(tmp_path / name, noise(), RATE)
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [b"caf\xe9.flac"]
