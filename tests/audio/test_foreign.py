# SPDX-License-Identifier: GPL-3.0-or-later
"""AAC, ALAC, WMA and the sound of videos, by PyAV and by the command ffmpeg."""

from __future__ import annotations

import importlib.util
import logging
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import EXTENSIONS, AudioReader, read_audio
from lars_plugin.audio.foreign import ForeignFile, conversion
from lars_plugin.audio.sniff import FOREIGN_EXTENSIONS
from lars_plugin.errors import AudioFileError

FRAMES = 57330  # no multiple of any codec's packets

pytestmark = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed, which makes the files"
)


@pytest.fixture(params=["PyAV", "ffmpeg"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of the two that decode, and not the other."""
    if request.param == "PyAV":
        pytest.importorskip("av", reason="PyAV is not installed")
        monkeypatch.setattr(shutil, "which", lambda *_: None)
    else:
        hide_pyav(monkeypatch)
    return str(request.param)


def hide_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "av" else find(name, *more)
    )


def hide_both(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_pyav(monkeypatch)
    monkeypatch.setattr(shutil, "which", lambda *_: None)


def source(rate: int = 44100, channels: int = 2, bits: int = 16) -> np.ndarray:
    """Clicks in a tone: whatever is late shows. ``(channels, FRAMES)``, as in the file."""
    time = np.arange(FRAMES) / rate
    wave = 0.3 * np.sin(2 * np.pi * 440 * time) * np.exp(-20 * (time % 0.25))
    wave = np.stack([wave * (1 - 0.2 * n) for n in range(channels)])
    return np.asarray(np.round(wave * 2 ** (bits - 1)) / 2.0 ** (bits - 1))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def encode(
        name: str, *options: str, rate: int = 44100, channels: int = 2, video: bool = False
    ) -> Path:
        wav = tmp_path / "source.wav"
        soundfile.write(wav, source(rate, channels, 24).T, rate, subtype="PCM_24")
        picture = ["-f", "lavfi", "-i", "testsrc=d=1.3:s=64x48:r=10"] if video else []
        mapped = ["-map", "0:v", "-map", "1:a"] if video else []
        command = ["ffmpeg", "-v", "error", "-y", *picture, "-i", str(wav), *mapped, *options]
        subprocess.run([*command, str(tmp_path / name)], check=True)
        return tmp_path / name

    return encode


def decoded(path: Path, channels: int = 2) -> np.ndarray:
    """What the command ffmpeg makes of a file."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-"]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    return np.asarray(np.frombuffer(made, "<f4").reshape(-1, channels).T)


LOSSY = [
    ("a.m4a", ("-c:a", "aac"), FRAMES),
    ("a.mp4", ("-c:a", "libmp3lame"), FRAMES),
    ("a.mov", ("-c:a", "aac"), FRAMES),
    ("a.m4a", ("-c:a", "aac", "-movflags", "+faststart"), FRAMES),
    # Without an edit list nothing says how much is padding.
    ("a.aac", ("-c:a", "aac"), None),
    ("a.wma", ("-c:a", "wmav2"), None),
    ("a.mka", ("-c:a", "aac"), None),
    ("a.ac3", ("-c:a", "ac3"), None),
    ("a.mp4", ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"), None),
]


@pytest.mark.parametrize(("name", "options", "frames"), LOSSY)
def test_samples_lie_where_ffmpeg_puts_them_and_padding_is_left_out(
    make: Callable[..., Path], decoder: str, name: str, options: tuple[str, ...], frames: int | None
) -> None:
    path = make(name, *options)
    wanted = decoded(path)
    with AudioReader(path) as reader:
        assert isinstance(reader._file, ForeignFile)
        back = np.concatenate(list(reader.blocks(1000)), axis=1)
    assert reader.warnings == ()
    assert 0 <= wanted.shape[1] - back.shape[1] < 1024
    assert back.shape[1] == frames or frames is None
    # Two builds of the decoders may round differently.
    np.testing.assert_allclose(back, wanted[:, : back.shape[1]], atol=1e-4)
    if frames:
        difference = back - source(bits=24)
        assert np.square(difference).sum() < 0.01 * np.square(source(bits=24)).sum()


@pytest.mark.parametrize("name", ["a.m4a", "a.mov", "a.caf", "a.mka", "a.wv"])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_codings_come_back_bit_for_bit(
    make: Callable[..., Path], decoder: str, name: str, channels: int
) -> None:
    codec = "wavpack" if name.endswith("wv") else "alac"
    path = make(name, "-c:a", codec, "-sample_fmt", "s32p", channels=channels)
    back, rate = read_audio(path)
    assert rate == 44100
    np.testing.assert_array_equal(back, source(channels=channels, bits=24).astype(np.float32))


@pytest.mark.parametrize("rate", [22050, 96000])
def test_other_rates_are_kept(make: Callable[..., Path], decoder: str, rate: int) -> None:
    path = make("a.m4a", "-c:a", "alac", rate=rate)
    with AudioReader(path) as reader:
        assert (reader.rate, reader.frames) == (rate, FRAMES)
        assert sum(block.shape[1] for block in reader.blocks()) == FRAMES


def test_six_channels_are_read_as_six(make: Callable[..., Path], decoder: str) -> None:
    assert read_audio(make("a.m4a", "-c:a", "alac", channels=6))[0].shape == (6, FRAMES)


@pytest.mark.parametrize("name", ["v.mov", "v.mp4", "v.mkv", "v.avi"])
def test_of_a_video_the_first_sound_is_read(
    make: Callable[..., Path], decoder: str, name: str
) -> None:
    path = make(name, "-c:a", "pcm_s16le" if name[-3:] in ("avi", "mkv", "mov") else "aac",
                video=True)  # fmt: skip
    back, rate = read_audio(path)
    assert rate == 44100
    wanted = decoded(path)
    np.testing.assert_allclose(back, wanted[:, : back.shape[1]], atol=1e-4)
    assert 0 <= wanted.shape[1] - back.shape[1] < 1024


def test_a_cover_picture_is_no_obstacle(make: Callable[..., Path], decoder: str) -> None:
    sound = make("s.m4a", "-c:a", "aac")
    picture, path = sound.with_name("p.png"), sound.with_name("a.m4a")
    quiet = ["ffmpeg", "-v", "error"]
    subprocess.run(
        [*quiet, "-f", "lavfi", "-i", "testsrc=s=64x48", "-frames:v", "1", str(picture)],
        check=True,
    )
    both = ["-i", str(picture), "-i", str(sound), "-c", "copy", "-disposition:v:0", "attached_pic"]
    subprocess.run([*quiet, *both, str(path)], check=True)
    np.testing.assert_array_equal(read_audio(path)[0], read_audio(sound)[0])


def test_a_video_without_sound_says_so(tmp_path: Path, decoder: str) -> None:
    path = tmp_path / "v.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=0.5:s=64x48", str(path)]
    subprocess.run(command, check=True)
    with pytest.raises(AudioFileError, match=r"v\.mp4 holds no audio .*without an audio stream"):
        AudioReader(path)


def test_a_file_without_its_index_is_an_error_that_says_damaged(
    make: Callable[..., Path], decoder: str
) -> None:
    path = make("a.m4a", "-c:a", "aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioFileError, match="damaged or incomplete"):
        AudioReader(path)


def test_a_file_cut_off_behind_its_index_gives_what_is_there_with_a_warning(
    make: Callable[..., Path], decoder: str
) -> None:
    path = make("a.m4a", "-c:a", "aac", "-movflags", "+faststart")
    whole = read_audio(path)[0]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with AudioReader(path) as reader:
        back = np.concatenate(list(reader.blocks()), axis=1)
    assert 0.2 * FRAMES < back.shape[1] < 0.8 * FRAMES
    np.testing.assert_array_equal(back[:, :20000], whole[:, : min(20000, back.shape[1])])
    assert any(f"promises {FRAMES / 44100:.3f} s" in warning for warning in reader.warnings)


def test_damage_in_the_middle_is_named_and_moves_nothing(make: Callable[..., Path]) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    path = make("a.m4a", "-c:a", "alac", "-sample_fmt", "s16p")
    whole = read_audio(path)[0]
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 4 + (data.index(b"moov") - data.index(b"mdat")) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    with AudioReader(path) as reader:
        back = np.concatenate(list(reader.blocks()), axis=1)
    assert back.shape[1] == FRAMES
    np.testing.assert_array_equal(back[:, -4096:], whole[:, -4096:])
    assert reader.warnings
    assert "cannot be decoded and are silent" in reader.warnings[0]


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("it's a.m4a", "aac", "MP4 or QuickTime"),
        ("a.wma", "wmav2", "Windows Media"),
        ("a.caf", "alac", "this coding in CAF"),
        ("a.aac", "aac", "AAC"),
        ("a.mka", "aac", "Matroska or WebM"),
    ],
)
def test_without_a_decoder_the_message_names_the_command_that_converts(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str, codec: str, kind: str
) -> None:
    path = make(name, "-c:a", codec)
    with monkeypatch.context() as hidden:
        hide_both(hidden)
        with pytest.raises(AudioFileError) as caught:
            read_audio(path)
    message = str(caught.value)
    assert kind in message
    assert "pip install 'lars-plugin[formats]'" in message
    assert message.endswith(conversion(str(path)))
    # And the command does it.
    subprocess.run([*shlex.split(conversion(str(path))), "-v", "error"], check=True)
    with AudioReader(path.with_suffix(".wav")) as reader:
        assert reader.frames > FRAMES - 4096


