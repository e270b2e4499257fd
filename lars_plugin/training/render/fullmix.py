# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole songs: drum stems with music around them as a seventh stem, "other".

:class:`FullMixRenderer` wraps a renderer of drums for training, :func:`make_fullmix_clips` makes
a fixed validation set from drum clips. The level of the drums is their energy against the
music's, over the whole excerpt.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.files import replacing
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.data.sources import Source
from lars_plugin.training.music.accompaniment import Accompaniment
from lars_plugin.training.render.mixdown import mix_down
from lars_plugin.training.render.renderer import STEMS
from lars_plugin.training.sounds.files import read_wave

__all__ = [
    "FULLMIX_STEMS",
    "FullMixConfig",
    "FullMixRenderer",
    "make_fullmix_clips",
]

FULLMIX_STEMS = (*STEMS, "other")

# Drums against the rest in the validation set, dB.
_LEVELS = (-6, 0, 6)

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class FullMixConfig:
    """Probabilities in [0, 1], levels in dB."""

    drums_alone: float = 0.08
    music_alone: float = 0.1  # the drum stems must learn silence
    quietest_drums_db: float = -12.0  # against the music; uniform up to:
    loudest_drums_db: float = 6.0
    bus: float = 0.3
    lowpass: float = 0.05
    mono: float = 0.05
    quietest_db: float = 40.0


class FullMixRenderer:
    """Draws excerpts of seven stems; one instance per process.

    Args:
        drums: renders the six drum stems.
        accompaniment: draws the music.
        seed: same seed and sources, same sequence of excerpts.
        config: the ranges.
    """

    def __init__(
        self,
        drums: Source,
        accompaniment: Accompaniment,
        seed: int,
        config: FullMixConfig | None = None,
    ) -> None:
        self.drums = drums
        self.accompaniment = accompaniment
        self.config = config or FullMixConfig()
        self.rng = np.random.default_rng(seed)

    def render(self, samples: int) -> Wave:
        """A new excerpt ``(7, 2, samples)``; the whole mixture peaks between -40 and 0 dBFS.

        Every change to the mixture is the same linear operation on all stems, so they add up.
        """
        rng, config = self.rng, self.config
        stems = np.zeros((len(FULLMIX_STEMS), 2, samples), np.float32)
        what = rng.random()
        if what >= config.music_alone:
            stems[:-1] = self.drums.render(samples)
        if not config.music_alone <= what < config.music_alone + config.drums_alone:
            level = rng.uniform(config.quietest_drums_db, config.loudest_drums_db)
            stems[-1] = self.accompaniment.draw(samples)
            stems[-1] *= _gain(stems[:-1].sum(0), stems[-1], level)
        return mix_down(
            rng,
            stems,
            bus=config.bus,
            dull=config.lowpass,
            mono=config.mono,
            level_db=config.quietest_db,
        )


def _gain(drums: Wave, music: Wave, level: float) -> float:
    """Gain of the music that puts the drums ``level`` dB above it; 1 where one is silent."""
    ours, theirs = (float(np.mean(wave.astype(np.float64) ** 2)) for wave in (drums, music))
    if ours < 1e-12 or theirs < 1e-12:
        return 1.0
    return math.sqrt(ours / theirs) * float(10 ** (-level / 20))


def make_fullmix_clips(
    clips: Path, folder: Path, bank: Path | None, seed: int = 0, each: int = 2
) -> int:
    """Write full mixes of drum clips and validation music, as folders of FLAC files.

    Every drum clip is used ``each`` times, each time at another of the levels -6, 0 and +6 dB.
    ``mix.flac`` is the sample-by-sample sum of the stems; its peak is -1 dBFS.

    Args:
        clips: folders of ``<stem>.flac`` at 44.1 kHz, perhaps with an ``index.csv`` (clip, kit).
        folder: gets the clips and ``index.csv``.
        bank: bank of music whose validation split is used, or None for our own band.
        seed: of the music.
        each: how often every drum clip is used, at most 3.

    Returns:
        How many clips were written.

    Raises:
        DatasetError: no clips, or a rate that is not 44.1 kHz.
    """
    sources = sorted(path.parent for path in clips.glob(f"*/{STEMS[0]}.flac"))
    if not sources:
        raise DatasetError(f"no clip folders with {STEMS[0]}.flac below {clips}")
    kits = _kits(clips / "index.csv")
    music = Accompaniment(bank, seed, "validation")
    rows = []
    for turn in range(each):
        for number, source in enumerate(sources):
            level = _LEVELS[(number + turn) % len(_LEVELS)]
            drums = np.stack([_read(source / f"{stem}.flac") for stem in STEMS])
            other = music.draw(drums.shape[2])
            other *= _gain(drums.sum(0), other, level)
            stems = np.concatenate([drums, other[None]])
            stems *= np.float32(10 ** (-1 / 20) / np.abs(stems.sum(0)).max())
            name = f"{source.name}_drums_{level:+d}dB"
            _write(folder / name, stems)
            rows.append([name, kits.get(source.name, ""), source.name, level, seed])
    with (
        replacing(folder / "index.csv", error=DatasetError) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as handle,
    ):
        writer = csv.writer(handle)
        writer.writerow(["clip", "kit", "drums", "drums_to_rest_db", "seed"])
        writer.writerows(rows)
    return len(rows)


def _kits(index: Path) -> dict[str, str]:
    if not index.is_file():
        return {}
    with index.open(newline="", encoding="utf-8") as handle:
        return {row["clip"]: row.get("kit") or "" for row in csv.DictReader(handle)}


def _read(path: Path) -> Wave:
    wave, rate = read_wave(path)
    if rate != SAMPLE_RATE:
        raise DatasetError(f"{path} is at {rate} Hz; clips must be at {SAMPLE_RATE} Hz")
    return np.asarray(np.broadcast_to(wave.T, (2, len(wave))))


def _write(folder: Path, stems: Wave) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Rounded before the sum, so that the files add up to the mixture exactly.
    whole = np.rint(stems * 32767).astype(np.int16)
    for name, wave in zip(FULLMIX_STEMS, whole, strict=True):
        soundfile.write(folder / f"{name}.flac", wave.T, SAMPLE_RATE, subtype="PCM_16")
    mix = whole.sum(0, dtype=np.int32).astype(np.int16)
    soundfile.write(folder / "mix.flac", mix.T, SAMPLE_RATE, subtype="PCM_16")
