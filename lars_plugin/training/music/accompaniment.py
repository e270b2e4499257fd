# SPDX-License-Identifier: GPL-3.0-or-later
"""Endless music without drums, for models of whole songs.

Two sources, alone or together: our own band (:mod:`lars_plugin.training.music.band`), and a bank
made beforehand (:mod:`lars_plugin.training.music.bank`, :mod:`~.music.arrangements`): songs that a
General MIDI synthesiser rendered, and recordings. Where the bank has voices and instruments alone,
half of the excerpts have one of these over the rest; where it has percussion, a third has some, or
nothing else.
The splits share nothing: other instruments, other programs, other chord progressions.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError, InputError
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.music.band import perform
from lars_plugin.training.music.bank_index import BANK_INDEX, MUSIC, PERCUSSION, SOLO
from lars_plugin.training.music.song import SPLITS, Split
from lars_plugin.training.sounds.effects import equalise
from lars_plugin.training.sounds.files import read_wave

__all__ = ["Accompaniment"]

Wave = NDArray[np.float32]

# Probabilities of the bank alone, the band alone, and both. Without a bank only the band plays.
_BANK, _BAND = 0.4, 0.4
_SOLO = 0.5  # of one voice or instrument over the rest, where the bank has any
_PERCUSSION, _ALONE = 0.35, 0.3  # of percussion, where the bank has any; and then of it alone
_REST = 1e-3  # what peaks below this is silent


class Accompaniment:
    """Draws excerpts; one instance per process.

    Args:
        bank: folder made by ``python -m lars_plugin.training.prepare accompaniment``, or None for
            our own band alone.
        seed: same seed and bank, same sequence of excerpts.
        split: "train" or "validation".

    Raises:
        InputError: an unknown split.
        DatasetError: the bank holds nothing of this split.
    """

    def __init__(self, bank: Path | str | None, seed: int, split: Split = "train") -> None:
        if split not in SPLITS:
            raise InputError(f"no split {split!r}; use {' or '.join(SPLITS)}")
        self.split: Split = split
        self.rng = np.random.default_rng([seed, SPLITS.index(split)])
        layers = _list_bank(Path(bank), split) if bank is not None else {}
        self.files = layers.get(MUSIC, [])
        self.solos = layers.get(SOLO, [])
        self.percussion = layers.get(PERCUSSION, [])

    def draw(self, samples: int) -> Wave:
        """A new excerpt ``(2, samples)`` float32 at 44.1 kHz that peaks at 1; never silent."""
        rng = self.rng
        source = rng.random() if self.files else _BANK
        if source < _BANK:
            mixed = self._from_bank(samples)
        elif source < _BANK + _BAND:
            mixed = perform(rng, self.split, samples)
        else:
            mixed = self._beside(self._from_bank(samples), perform(rng, self.split, samples))
        if self.solos and rng.random() < _SOLO:
            solo = self._excerpt(self.solos, samples)
            if solo is not None:
                mixed = self._beside(mixed, solo)
        if self.percussion and rng.random() < _PERCUSSION:
            struck = self._excerpt(self.percussion, samples)
            if struck is not None:
                mixed = struck if rng.random() < _ALONE else self._beside(mixed, struck)
        width = rng.choice([0.0, 1.0, 1.0, 1.0, rng.uniform(0, 1.5)])
        middle, side = mixed.mean(0), (mixed[0] - mixed[1]) * np.float32(0.5 * width)
        mixed = np.stack([middle + side, middle - side])
        if rng.random() < 0.5:
            mixed = mixed[::-1]
        # Opposite channels cancel in mono. The result would be silent, so draw again.
        peak = float(np.abs(mixed).max())
        return np.ascontiguousarray(mixed / peak) if peak > _REST else self.draw(samples)

    def _beside(self, one: Wave, other: Wave) -> Wave:
        """A sum of two waves that sound; the second is as loud as the first, give or take 5 dB."""
        gain = 10 ** (self.rng.normal(0, 5) / 20) * np.sqrt(np.mean(one**2) / np.mean(other**2))
        return np.asarray(one + np.float32(gain) * other, np.float32)

    def _from_bank(self, samples: int) -> Wave:
        """A piece of the bank's music; of our own band where the bank rests."""
        out = self._excerpt(self.files, samples)
        return perform(self.rng, self.split, samples) if out is None else out

    def _excerpt(self, files: list[Path], samples: int) -> Wave | None:
        """A piece of a random file, up to three semitones faster or slower, equalised; None: a
        rest."""
        rng = self.rng
        path = files[rng.integers(len(files))]
        rate = 2 ** (rng.uniform(-3, 3) / 12)
        wanted = int(samples * rate) + 64
        try:
            total = soundfile.info(path).frames
        except (OSError, soundfile.SoundFileError) as error:
            raise DatasetError(f"cannot read {path}: {error}") from error
        start = int(rng.integers(0, max(1, total - wanted + 1)))
        wave, _ = read_wave(path, wanted, start)
        if len(wave) < wanted:  # an excerpt longer than the file: play it again
            wave = np.tile(wave, (-(-wanted // len(wave)), 1))[:wanted]
        out = soxr.resample(wave, rate, 1.0, quality="MQ").T[:, :samples]
        out = np.pad(out, ((0, 0), (0, samples - out.shape[1])))
        peak = float(np.abs(out).max())
        if peak < _REST:
            return None
        if rng.random() < 0.5:
            equalise(rng, out)
        return np.asarray(out / peak, np.float32)


def _list_bank(bank: Path, split: Split) -> dict[str, list[Path]]:
    """Files by layer; those of earlier versions are music."""
    index = bank / BANK_INDEX
    if not index.is_file():
        raise DatasetError(
            f"{bank} has no {BANK_INDEX}; make the bank with"
            " `python -m lars_plugin.training.prepare accompaniment FOLDER`"
        )
    with index.open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == split]
    if not rows:
        raise DatasetError(f"{index} has no row whose split is {split!r}")
    layers: dict[str, list[Path]] = {}
    for row in rows:
        path = bank / row["file"]
        if int(row["sample_rate"]) != SAMPLE_RATE:
            raise DatasetError(f"{path} is not at {SAMPLE_RATE} Hz; make the bank anew")
        layers.setdefault(row.get("layer") or MUSIC, []).append(path)
    return layers
