# SPDX-License-Identifier: GPL-3.0-or-later
"""Audio files that training reads."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lars_plugin.errors import DatasetError
from lars_plugin.training.data.kits import load_kits
from lars_plugin.training.networks.scores import load_clips
from lars_plugin.training.render.renderer import STEMS
from lars_plugin.training.sounds.files import read_wave


def write(path: Path, odd: float = 0.5) -> None:
    wave = np.linspace(-0.5, 0.5, 2000, dtype=np.float32).reshape(1000, 2)
    wave[700, 1] = odd
    path.parent.mkdir(parents=True, exist_ok=True)
    # FLAC holds neither NaN nor Inf. Readers go by the content, not by the ending.
    soundfile.write(path, wave, 44100, subtype="FLOAT", format="WAV")


def test_a_part_of_a_file_is_read_and_what_is_not_in_it_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, np.nan)
    wave, rate = read_wave(path, 100, 50)
    assert (wave.shape, rate) == ((100, 2), 44100)
    assert wave.dtype == np.float32
    assert wave[0, 0] == pytest.approx(-0.45, abs=1e-3)
    with pytest.raises(DatasetError, match=r"a\.wav holds NaN or Inf: repair or remove it"):
        read_wave(path)
    with pytest.raises(DatasetError, match=r"cannot read the room .*b\.wav"):
        read_wave(tmp_path / "b.wav", what="room")


@pytest.mark.parametrize("odd", [np.nan, -np.inf])
def test_kits_and_clips_with_nan_or_inf_are_named(tmp_path: Path, odd: float) -> None:
    write(tmp_path / "kits" / "kick.wav", odd)
    with (tmp_path / "kits" / "manifest.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["kit", "split", "file", "class", "articulation", "velocity", "instrument"])
        writer.writerow(["one", "train", "kick.wav", "kick", "kick", 100, "a"])
    with pytest.raises(DatasetError, match=r"kick\.wav holds NaN or Inf"):
        load_kits(tmp_path / "kits", "train")
    for stem in STEMS:
        write(tmp_path / "clips" / "one" / f"{stem}.flac", odd if stem == "ride" else 0.5)
    with pytest.raises(DatasetError, match=r"the validation clip .*ride\.flac holds NaN"):
        load_clips(tmp_path / "clips")
