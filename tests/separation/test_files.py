# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.audio import read_audio, write_audio
from lars_plugin.errors import (
    AudioFileError,
    CancelledError,
    EngineError,
    InputError,
    NonFiniteError,
)
from lars_plugin.separation import files
from lars_plugin.separation.files import RESIDUAL, separate_file
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import FailingModel, GainModel, IdentityModel, NaNModel

RATE = 44100
Wave = NDArray[np.float32]


def noise(channels: int = 2, frames: int = 100_000, scale: float = 0.1) -> Wave:
    rng = np.random.default_rng(11)
    return (rng.standard_normal((channels, frames)) * scale).astype(np.float32)


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    path = tmp_path / "mix.wav"
    write_audio(path, noise(), RATE, bits="32f")
    return path


def into(folder: Path, extension: str = "wav") -> Callable[[str], Path]:
    return lambda stem: folder / f"{stem}.{extension}"


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("frames", [1, 100, 16383, 16384, 16385, 200_001])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_gives_to_the_bit_what_the_array_gives(
    tmp_path: Path, frames: int, channels: int
) -> None:
    wave = noise(channels, frames)
    write_audio(tmp_path / "mix.wav", wave, RATE, bits="32f")
    separator = Separator(IdentityModel(shares=[0.5, 0.3, 0.2], stems=["kick", "snare", "toms"]))
    result = separate_file(separator, tmp_path / "mix.wav", into(tmp_path / "out"), bits="32f")
    stems = separator.separate(wave, RATE)
    assert list(result.outputs) == list(stems)
    for name, path in result.outputs.items():
        back, rate = read_audio(path)
        assert rate == RATE
        np.testing.assert_array_equal(back, stems[name])
    assert result.seconds == frames / RATE
    assert (result.warnings, dict(result.clipping), result.gain_db) == ((), {}, 0)
    assert result.elapsed > 0
    assert result.rtr == result.elapsed / result.seconds


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_outputs_have_the_rate_channels_and_length_of_the_input(
    tmp_path: Path, rate: int, channels: int
) -> None:
    frames = rate // 2 + 17
    write_audio(tmp_path / "mix.flac", noise(channels, frames), rate)
    separator = Separator(IdentityModel(stems=["kick", "snare"]))
    result = separate_file(separator, tmp_path / "mix.flac", into(tmp_path, "flac"), bits="16")
    for path in result.outputs.values():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames) == (rate, channels, frames)
        assert (info.format, info.subtype) == ("FLAC", "PCM_16")


def test_stems_and_residual_add_up_to_the_mixture(tmp_path: Path, mixture: Path) -> None:
    separator = Separator(
        IdentityModel(shares=[0.5, 0.2, 0.2], stems=["kick", "snare", "toms"]),
        stems=["toms", "kick"],
    )
    result = separate_file(separator, mixture, into(tmp_path / "out"), bits="32f", residual=True)
    assert list(result.outputs) == ["toms", "kick", RESIDUAL]
    waves = [read_audio(path)[0] for path in result.outputs.values()]
    np.testing.assert_allclose(np.sum(waves, axis=0), noise(), atol=1e-7)
    np.testing.assert_allclose(waves[2], 0.3 * noise(), atol=1e-6)


