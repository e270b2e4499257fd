# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a bank of music: ``bank.csv``, one row for each file."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import TextIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.files import replacing
from lars_plugin.synthesis import SAMPLE_RATE

__all__ = ["BANK_INDEX", "MUSIC", "SOLO", "BankIndex", "write_piece"]

BANK_INDEX = "bank.csv"

# What a file is: music that stands alone, or one voice or instrument to lay over it.
MUSIC, SOLO = "music", "solo"

_COLUMNS = (
    "file", "split", "seed", "seconds", "sample_rate", "tempo", "key", "programs", "soundfont",
    "soundfont_sha256", "layer", "source",
)  # fmt: skip


class BankIndex:
    """A bank's list, to add to: a context manager.

    Args:
        folder: of the bank; made if it is not there.

    Attributes:
        files: names of the files that are listed.

    Raises:
        DatasetError: the list cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / BANK_INDEX
        try:
            folder.mkdir(parents=True, exist_ok=True)
            rows = self._rows()
        except (OSError, UnicodeError, csv.Error) as error:
            raise DatasetError(f"cannot read {self._path}: {error}") from error
        self.files = {row["file"] for row in rows}
        # A list of an earlier version lacks columns: it is written anew, with all of them.
        with (
            replacing(self._path, error=DatasetError) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as handle,
        ):
            writer = csv.DictWriter(handle, _COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        self._handle: TextIO | None = None

    def _rows(self) -> list[dict[str, str]]:
        if not self._path.is_file():
            return []
        with self._path.open(newline="", encoding="utf-8") as handle:
            return list(csv.DictReader(handle))

    def __enter__(self) -> BankIndex:
        self._handle = self._path.open("a", newline="", encoding="utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            self._handle.close()

    def add(self, file: str, split: str, seconds: float, **columns: object) -> None:
        """List a file that is whole; the row is on disk when this returns.

        Args:
            file: its name below the folder, with ``/``.
            split: "train" or "validation".
            seconds: its length.
            columns: other columns.
        """
        if self._handle is None:
            raise RuntimeError("the list is not open: use `with`")
        row = {"file": file, "split": split, "seconds": seconds, "sample_rate": SAMPLE_RATE}
        csv.DictWriter(self._handle, _COLUMNS, restval="").writerow({**row, **columns})
        self._handle.flush()
        self.files.add(file)


def write_piece(wave: NDArray[np.float32], out: Path) -> None:
    """A wave ``(2, samples)`` as 16-bit FLAC at 44.1 kHz that peaks at -1 dBFS.

    Raises:
        DatasetError: it cannot be written.
    """
    loud = wave.T * (0.89 / np.abs(wave).max())
    with replacing(out, error=DatasetError) as temporary:
        soundfile.write(temporary, loud, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
