# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with more than two channels: which are separated."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.audio import choose_channels, read_audio, write_audio
from lars_plugin.audio.channels import channel_places
from lars_plugin.cli import main
from lars_plugin.errors import InputError
from lars_plugin.separation.files import separate_file
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import IdentityModel

RATE = 44100
HALF = np.float32(0.5**0.5)


def noise(channels: int, frames: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(channels)
    return (rng.standard_normal((channels, frames)) * 0.1).astype(np.float32)


def test_channels_are_chosen_by_number_in_the_order_given() -> None:
    wave = noise(8)
    kept = wave.copy()
    np.testing.assert_array_equal(choose_channels(wave, "1,2"), wave[:2])
    np.testing.assert_array_equal(choose_channels(wave, " 8 , 3"), wave[[7, 2]])
    np.testing.assert_array_equal(choose_channels(wave, "5"), wave[4:5])
    np.testing.assert_array_equal(choose_channels(wave, "5,5"), wave[[4, 4]])
    np.testing.assert_array_equal(wave, kept)
    made = choose_channels(wave[:2], "front")
    made[:] = 0
    np.testing.assert_array_equal(wave, kept)


@pytest.mark.parametrize(("channels", "lfe"), [(3, []), (4, []), (5, []), (6, [3]), (8, [3])])
def test_a_downmix_is_that_of_bs_775(channels: int, lfe: list[int]) -> None:
    wave = noise(channels)
    made = choose_channels(wave, "downmix")
    left, right = wave[0].copy(), wave[1].copy()
    surround = list(range(2, channels))
    if channels != 4:
        left += HALF * wave[2]
        right += HALF * wave[2]
        surround = surround[1:]
    surround = [index for index in surround if index not in lfe]
    for index in surround[::2]:
        left += HALF * wave[index]
    for index in surround[1::2]:
        right += HALF * wave[index]
    np.testing.assert_allclose(made, [left, right], atol=1e-6)
    np.testing.assert_array_equal(choose_channels(wave, "front"), wave[:2])


@pytest.mark.parametrize(
    ("spec", "count", "message"),
    [
        ("9", 8, "has 8 channels, no channel 9"),
        ("1,2", 1, "has 1 channel, no channel 2"),
        ("0", 2, "is not a choice of channels"),
        ("1,2,3", 8, "is not a choice of channels"),
        ("", 8, "is not a choice of channels"),
        ("left", 8, "is not a choice of channels"),
        ("-1", 8, "is not a choice of channels"),
        ("downmix", 10, "nothing tells what is where; choose by number"),
        ("front", 10, "nothing tells what is where; choose by number"),
    ],
)
def test_choices_that_cannot_be_are_refused(spec: str, count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_channels(noise(count), spec)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("spec", ["front", "downmix"])
def test_mono_and_stereo_stay_as_they_are(channels: int, spec: str) -> None:
    np.testing.assert_array_equal(choose_channels(noise(channels), spec), noise(channels))


def test_the_mask_of_a_wav_file_and_the_order_of_ogg_files_are_heeded(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(6).T, RATE, format="WAVEX", subtype="PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"fmt ") + 8 + 20
    for mask, places in (
        (0x3F, ("FL", "FR", "FC", "LFE", "BL", "BR")),
        (0x60F, ("FL", "FR", "FC", "LFE", "SL", "SR")),
        (0x137, ("FL", "FR", "FC", "BL", "BR", "BC")),
        (0, ("FL", "FR", "FC", "LFE", "BL", "BR")),
        (0x3, None),  # says nothing of four channels
        (0x3F000, None),
    ):
        data[at : at + 4] = struct.pack("<I", mask)
        path.write_bytes(data)
        assert channel_places(path, 6) == places
    ogg = tmp_path / "a.ogg"
    soundfile.write(ogg, noise(6, 20_000).T, RATE, format="OGG", subtype="VORBIS")
    assert channel_places(ogg, 6) == ("FL", "FC", "FR", "BL", "BR", "LFE")
    write_audio(tmp_path / "a.flac", noise(6), RATE)
    assert channel_places(tmp_path / "a.flac", 6) == ("FL", "FR", "FC", "LFE", "BL", "BR")


@pytest.mark.parametrize("spec", ["1,2", "4", "front", "downmix"])
@pytest.mark.parametrize("rescale", [False, True])
def test_a_file_is_separated_as_the_channels_chosen(
    tmp_path: Path, spec: str, rescale: bool
) -> None:
    write_audio(tmp_path / "a.wav", noise(6), RATE, bits="32f")
    chosen = choose_channels(noise(6), spec)
    separator = Separator(IdentityModel(shares=[0.5, 0.25], stems=["kick", "snare"]))
    result = separate_file(
        separator, tmp_path / "a.wav", lambda stem: tmp_path / f"{stem}.wav", bits="24",
        channels=spec, residual=True, rescale=rescale,
    )  # fmt: skip
    waves = {name: read_audio(path)[0] for name, path in result.outputs.items()}
    np.testing.assert_allclose(waves["kick"], 0.5 * chosen, atol=2**-22)
    np.testing.assert_allclose(sum(waves.values()), chosen, atol=2**-21)


def test_the_command_names_the_option_and_does_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, noise(6, 9000), RATE)
    command = ["separate", str(path), "-o", str(tmp_path / "out"), "--stems", "kick"]
    assert main(command) == 1
    err = capsys.readouterr().err
    assert "a.wav has 6 channels; mono or stereo is needed: choose with --channels 1,2" in err
    for spec, channels in (("1,2", 2), ("3", 1), ("front", 2), ("downmix", 2)):
        assert main([*command, "--channels", spec, "--overwrite"]) == 0
        assert soundfile.info(tmp_path / "out" / "a" / "kick.wav").channels == channels
    assert main([*command, "--channels", "1,2"]) == 1  # made of others
    assert "channels downmix, now 1,2" in capsys.readouterr().err
    assert main([*command, "--channels", "left"]) == 2
    assert "use front, downmix, or one or two numbers" in capsys.readouterr().err
    midi = ["midi", str(path), "-o", str(tmp_path / "a.mid")]
    assert main(midi) == 2
    assert "choose with --channels" in capsys.readouterr().err
    assert main([*midi, "--channels", "3", "--overlap", "1"]) == 0
    # Never without being asked.
    before = (tmp_path / "a.mid").read_bytes()
    assert main([*midi, "--channels", "3"]) == 2
    assert "a.mid is there already; use --overwrite" in capsys.readouterr().err
    assert (tmp_path / "a.mid").read_bytes() == before
    assert main([*midi, "--channels", "3", "--overlap", "1", "--overwrite"]) == 0
