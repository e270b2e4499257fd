# SPDX-License-Identifier: GPL-3.0-or-later
"""Drum one-shots by class, articulation and velocity, read from a manifest.

A kit folder holds ``manifest.csv`` with at least the columns ``kit, split, file, class,
articulation, velocity, instrument``; ``file`` is relative to the folder. Any rate is
resampled to 44.1 kHz when read.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.synthesis import SAMPLE_RATE, random_kit
from lars_plugin.training.sounds.cymbals import bronze_sounds
from lars_plugin.training.sounds.files import read_wave

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

    def choose(self, velocity: float, rng: np.random.Generator) -> tuple[int, int, float]:
        """What plays this velocity (1 to 127): layer, index of a hit in it, gain.

        The gain is +30 log10(v / layer) dB, which is how the manifest's velocities are defined.
        """
        layer = min(self.layers, key=lambda v: abs(v - velocity))
        return layer, int(rng.integers(len(self.layers[layer]))), (max(velocity, 1) / layer) ** 1.5


@dataclass
class KitLibrary:
    """``kits[kit][stem][articulation]`` is the list of instruments that can play it."""

    kits: dict[str, dict[str, dict[str, list[Instrument]]]]

    def names(self, stem: str) -> list[str]:
        """Kits that have this stem."""
        return [kit for kit, stems in self.kits.items() if stem in stems]

    def weight(self, kit: str, stem: str) -> float:
        """How often a kit plays a stem: more often with more sounds, by their logarithm."""
        hits = sum(
            len(layer)
            for instruments in self.kits[kit][stem].values()
            for instrument in instruments
            for layer in instrument.layers.values()
        )
        return 1.0 + float(np.log2(hits))

    def with_synthetic(self, count: int, seed: int) -> KitLibrary:
        """This library plus ``count`` kits drawn from the seed.

        All have electronic drums; every second one has cymbals of shaped noise, closer to bronze.
        """
        rng = np.random.default_rng(seed)
        kits = dict(self.kits)
        for index in range(count):
            name = f"synth_{index}"
            sounds = dict(random_kit(rng).sounds)
            if index % 2:
                sounds.update(bronze_sounds(rng))
            kits[name] = {
                stem: {
                    articulation: [
                        Instrument(name, articulation, {127: [_to_int16(wave[None] * 0.5)]})
                    ]
                    for articulation, wave in waves.items()
                }
                for stem, waves in sounds.items()
            }
        return KitLibrary(kits)


def _to_int16(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.asarray(np.clip(np.rint(wave * 32768.0), -32768, 32767), np.int16)


def load_kits(
    folders: str | Path | Sequence[str | Path], split: str, exclude: Collection[str] = ()
) -> KitLibrary:
    """Read every hit of one split ("train" or "validation") into memory.

    Args:
        folders: the one that holds the manifest, or several such.
        split: "train" or "validation".
        exclude: names of kits that are not read.

    Raises:
        DatasetError: no manifest, an unreadable file, no row left for this split, or an
            excluded kit that no manifest lists.
    """
    paths = [Path(f) for f in ([folders] if isinstance(folders, str | Path) else folders)]
    found: dict[tuple[str, str, str, str], dict[int, list[NDArray[np.int16]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    known: set[str] = set()
    for folder in paths:
        known |= _read_manifest(folder, split, exclude, found)
    manifests = ", ".join(str(folder / "manifest.csv") for folder in paths)
    # A misspelt name would train on a kit that the model's card lists as left out.
    unknown = sorted(set(exclude) - known)
    if unknown:
        raise DatasetError(
            f"{manifests} has no kit {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )
    if not found:
        left = " and is not excluded" if exclude else ""
        raise DatasetError(f"{manifests} has no row whose split is {split!r}{left}")
    kits: dict[str, dict[str, dict[str, list[Instrument]]]] = {}
    for (kit, stem, articulation, name), layers in found.items():
        stems = kits.setdefault(kit, {})
        stems.setdefault(stem, {}).setdefault(articulation, []).append(
            Instrument(kit, name, dict(layers))
        )
    return KitLibrary(kits)


def _read_manifest(
    folder: Path,
    split: str,
    exclude: Collection[str],
    found: dict[tuple[str, str, str, str], dict[int, list[NDArray[np.int16]]]],
) -> set[str]:
    """Add a folder's hits to what was found; returns the names of all its kits."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise DatasetError(f"{folder} has no manifest.csv; pass the folder that holds it")
    known: set[str] = set()
    with manifest.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            known.add(row["kit"])
            if row["split"] != split or row["kit"] in exclude:
                continue
            wave, rate = read_wave(folder / row["file"])
            if rate != SAMPLE_RATE:
                wave = soxr.resample(wave, rate, SAMPLE_RATE)
            key = (row["kit"], row["class"], row["articulation"], row["instrument"])
            found[key][int(row["velocity"])].append(_to_int16(wave.T))
    return known
