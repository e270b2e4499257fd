# SPDX-License-Identifier: GPL-3.0-or-later
"""StemGMD's folders as a source of training excerpts, on a miniature of its tree."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lars_plugin.errors import DatasetError, InputError
from lars_plugin.evaluation.clips import Clip
from lars_plugin.synthesis import SAMPLE_RATE, random_kit
from lars_plugin.training.data.pool import PoolConfig, make_source
from lars_plugin.training.data.sources import Alternating
from lars_plugin.training.data.stemgmd import StemGMDRenderer
from lars_plugin.training.render.renderer import STEMS, RendererConfig

# Piece: the stem and articulation of our own synthesis that play it.
PIECES = {
    "kick": ("kick", "kick"),
    "snare": ("snare", "center"),
    "hi_tom": ("toms", "high"),
    "mid_tom": ("toms", "mid"),
    "low_tom": ("toms", "low"),
    "hihat_closed": ("hihat", "closed"),
    "hihat_open": ("hihat", "open"),
    "crash_left": ("crash", "crash"),
    "ride": ("ride", "bow"),
}
SESSION = "drummer1/session1"
NAMES = {"1_rock_120_beat_4-4": "train", "2_funk_100_beat_4-4": "test"}

# No variation: the output is the input up to one gain.
STILL = RendererConfig(
    whole_kit=1.0, studio=1.0, timbre=0, pitch_semitones=0, gain_db=0, extra=0, solo=0, eq=0,
    saturation=0, room=0, bus=0, lowpass=0, mono=0, level_db=0, equaliser=0, tape=0, one_sided=0,
)  # fmt: skip


def write_tree(top: Path, kits: tuple[str, ...] = ("brooklyn", "portland", "roots")) -> Path:
    """Two performances of two seconds by each kit; "roots" is reserved for testing."""
    for number, kit in enumerate(kits):
        sounds = random_kit(np.random.default_rng(number)).sounds
        for name in NAMES:
            for index, (piece, (stem, articulation)) in enumerate(PIECES.items()):
                hit = sounds[stem][articulation]
                wave = np.zeros((2 * SAMPLE_RATE, 2), np.float32)
                begin = 2000 + 8000 * index
                end = min(len(wave), begin + len(hit))
                wave[begin:end] = 0.2 * hit[: end - begin, None]
                path = top / "audio" / SESSION / kit / piece / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, wave, SAMPLE_RATE)
    with (top / "info.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["midi_filename", "split"])
        writer.writerows([f"{SESSION}/{name}.mid", split] for name, split in NAMES.items())
    return top


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("stemgmd"))


def truth(tree: Path, kit: str, start: float, samples: int) -> np.ndarray:
    """The stems of the training performance from a time in seconds on, ``(6, 2, samples)``."""
    (name,) = (name for name, split in NAMES.items() if split == "train")
    stems = np.zeros((6, 2, 2 * SAMPLE_RATE), np.float32)
    for piece, (stem, _) in PIECES.items():
        path = tree / "audio" / SESSION / kit / piece / f"{name}.wav"
        stems[STEMS.index(stem)] += soundfile.read(path, dtype="float32")[0].T
    begin = int(start * SAMPLE_RATE)
    padded = np.pad(stems, ((0, 0), (0, 0), (max(0, -begin), samples)))
    return padded[:, :, max(0, begin) :][:, :, :samples]


def test_an_excerpt_is_one_kits_stems_with_its_pieces_added_up(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = StemGMDRenderer(tree, 0, STILL)
    starts = []

    def choose(stem: str, takes: list[Clip], house: str, start: float) -> object:
        starts.append(start)
        return chosen(stem, takes, house, start)

    chosen = source._choose
    monkeypatch.setattr(source, "_choose", choose)
    for _ in range(3):
        result = source.render(40000)
        likeness = []
        for kit in ("brooklyn", "portland"):
            true = truth(tree, kit, starts[-1], 40000)[:, 0]
            for index in range(6):
                # Panned by constant power: the channels' powers add up to the recording's.
                power = np.sqrt(np.square(result[index], dtype=np.float64).sum(0))
                norm = np.linalg.norm(true[index]) * np.linalg.norm(power)
                likeness.append(np.abs(true[index]) @ power / norm if norm > 0 else 1.0)
        assert max(min(likeness[:6]), min(likeness[6:])) > 0.999
        assert min(likeness) < 0.99


def test_only_training_performances_and_kits_are_used(tree: Path) -> None:
    source = StemGMDRenderer(tree, 0)
    assert [[take.kit for take in takes] for takes in source.performances] == [
        ["brooklyn", "portland"]
    ]
    assert all("1_rock" in take.name for takes in source.performances for take in takes)


def test_excerpts_are_finite_and_mix_kits_and_the_same_seed_gives_the_same(tree: Path) -> None:
    one, two = (StemGMDRenderer(tree, 7) for _ in range(2))
    heard = np.zeros(6)
    for _ in range(8):
        stems = one.render(30000)
        assert np.array_equal(stems, two.render(30000))
        assert stems.shape == (6, 2, 30000)
        assert np.isfinite(stems).all()
        assert np.abs(stems.sum(0)).max() <= 1 + 1e-5
        heard += np.abs(stems).max(axis=(1, 2)) > 1e-5
    assert (heard > 0).all()


def test_files_of_another_rate_keep_their_pitch(tmp_path: Path) -> None:
    top = write_tree(tmp_path, kits=("brooklyn",))
    for path in top.rglob("*.wav"):
        wave = np.sin(2 * np.pi * 1000 * np.arange(4 * 48000) / 48000)
        soundfile.write(path, np.stack([wave, wave], axis=1) * 0.3, 48000)
    result = StemGMDRenderer(top, 0, STILL).render(30000)[0, 0]
    spectrum = np.abs(np.fft.rfft(result * np.hanning(len(result))))
    assert np.argmax(spectrum) * 44100 / 30000 == pytest.approx(1000, abs=3)


def test_a_tree_without_splits_or_kits_is_one_clear_error(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"info\.csv"):
        StemGMDRenderer(tmp_path, 0)
    write_tree(tmp_path / "unseen", kits=("roots",))
    with pytest.raises(DatasetError, match="no training performance"):
        StemGMDRenderer(tmp_path / "unseen", 0)


class Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def render(self, samples: int) -> np.ndarray:
        return np.full((6, 2, samples), self.value, np.float32)


def test_two_sources_alternate_by_their_share() -> None:
    source = Alternating(Constant(0), Constant(1), 0.25, seed=0)
    share = np.mean([source.render(1).mean() for _ in range(400)])
    assert 0.17 < share < 0.33
    with pytest.raises(InputError, match="0 to 1"):
        Alternating(Constant(0), Constant(1), 1.5, seed=0)


def test_the_pool_draws_from_stemgmd_beside_the_kits_and_puts_music_around(
    tree: Path, data: Any
) -> None:
    config = PoolConfig(
        kits=str(data.kits),
        grooves=str(data.grooves),
        segment=8192,
        batch=2,
        pool=8,
        workers=1,
        synthetic_kits=0,
        seed=1,
        stemgmd=str(tree),
        accompaniment="synthetic",
    )
    source: Any = make_source(config, 1)
    assert isinstance(source.drums.sources[1], StemGMDRenderer)
    assert source.drums.share == 0.5
    assert source.render(8192).shape == (7, 2, 8192)
