# SPDX-License-Identifier: GPL-3.0-or-later
"""Ogg files that hold several recordings, FLAC, or pictures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import AudioReader, read_audio
from lars_plugin.audio.ogg import read_links

RATE = 48000
FRAMES = 30000

ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def save(path: Path, seed: int, subtype: str, channels: int = 2, rate: int = RATE) -> Path:
    wave = np.random.default_rng(seed).standard_normal((FRAMES + seed, channels)) * 0.1
    soundfile.write(path, wave, rate, format="OGG", subtype=subtype)
    return path


def join(path: Path, parts: list[Path]) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("block", [777, 1 << 16])
def test_a_chain_gives_all_recordings_one_behind_the_other(
    tmp_path: Path, subtype: str, count: int, block: int
) -> None:
    parts = [save(tmp_path / f"{n}.ogg", n, subtype) for n in range(count)]
    wanted = np.concatenate([read_audio(part)[0] for part in parts], axis=1)
    with AudioReader(join(tmp_path / "all.ogg", parts)) as reader:
        assert reader.frames == wanted.shape[1]
        back = np.concatenate(list(reader.blocks(block)), axis=1)
    np.testing.assert_array_equal(back, wanted)
    assert reader.warnings == ()


def test_a_chain_of_copies_whose_numbers_are_equal_is_whole(tmp_path: Path) -> None:
    part = save(tmp_path / "a.ogg", 1, "VORBIS")
    whole = read_audio(join(tmp_path / "b.ogg", [part] * 3))[0]
    np.testing.assert_array_equal(whole, np.tile(read_audio(part)[0], 3))


@pytest.mark.parametrize(("channels", "rate"), [(1, RATE), (2, 24000)])
def test_a_recording_of_another_kind_in_a_chain_is_named(
    tmp_path: Path, channels: int, rate: int
) -> None:
    parts = [
        save(tmp_path / "a.ogg", 1, "OPUS"),
        save(tmp_path / "b.ogg", 2, "OPUS"),
        save(tmp_path / "c.ogg", 3, "OPUS", channels, rate),
    ]
    with AudioReader(join(tmp_path / "all.ogg", parts)) as reader:
        assert sum(block.shape[1] for block in reader.blocks()) == 2 * FRAMES + 3
    (warning,) = reader.warnings
    assert f"recording 3 of the 3 in it has {rate} Hz and {channels} channel(s)" in warning


@pytest.mark.parametrize("left", [0.02, 0.3, 0.5, 0.9])
def test_a_chain_that_ends_early_gives_what_is_there_with_a_warning(
    tmp_path: Path, left: float
) -> None:
    parts = [save(tmp_path / f"{n}.ogg", n, "OPUS") for n in range(2)]
    data = [part.read_bytes() for part in parts]
    (tmp_path / "all.ogg").write_bytes(data[0] + data[1][: int(left * len(data[1]))])
    with AudioReader(tmp_path / "all.ogg") as reader:
        back = np.concatenate(list(reader.blocks()), axis=1)
    assert FRAMES <= back.shape[1] < 2 * FRAMES
    np.testing.assert_array_equal(back[:, :FRAMES], read_audio(parts[0])[0])
    assert any("cut off" in warning for warning in reader.warnings)


def test_pages_are_found_again_behind_damage(tmp_path: Path) -> None:
    path = join(tmp_path / "a.ogg", [save(tmp_path / f"{n}.ogg", n, "VORBIS") for n in range(2)])
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 4 + 500] = bytes(500)
    path.write_bytes(data)
    with path.open("rb") as handle:
        assert len(read_links(handle, 0, len(data))) == 2


def flac_in_ogg(path: Path, *more: str) -> np.ndarray:
    """Written by ffmpeg; what is in it."""
    wave = np.random.default_rng(3).integers(-(2**22), 2**22, (FRAMES, 2)).astype(np.int32) << 8
    soundfile.write(path.with_suffix(".wav"), wave, RATE, subtype="PCM_24")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path.with_suffix(".wav"), "-c:a", "flac", *more, "-f",
         "ogg", path],
        check=True,
    )  # fmt: skip
    return np.asarray(wave.T / 2.0**31, np.float32)


@ffmpeg
def test_flac_in_ogg_comes_back_bit_for_bit_and_can_be_chained(tmp_path: Path) -> None:
    wave = flac_in_ogg(tmp_path / "a.oga")
    with AudioReader(tmp_path / "a.oga") as reader:
        back = np.concatenate(list(reader.blocks(1000)), axis=1)
    np.testing.assert_array_equal(back, wave)
    assert reader.warnings == ()
    path = join(tmp_path / "b.oga", [tmp_path / "a.oga"] * 2)
    np.testing.assert_array_equal(read_audio(path)[0], np.tile(wave, 2))


@ffmpeg
def test_sound_beside_pictures_in_ogg_is_read(tmp_path: Path) -> None:
    source = save(tmp_path / "a.ogg", 1, "VORBIS")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=0.6:s=64x48:r=25", "-i", source,
         "-c:a", "copy", "-c:v", "libtheora", tmp_path / "v.ogv"],
        check=True,
    )  # fmt: skip
    np.testing.assert_array_equal(read_audio(tmp_path / "v.ogv")[0], read_audio(source)[0])


def test_random_bytes_behind_an_ogg_page_never_fail_the_scan(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a"
    for _ in range(200):
        data = b"OggS" + rng.integers(0, 256, rng.integers(0, 300), np.uint8).tobytes()
        path.write_bytes(data * 2)
        with path.open("rb") as handle:
            read_links(handle, 0, 2 * len(data))
