# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole songs: drums with music around them, for training and as a fixed validation set."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lars_plugin.errors import DatasetError
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.training import prepare
from lars_plugin.training.data.pool import PoolConfig, make_source
from lars_plugin.training.music.accompaniment import Accompaniment
from lars_plugin.training.render.fullmix import (
    FULLMIX_STEMS,
    FullMixConfig,
    FullMixRenderer,
    make_fullmix_clips,
)

SAMPLES = 40000


class Noise:
    """Six stems of noise, each 3 dB below the one before; or silence."""

    def __init__(self, gain: float = 0.1) -> None:
        self.gain = gain
        self.rng = np.random.default_rng(0)
        self.last = np.zeros((6, 2, 1), np.float32)

    def render(self, samples: int) -> np.ndarray:
        levels = self.gain * 10 ** (-3 * np.arange(6) / 20)
        waves = self.rng.standard_normal((6, 2, samples)) * levels[:, None, None]
        self.last = waves.astype(np.float32)
        return self.last


def renderer(drums: Noise, seed: int = 0, **settings: float) -> FullMixRenderer:
    return FullMixRenderer(drums, Accompaniment(None, seed), seed, FullMixConfig(**settings))


def ratio(stems: np.ndarray) -> float:
    drums, other = stems[:-1].sum(0, dtype=np.float64), stems[-1].astype(np.float64)
    return float(10 * np.log10(np.mean(drums**2) / np.mean(other**2)))


def test_drums_lie_from_minus_twelve_to_six_decibels_and_keep_their_balance() -> None:
    drums = Noise()
    mixer = renderer(drums, drums_alone=0, music_alone=0, bus=0, lowpass=0, mono=0)
    levels = []
    for _ in range(8):
        stems = mixer.render(SAMPLES)
        assert stems.shape == (7, 2, SAMPLES)
        assert stems.dtype == np.float32
        peak = np.abs(stems.sum(0)).max()
        assert 0.0099 < peak <= 1 + 1e-5
        levels.append(ratio(stems))
        # One gain for all the drums.
        gain = stems[0] / drums.last[0]
        np.testing.assert_allclose(stems[:-1], drums.last * gain.mean(), rtol=2e-3, atol=1e-7)
    assert min(levels) >= -12.01
    assert max(levels) <= 6.01
    assert max(levels) - min(levels) > 3


def test_drums_alone_and_music_alone_leave_the_others_silent() -> None:
    alone = renderer(Noise(), drums_alone=1.0, music_alone=0.0).render(SAMPLES)
    assert np.abs(alone[-1]).max() == 0
    assert all(np.abs(stem).max() > 0 for stem in alone[:-1])
    music = renderer(Noise(), drums_alone=0.0, music_alone=1.0).render(SAMPLES)
    assert np.abs(music[:-1]).max() == 0
    assert np.abs(music[-1]).max() > 0


def test_silent_drums_leave_music_of_a_finite_level() -> None:
    stems = renderer(Noise(0.0), drums_alone=0, music_alone=0).render(SAMPLES)
    assert np.isfinite(stems).all()
    assert 0.0099 < np.abs(stems[-1]).max() <= 1 + 1e-5


def test_what_is_done_to_the_mixture_is_done_to_every_stem_alike() -> None:
    mixer = renderer(Noise(), drums_alone=0, music_alone=0, bus=1.0, lowpass=1.0, mono=1.0)
    for _ in range(3):
        stems = mixer.render(SAMPLES)
        assert np.array_equal(stems[:, 0], stems[:, 1])
        assert np.abs(stems.sum(0)).max() <= 1 + 1e-5
        assert np.abs(stems[0]).max() > 0


def pool_config(data: Any, **settings: Any) -> PoolConfig:
    return PoolConfig(
        kits=str(data.kits),
        grooves=str(data.grooves),
        segment=8192,
        batch=2,
        pool=8,
        workers=1,
        synthetic_kits=1,
        seed=1,
        **settings,
    )


def test_the_pools_source_has_one_more_stem_with_accompaniment(data: Any) -> None:
    assert make_source(pool_config(data), 1).render(8192).shape == (6, 2, 8192)
    source = make_source(pool_config(data, accompaniment="synthetic"), 1)
    assert source.render(8192).shape == (7, 2, 8192)
    with pytest.raises(DatasetError, match=r"bank\.csv"):
        make_source(pool_config(data, accompaniment=str(data.kits)), 1)


def test_an_excluded_kit_is_not_used_and_a_misspelt_one_is_an_error(data: Any) -> None:
    source: Any = make_source(pool_config(data, exclude=("kit0",)), 1)
    assert set(source.kits.kits) == {"kit1", "synth_0"}
    with pytest.raises(DatasetError, match="no kit kit9; there are kit0, kit1, kit2"):
        make_source(pool_config(data, exclude=("kit9",)), 1)
    with pytest.raises(DatasetError, match="not excluded"):
        make_source(pool_config(data, exclude=("kit0", "kit1")), 1)


@pytest.fixture(scope="module")
def fullmix(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fullmix") / "clips"
    words = ["fullmix-clips", str(folder), "--clips", str(data.clips), "--each", "3"]
    assert prepare.main(words) == 0
    return folder


def test_validation_clips_have_the_stated_levels_and_add_up_exactly(fullmix: Path) -> None:
    with (fullmix / "index.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["drums_to_rest_db"]) for row in rows] == [-6, 0, 6]
    for row in rows:
        files = [fullmix / row["clip"] / f"{stem}.flac" for stem in FULLMIX_STEMS]
        stems = np.stack([soundfile.read(path, dtype="int16")[0] for path in files]).astype(int)
        mix = soundfile.read(fullmix / row["clip"] / "mix.flac", dtype="int16")[0]
        assert np.array_equal(stems.sum(0), mix)
        assert np.abs(mix).max() / 32768 == pytest.approx(10 ** (-1 / 20), abs=1e-3)
        assert ratio(stems.astype(np.float32)) == pytest.approx(
            int(row["drums_to_rest_db"]), abs=0.05
        )


def test_the_evaluation_reads_the_clips_as_seven_stems(fullmix: Path) -> None:
    layout, clips = find_clips(fullmix)
    assert layout == "clips"
    assert len(clips) == 3
    assert all(tuple(clip.stems) == FULLMIX_STEMS and clip.mixture for clip in clips)


def test_the_same_command_makes_the_same_clips(fullmix: Path, data: Any, tmp_path: Path) -> None:
    make_fullmix_clips(data.clips, tmp_path, None, each=3)
    for path in sorted(fullmix.rglob("mix.flac")):
        again = soundfile.read(tmp_path / path.relative_to(fullmix))[0]
        assert np.array_equal(soundfile.read(path)[0], again)


def test_no_clips_to_mix_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"kick\.flac"):
        make_fullmix_clips(tmp_path, tmp_path / "out", None)
    (tmp_path / "one").mkdir()
    soundfile.write(tmp_path / "one" / "kick.flac", np.zeros((100, 2)), 48000)
    with pytest.raises(DatasetError, match="48000 Hz"):
        make_fullmix_clips(tmp_path, tmp_path / "out", None)
