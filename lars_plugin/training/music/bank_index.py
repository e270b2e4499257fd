# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a bank of music: ``bank.csv``, one row for each file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.files import replacing
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.music.song import SPLITS, Split

__all__ = ["BANK_INDEX", "MUSIC", "PERCUSSION", "SOLO", "BankIndex", "write_piece"]

BANK_INDEX = "bank.csv"

# What a file is: music that stands alone, one voice or instrument to lay over it, or percussion
# that is none of our drums.
MUSIC, SOLO, PERCUSSION = "music", "solo", "percussion"

_COLUMNS = (
    "file", "split", "seed", "seconds", "sample_rate", "tempo", "key", "programs", "soundfont",
    "soundfont_sha256", "layer", "source",
)  # fmt: skip


class BankIndex:
    """A bank's list, to add to.

    Args:
        folder: of the bank; made if it is not there, with a folder for each split.

    Attributes:
        files: names of the files that are listed.

    Raises:
        DatasetError: the list cannot be read or written, or is not a bank's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / BANK_INDEX
        try:
            for split in SPLITS:
                (folder / split).mkdir(parents=True, exist_ok=True)
            rows = self._rows()
            self.files = {row["file"] for row in rows}
        except KeyError as error:
            raise DatasetError(
                f"{self._path} is not the list of a bank: no column {error}"
            ) from None
        except (OSError, UnicodeError, csv.Error) as error:
            raise DatasetError(f"cannot read {self._path}: {error}") from error
        # A list of an earlier version lacks columns: it is written anew, with all of them.
        with (
            replacing(self._path, error=DatasetError) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as handle,
        ):
            writer = csv.DictWriter(handle, _COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def _rows(self) -> list[dict[str, str]]:
        if not self._path.is_file():
            return []
        with self._path.open(newline="", encoding="utf-8") as handle:
            return list(csv.DictReader(handle))

    def add(self, file: str, split: Split, seconds: float, **columns: object) -> None:
        """List a file that is whole.

        Args:
            file: its name below the folder, with ``/``.
            split: of the files that it belongs to.
            seconds: its length.
            columns: other columns.

        Raises:
            DatasetError: the list cannot be written.
        """
        row = {"file": file, "split": split, "seconds": seconds, "sample_rate": SAMPLE_RATE}
        try:
            with self._path.open("a", newline="", encoding="utf-8") as handle:
                csv.DictWriter(handle, _COLUMNS, restval="").writerow({**row, **columns})
        except OSError as error:
            raise DatasetError(f"cannot write {self._path}: {error}") from error
        self.files.add(file)


def write_piece(wave: NDArray[np.float32], out: Path) -> None:
    """A wave ``(2, samples)`` as 16-bit FLAC at 44.1 kHz that peaks at -1 dBFS.

    Raises:
        DatasetError: it cannot be written.
    """
    loud = wave.T * (0.89 / np.abs(wave).max())
    with replacing(out, error=DatasetError) as temporary:
        soundfile.write(temporary, loud, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