def test_text_and_damaged_files_are_not_taken_for_other_formats(
    tmp_path: Path, decoder: str
) -> None:
    for name in ("a.m4a", "a.mp4", "a.wav", "a.ogg"):
        (tmp_path / name).write_text("no audio at all " * 100)
        with pytest.raises(AudioFileError, match="no audio file, or a damaged one"):
            read_audio(tmp_path / name)


def test_playlists_that_name_other_files_are_not_followed(tmp_path: Path, decoder: str) -> None:
    soundfile.write(tmp_path / "secret.wav", source().T, 44100)
    for text in ("#EXTM3U\n#EXTINF:1,\nsecret.wav\n", "ffconcat version 1.0\nfile secret.wav\n"):
        (tmp_path / "a.m4a").write_text(text)
        with pytest.raises(AudioFileError, match="no audio file"):
            read_audio(tmp_path / "a.m4a")


def test_a_decoder_that_is_no_longer_wanted_ends(make: Callable[..., Path], decoder: str) -> None:
    path = make("a.mka", "-c:a", "pcm_s16le")
    with AudioReader(path) as reader:
        next(reader.blocks(100))
    reader.close()


def test_names_of_such_files_are_looked_for_in_folders() -> None:
    assert set(FOREIGN_EXTENSIONS) <= set(EXTENSIONS)
    assert {".m4a", ".aac", ".alac", ".mp4", ".mov", ".wma"} <= set(EXTENSIONS)


def test_decoding_says_nothing_in_the_log(
    make: Callable[..., Path], decoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read_audio(make("a.m4a", "-c:a", "aac"))
    assert caplog.records == []
