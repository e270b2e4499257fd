# SPDX-License-Identifier: GPL-3.0-or-later
"""The hits of a job, found by the functions of ``lars midi``, as JSON, MIDI and picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from lars_plugin.cli.midi_options import check_hit_options, find_hits, write_hits
from lars_plugin.errors import InputError
from lars_plugin.files import AtomicFiles
from lars_plugin.midi.hits import DRUMS, DrumHit
from lars_plugin.midi.notemaps import NOTE_MAPS
from lars_plugin.stems import Stems
from lars_plugin.studio.folders import Folders
from lars_plugin.studio.ledger import Job
from lars_plugin.studio.settings import finite, separate_options

__all__ = ["find", "load", "write_midi", "write_picture"]

_GRIDS = ("1/4", "1/8", "1/8t", "1/16", "1/16t", "1/32")


def _options(job: Job, folders: Folders) -> argparse.Namespace:
    return separate_options(job.settings, Path(job.source), folders.stems(job))


def _stems(job: Job, folders: Folders) -> Stems:
    from lars_plugin.audio import read_audio

    read = {name: read_audio(folders.lane(job, name)) for name in job.stems}
    return Stems({name: wave for name, (wave, _) in read.items()}, job.rate)


def find(job: Job, folders: Folders) -> None:
    """Find the hits of a job and keep them; none in stems other than drums."""
    hits: list[DrumHit] = []
    if any(name in DRUMS for name in job.stems):
        hits = find_hits(_options(job, folders), _stems(job, folders))
    text = json.dumps([asdict(hit) for hit in hits])
    with AtomicFiles() as files:
        files.create(folders.cache(job.id) / "hits.json").write(text.encode())


def load(job: Job, folders: Folders) -> list[DrumHit]:
    """The hits of a job.

    Raises:
        InputError: they have not been found yet.
    """
    path = folders.cache(job.id) / "hits.json"
    if job.hits != "done" or not path.is_file():
        raise InputError(
            job.hit_error or f"the hits of {job.name} are not found yet; wait for them"
        )
    return [DrumHit(**data) for data in json.loads(path.read_text(encoding="utf-8"))]


def write_midi(job: Job, folders: Folders, query: Mapping[str, str], path: Path) -> None:
    """Write the MIDI file.

    Args:
        job: whose hits are found.
        folders: of the studio.
        query: ``map`` (a name), ``bpm`` (a number or auto), ``quantise``, ``strength``.
        path: of the new file.

    Raises:
        InputError: an invalid value; says which.
    """
    args = _options(job, folders)
    args.note_map = query.get("map", "gm")
    if args.note_map not in NOTE_MAPS:  # a path would let the page open files anywhere
        raise InputError(f"unknown note map; use {', '.join(NOTE_MAPS)}")
    args.bpm = query.get("bpm") or "120"
    if args.bpm != "auto":
        args.bpm = str(finite(args.bpm, 20, 400, "the tempo"))
    args.quantise = query.get("quantise") or None
    if args.quantise is not None and args.quantise not in _GRIDS:
        raise InputError(f"unknown grid; use {', '.join(_GRIDS)}")
    args.strength = finite(query.get("strength", "1"), 0, 1, "strength")
    check_hit_options(args)
    write_hits(args, load(job, folders), path)


def write_picture(job: Job, folders: Folders, path: Path) -> None:
    """Write the picture of the drums' waveforms with the hits on them."""
    from lars_plugin.midi.plot import draw_hits, save_plot

    save_plot(draw_hits(_stems(job, folders), load(job, folders)), path)
