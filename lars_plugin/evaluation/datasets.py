# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding clips in folders of three layouts.

``clips``: any folder tree whose lowest folders hold one file per stem (``kick.wav``,
``snare.flac``, ...), with or without ``mix.*`` or ``mixture.*``. An ``index.csv`` at the top with
columns ``clip`` and ``kit`` lists the kits.

``musdb``: MUSDB18-HQ: the same, under ``test`` and ``train``, with vocals, bass, drums, other.

``stemgmd``: see :mod:`lars_plugin.evaluation.stemgmd`.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from lars_plugin.audio import EXTENSIONS, printable
from lars_plugin.errors import DatasetError, InputError
from lars_plugin.evaluation import stemgmd
from lars_plugin.evaluation.clips import Clip, stem_order
from lars_plugin.model import STEM_NAMES, canonical_stem

__all__ = ["LAYOUTS", "Layout", "find_clips"]

log = logging.getLogger(__name__)

Layout = Literal["clips", "musdb", "stemgmd"]
LAYOUTS: tuple[Layout, ...] = ("clips", "musdb", "stemgmd")

_MUSIC = {"vocals", "bass", "drums", "other"}


def find_clips(
    folder: Path,
    layout: Layout | None = None,
    *,
    split: str | None = None,
    kits: Sequence[str] = (),
) -> tuple[Layout, list[Clip]]:
    """The clips in a folder, sorted by name.

    Args:
        folder: the top of a tree.
        layout: one of :data:`LAYOUTS`; None detects it.
        split: for the layouts that have splits; None is ``test``.
        kits: only these; all for none.

    Raises:
        DatasetError: no such folder, or no clips in it.
        InputError: a split for a layout without splits, or an unknown kit.
    """
    if not folder.is_dir():
        raise DatasetError(f"{printable(folder)} is not a folder; give one that holds clips")
    if layout is None:
        layout = _recognise(folder)
    if layout == "stemgmd":
        clips = stemgmd.find(folder, split or "test")
    elif layout == "musdb":
        clips = _find_musdb(folder, split or "test")
    elif split is not None:
        raise InputError("a folder of clips has no splits; leave the split out")
    else:
        clips = _find_plain(folder, _kits_of(folder))
    if not clips:
        raise DatasetError(
            f"{printable(folder)} holds no clips: folders with a file for each stem"
            f" ({', '.join(STEM_NAMES[:6])} ...) were looked for, layout {layout!r}"
        )
    if len({clip.name for clip in clips}) < len(clips):
        raise DatasetError(f"two clips in {printable(folder)} have one name; rename one of them")
    if kits:
        there = sorted({clip.kit for clip in clips})
        unknown = [kit for kit in kits if kit not in there]
        if unknown:
            raise InputError(f"no kit {', '.join(unknown)}; there are: {', '.join(there)}")
        clips = [clip for clip in clips if clip.kit in kits]
    return layout, clips


def _recognise(folder: Path) -> Layout:
    if next(stemgmd.kit_folders(folder), None) is not None:
        return "stemgmd"
    for part in (folder, folder / "test", folder / "train"):
        first = next(iter(_find_plain(part, {})), None) if part.is_dir() else None
        if first is not None:
            return "musdb" if set(first.stems) == _MUSIC else "clips"
    return "clips"


def _find_musdb(folder: Path, split: str) -> list[Clip]:
    parts = [folder / name for name in ("test", "train") if (folder / name).is_dir()]
    if split not in ("test", "train", "all"):
        raise InputError(f"MUSDB18-HQ has no split {split!r}; use test, train or all")
    if split != "all" and parts:
        parts = [part for part in parts if part.name == split]
        if not parts:
            raise DatasetError(f"{printable(folder)} has no folder {split!r}")
    clips = [clip for part in parts or [folder] for clip in _find_plain(part, {}, folder)]
    return sorted(clips, key=lambda clip: clip.name)


def _find_plain(folder: Path, kits: Mapping[str, str], top: Path | None = None) -> list[Clip]:
    clips = []
    for path, names in _walk(folder):
        stems: dict[str, tuple[Path, ...]] = {}
        mixture = None
        for name in names:
            file = path / name
            if file.stem.lower() in stemgmd.MIXTURE_NAMES:
                mixture = file
                continue
            try:
                stem = canonical_stem(file.stem)
            except InputError:
                log.warning("%s: no stem of that name is known; left out", printable(file))
                continue
            if stem in stems:
                raise DatasetError(f"{printable(path)} holds {stem} twice; remove one of them")
            stems[stem] = (file,)
        # A single file is some recording, not a clip with stems.
        if len(stems) + (mixture is not None) > 1 and stems:
            name = printable(path.relative_to(top or folder).as_posix())
            stems = {stem: stems[stem] for stem in sorted(stems, key=stem_order)}
            clips.append(
                Clip(
                    printable(path.name) if name == "." else name,
                    stems,
                    mixture,
                    kits.get(name, ""),
                )
            )
    return sorted(clips, key=lambda clip: clip.name)


def _walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders below (and the folder itself) with the names of their audio files."""
    for path, folders, names in os.walk(folder):
        folders.sort()
        yield Path(path), sorted(n for n in names if Path(n).suffix.lower() in EXTENSIONS)


def _kits_of(folder: Path) -> dict[str, str]:
    index = folder / "index.csv"
    if not index.is_file():
        return {}
    with index.open(newline="", encoding="utf-8", errors="replace") as file:
        return {r["clip"]: r.get("kit") or "" for r in csv.DictReader(file) if r.get("clip")}