def test_a_truncated_file_is_separated_as_far_as_it_goes_with_a_warning(
    tmp_path: Path, mixture: Path
) -> None:
    data = mixture.read_bytes()
    mixture.write_bytes(data[: len(data) // 2])
    result = separate_file(Separator(IdentityModel()), mixture, into(tmp_path / "out"))
    assert "what is there is used" in result.warnings[0]
    lengths = {soundfile.info(path).frames for path in result.outputs.values()}
    assert lengths == {round(result.seconds * RATE)}
    assert 49_000 < lengths.pop() < 50_000


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: NaNModel(50), NonFiniteError),
        (lambda: FailingModel(50), EngineError),
        (lambda: FailingModel(50, error=MemoryError()), MemoryError),
        (lambda: FailingModel(50, error=KeyboardInterrupt()), KeyboardInterrupt),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("rescale", [False, True])
def test_a_failure_in_the_middle_leaves_nothing(
    tmp_path: Path,
    mixture: Path,
    make: Callable[[], IdentityModel],
    error: type[BaseException],
    rescale: bool,
) -> None:
    with pytest.raises(error):
        separate_file(Separator(make()), mixture, into(tmp_path / "new" / "out"), rescale=rescale)
    assert files_below(tmp_path) == ["mix.wav"]


def test_nan_in_the_input_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    wave = noise()
    wave[1, 88200] = np.nan
    soundfile.write(tmp_path / "mix.wav", wave.T, RATE, subtype="FLOAT")
    with pytest.raises(AudioFileError, match=r"mix\.wav holds nan at 2\.000000 s"):
        separate_file(Separator(IdentityModel()), tmp_path / "mix.wav", into(tmp_path / "out"))
    assert files_below(tmp_path) == ["mix.wav"]


def test_eight_channels_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    write_audio(tmp_path / "mix.wav", noise(8), RATE)
    with pytest.raises(InputError, match=r"mix\.wav has 8 channels; mono or stereo is needed"):
        separate_file(Separator(IdentityModel()), tmp_path / "mix.wav", into(tmp_path / "out"))
    assert files_below(tmp_path) == ["mix.wav"]


def test_progress_rises_to_the_total_and_false_cancels(tmp_path: Path, mixture: Path) -> None:
    separator = Separator(IdentityModel())
    calls: list[tuple[int, int]] = []
    separate_file(separator, mixture, into(tmp_path / "a"), progress=lambda *c: calls.append(c))
    assert calls == sorted(calls)
    assert calls[-1] == (100_000, 100_000)
    with pytest.raises(CancelledError):
        separate_file(separator, mixture, into(tmp_path / "b"), progress=lambda *_: False)
    assert not (tmp_path / "b").exists()


def test_an_output_that_is_the_input_is_refused(tmp_path: Path, mixture: Path) -> None:
    before = mixture.read_bytes()
    with pytest.raises(InputError, match="is the input itself"):
        separate_file(Separator(IdentityModel(stems=["kick"])), mixture, lambda _: mixture)
    (tmp_path / "link.wav").symlink_to(mixture)
    with pytest.raises(InputError, match="is the input itself"):
        separate_file(
            Separator(IdentityModel(stems=["kick"])), mixture, lambda _: tmp_path / "link.wav"
        )
    assert mixture.read_bytes() == before


def test_two_stems_cannot_share_a_name(tmp_path: Path, mixture: Path) -> None:
    with pytest.raises(InputError, match="two stems would get the same file name"):
        separate_file(Separator(IdentityModel()), mixture, lambda _: tmp_path / "a.wav")


LOUD = GainModel([20.0, 10.0, 1.0], ["kick", "snare", "toms"])


def test_clipping_is_counted_per_stem_and_nothing_is_lowered(tmp_path: Path, mixture: Path) -> None:
    result = separate_file(Separator(LOUD), mixture, into(tmp_path), bits="16")
    assert list(result.clipping) == ["kick", "snare"]
    kick = 20 * noise()
    assert result.clipping["kick"].samples == np.count_nonzero(np.abs(kick) > 1)
    assert result.clipping["kick"].peak_dbfs == pytest.approx(20 * np.log10(np.abs(kick).max()))
    back = read_audio(result.outputs["kick"])[0]
    assert np.abs(back - kick.clip(-1, 1)).max() < 2**-14
    assert result.gain_db == 0


def test_float_output_keeps_what_is_beyond_full_scale(tmp_path: Path, mixture: Path) -> None:
    result = separate_file(Separator(LOUD), mixture, into(tmp_path), bits="32f", rescale=True)
    assert not result.clipping
    assert result.gain_db == 0
    np.testing.assert_allclose(read_audio(result.outputs["kick"])[0], 20 * noise(), rtol=1e-5)


@pytest.mark.parametrize("bits", ["16", "24"])
def test_rescaling_lowers_all_stems_by_one_gain_until_the_loudest_fits(
    tmp_path: Path, mixture: Path, bits: str
) -> None:
    result = separate_file(
        Separator(LOUD), mixture, into(tmp_path), bits=bits, rescale=True, residual=True
    )
    assert not result.clipping
    waves = {name: read_audio(path)[0] for name, path in result.outputs.items()}
    step = 2.0 ** (1 - int(bits))
    peak = max(float(np.abs(wave).max()) for wave in waves.values())
    assert 1 - 2 * step <= peak <= 1
    gain = 10 ** (result.gain_db / 20)
    # The residual is the loudest: 1 - 31 times the mixture.
    assert gain == pytest.approx(1 / np.abs(30 * noise()).max(), rel=1e-3)
    for name, factor in (("kick", 20), ("snare", 10), ("toms", 1), (RESIDUAL, -30)):
        np.testing.assert_allclose(waves[name], gain * factor * noise(), atol=2 * step)
    np.testing.assert_allclose(np.sum(list(waves.values()), axis=0), gain * noise(), atol=4 * step)
    assert sorted(tmp_path.iterdir()) == sorted([mixture, *result.outputs.values()])


def test_rescaling_changes_nothing_where_nothing_would_clip(tmp_path: Path, mixture: Path) -> None:
    separator = Separator(IdentityModel())
    plain = separate_file(separator, mixture, into(tmp_path / "a"))
    rescaled = separate_file(separator, mixture, into(tmp_path / "b"), rescale=True)
    assert rescaled.gain_db == 0
    for name in plain.outputs:
        assert plain.outputs[name].read_bytes() == rescaled.outputs[name].read_bytes()


def test_an_output_folder_that_is_a_file_gives_one_line(tmp_path: Path, mixture: Path) -> None:
    for rescale in (False, True):
        with pytest.raises(AudioFileError, match="is a file, not a folder; choose another"):
            separate_file(Separator(IdentityModel()), mixture, into(mixture), rescale=rescale)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    separator = Separator(IdentityModel(), stems=["kick", "snare"])

    def peak(seconds: int) -> int:
        write_audio(tmp_path / "mix.wav", noise(2, seconds * RATE), RATE, bits="16")
        tracemalloc.start()
        separate_file(separator, tmp_path / "mix.wav", into(tmp_path / "out"), residual=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(5)  # caches of the first run
    # How full the queues around the network were is a matter of luck; the 25 s more are 26 MB.
    block = 2 * 4 * files._BLOCK
    queues = (files._BLOCKS_AHEAD + 3 * files._PARTS_BEHIND) * block
    assert queues < 2_000_000
    assert peak(30) < 1.1 * peak(5) + queues
