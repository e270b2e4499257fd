# SPDX-License-Identifier: GPL-3.0-or-later
"""Drum one-shots by class, articulation and velocity, read from a manifest.

A kit folder holds ``manifest.csv`` with at least the columns ``kit, split, file, class,
articulation, velocity, instrument``; ``file`` is relative to the folder. Any rate is
resampled to 44.1 kHz when read.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.synthesis import SAMPLE_RATE, random_kit

__all__ = ["Instrument", "KitLibrary", "load_kits"]

Wave = NDArray[np.float32]


@dataclass
class Instrument:
    """One drum or cymbal struck in one way: its velocity layers and their hits.

    ``layers[velocity]`` lists waves ``(channels, samples)``, int16 to keep memory small.
    """

    kit: str
    name: str
    layers: dict[int, list[NDArray[np.int16]]]

    def hit(self, velocity: float, rng: np.random.Generator) -> Wave:
        """A hit at this velocity (1 to 127): nearest layer, +30 log10(v / layer) dB."""
        layer = min(self.layers, key=lambda v: abs(v - velocity))
        takes = self.layers[layer]
        wave = takes[rng.integers(len(takes))]
        gain = (max(velocity, 1.0) / layer) ** 1.5 / 32768.0
        return np.asarray(wave.astype(np.float32) * np.float32(gain))


@dataclass
class KitLibrary:
    """``kits[kit][stem][articulation]`` is the list of instruments that can play it."""

    kits: dict[str, dict[str, dict[str, list[Instrument]]]]

    def names(self, stem: str) -> list[str]:
        """Kits that have this stem."""
        return [kit for kit, stems in self.kits.items() if stem in stems]

    def with_synthetic(self, count: int, seed: int) -> KitLibrary:
        """This library plus ``count`` electronic kits drawn from the seed."""
        rng = np.random.default_rng(seed)
        kits = dict(self.kits)
        for index in range(count):
            name = f"synth_{index}"
            kits[name] = {
                stem: {
                    articulation: [
                        Instrument(name, articulation, {127: [_to_int16(wave[None] * 0.5)]})
                    ]
                    for articulation, wave in sounds.items()
                }
                for stem, sounds in random_kit(rng).sounds.items()
            }
        return KitLibrary(kits)


def _to_int16(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.asarray(np.clip(np.rint(wave * 32768.0), -32768, 32767), np.int16)


def load_kits(folder: str | Path, split: str) -> KitLibrary:
    """Read every hit of one split ("train" or "validation") into memory.

    Raises:
        DatasetError: no manifest, an unreadable file, or no row of this split.
    """
    folder = Path(folder)
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise DatasetError(f"{folder} has no manifest.csv; pass the folder that holds it")
    found: dict[tuple[str, str, str, str], dict[int, list[NDArray[np.int16]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    with manifest.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            if row["split"] != split:
                continue
            try:
                wave, rate = soundfile.read(folder / row["file"], dtype="float32", always_2d=True)
            except (OSError, soundfile.SoundFileError) as error:
                raise DatasetError(f"cannot read {folder / row['file']}: {error}") from error
            if rate != SAMPLE_RATE:
                wave = soxr.resample(wave, rate, SAMPLE_RATE)
            key = (row["kit"], row["class"], row["articulation"], row["instrument"])
            found[key][int(row["velocity"])].append(_to_int16(wave.T))
    if not found:
        raise DatasetError(f"{manifest} has no row whose split is {split!r}")
    kits: dict[str, dict[str, dict[str, list[Instrument]]]] = {}
    for (kit, stem, articulation, name), layers in found.items():
        stems = kits.setdefault(kit, {})
        stems.setdefault(stem, {}).setdefault(articulation, []).append(
            Instrument(kit, name, dict(layers))
        )
    return KitLibrary(kits)
