# SPDX-License-Identifier: GPL-3.0-or-later
"""StemGMD: nine isolated pieces per performance and kit, in the folders its authors made.

::

    StemGMD/audio/drummer1/eval_session/brooklyn/kick/10_soul-groove10_102_beat_4-4.wav
                  (drummer) (session)    (kit)   (piece)  (performance)

Pieces: kick, snare, hi_tom, mid_tom, low_tom, hihat_closed, hihat_open, crash_left, ride. A
folder ``mixture`` beside them is used where it exists, otherwise the pieces are added up; where
the pieces of a stem are missing but a folder of the stem's own name exists (``toms``), that is
used. The tree may start at any folder above the kits.

Splits are those of the Groove MIDI Dataset, read from its ``info.csv`` (any CSV near the top with
a column ``split`` and ``midi_filename`` or ``audio_filename``). Without it, ``test`` means the
folders ``eval_session``, all of which belong to the test split.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from lars_plugin.audio import EXTENSIONS, printable
from lars_plugin.errors import DatasetError, InputError
from lars_plugin.evaluation.clips import Clip

__all__ = ["MIXTURE_NAMES", "PIECES", "SPLITS", "UNSEEN_KITS", "find", "kit_folders"]

log = logging.getLogger(__name__)

MIXTURE_NAMES = ("mix", "mixture")

# Which pieces make a stem.
PIECES = {
    "kick": ("kick",),
    "snare": ("snare",),
    "toms": ("hi_tom", "mid_tom", "low_tom"),
    "hihat": ("hihat_closed", "hihat_open"),
    "ride": ("ride",),
    "crash": ("crash_left",),
}

# The four of its ten kits that its authors reserve for testing.
UNSEEN_KITS = ("bluebird", "detroit_garage", "motown_revisited", "roots")

SPLITS = ("test", "eval", "validation", "train", "all")

_STEMS = (*PIECES, "cymbals")


def kit_folders(folder: Path) -> Iterator[Path]:
    """Folders that hold piece folders, in sorted order, the folder itself included."""
    for path, folders, _ in os.walk(folder):
        folders.sort()
        if {"kick", "snare"} <= set(folders):
            # Only pieces are below, so the search stops here.
            folders.clear()
            yield Path(path)


def find(folder: Path, split: str) -> list[Clip]:
    """The clips of a split, sorted by name; ``eval`` is the eval sessions, ``all`` everything.

    Raises:
        InputError: an unknown split.
        DatasetError: a split that needs ``info.csv``, without that file.
    """
    if split not in SPLITS:
        raise InputError(f"StemGMD has no split {split!r}; use {', '.join(SPLITS)}")
    splits = {} if split in ("eval", "all") else _read_splits(folder)
    if not splits and split in ("validation", "train"):
        raise DatasetError(
            f"the split {split!r} of StemGMD needs the Groove MIDI Dataset's info.csv; put"
            f" that file into {printable(folder)}, or use eval or all"
        )
    if not splits and split == "test":
        log.info("no info.csv in %s: the test split is the eval sessions", printable(folder))
    clips = []
    for kit in kit_folders(folder):
        session = "/".join(Path(os.path.abspath(kit)).parts[-3:-1])
        if (split == "eval" or (split == "test" and not splits)) and kit.parent.name != (
            "eval_session"
        ):
            continue
        for clip in _clips_of(kit, folder):
            performance = f"{session}/{clip.name.rpartition('/')[2]}"
            if not splits or splits.get(performance) == split:
                clips.append(clip)
    return sorted(clips, key=lambda clip: clip.name)


def _clips_of(kit: Path, top: Path) -> list[Clip]:
    files: dict[str, dict[str, Path]] = {}  # piece -> performance -> file
    for piece in kit.iterdir():
        if piece.is_dir():
            files[piece.name] = {
                file.stem: file for file in piece.iterdir() if file.suffix.lower() in EXTENSIONS
            }
    performances = sorted({name for piece in ("kick", "snare") for name in files[piece]})
    clips = []
    for name in performances:
        stems: dict[str, tuple[Path, ...]] = {}
        for stem in _STEMS:
            pieces = [piece for piece in PIECES.get(stem, ()) if name in files.get(piece, {})]
            if (
                not pieces
                and name in files.get(stem, {})
                and not (stem == "cymbals" and {"ride", "crash"} & set(stems))
            ):
                pieces = [stem]
            if pieces:
                stems[stem] = tuple(files[piece][name] for piece in pieces)
        mixture = next(
            (files[mix][name] for mix in MIXTURE_NAMES if name in files.get(mix, {})), None
        )
        where = kit.relative_to(top) / name
        clips.append(Clip(printable(where.as_posix()), stems, mixture, printable(kit.name)))
    return clips


def _read_splits(folder: Path) -> dict[str, str]:
    """``drummer/session/performance`` to split, from the first table that has it."""
    for table in sorted([*folder.glob("*.csv"), *folder.glob("*/*.csv")]):
        with table.open(newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            name = next((c for c in ("midi_filename", "audio_filename") if c in columns), None)
            if name is None or "split" not in columns:
                continue
            return {row[name].rpartition(".")[0]: row["split"] for row in reader if row.get(name)}
    return {}
