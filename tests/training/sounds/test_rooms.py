# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms, plates and overheads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.errors import DatasetError
from lars_plugin.training.sounds.effects import add_overheads, add_room
from lars_plugin.training.sounds.impulses import Impulses


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    fall = np.exp(-np.arange(9600) / 1500)[:, None]
    (tmp_path / "plates").mkdir()
    late = np.concatenate([np.zeros((4800, 2)), rng.standard_normal((9600, 2)) * fall])
    soundfile.write(tmp_path / "plates" / "a.wav", 0.1 * late, 48000)
    soundfile.write(tmp_path / "b.flac", 0.1 * rng.standard_normal((9600, 1)) * fall, 44100)
    soundfile.write(tmp_path / "silent.wav", np.zeros((100, 2)), 44100)
    (tmp_path / "readme.txt").write_text("two rooms")
    return tmp_path


def test_real_responses_are_read_once_from_their_first_sound_at_one_energy(folder: Path) -> None:
    impulses = Impulses(folder)
    assert len(impulses.responses) == 2
    for response in impulses.responses:
        assert response.shape[0] == 2
        assert np.abs(response[:, :100]).max() > 0.1 * np.abs(response).max()
    rng = np.random.default_rng(1)
    for _ in range(10):
        assert np.square(impulses.draw(rng)).sum(1).mean() == pytest.approx(1, rel=1e-3)


def test_a_real_room_is_the_convolution_with_its_response(folder: Path) -> None:
    response = Impulses(folder).responses[0]
    stems = np.zeros((2, 2, 20000), np.float32)
    stems[0, :, 10] = 1
    add_room(np.random.default_rng(0), stems, response=response)
    assert not stems[1].any()
    echo = stems[0, :, 11:]
    wanted = response[:, 1 : 1 + echo.shape[1]]
    part = echo[:, : wanted.shape[1]]
    gain = (part * wanted).sum() / np.square(wanted).sum()
    assert gain > 0
    np.testing.assert_allclose(part, gain * wanted, atol=1e-5)


def test_folders_without_responses_and_broken_files_are_named(folder: Path) -> None:
    with pytest.raises(DatasetError, match="no audio files"):
        Impulses(folder / "nothing")
    (folder / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(DatasetError, match=r"broken\.wav"):
        Impulses(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_response_with_nan_or_inf_is_named(folder: Path, value: float, rate: int) -> None:
    wave = np.ones((3000, 2), np.float32)
    wave[2000, 1] = value
    soundfile.write(folder / "odd.wav", wave, rate, subtype="FLOAT")
    with pytest.raises(DatasetError, match=r"odd\.wav holds NaN or Inf"):
        Impulses(folder)


def test_overheads_hear_every_drum_once_more_and_later() -> None:
    polarities = set()
    for seed in range(20):
        stems = np.zeros((3, 2, 2000), np.float32)
        stems[0, :, 100] = 1
        stems[1, 0, 100], stems[1, 1, 100] = 1, -1  # inverted channels
        add_overheads(np.random.default_rng(seed), stems)
        assert not stems[2].any()
        assert not stems[:, :, :100].any()
        for stem in stems[:2]:
            for channel in stem:
                (at,) = np.nonzero(channel)
                assert at[0] == 100
                assert len(at) == 2
                assert 0.0008 < (at[1] - 100) / 44100 < 0.009
                polarities.add(float(channel[100]))
    assert polarities == {-1.0, 1.0}
