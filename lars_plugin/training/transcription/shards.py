# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered performances as mel powers of each stem, in files that can be mixed anew many times.

Rendering a second of drums takes many times as long as mixing its mel powers. Powers of different
sources add up but for their phases, so stems, other performances and music are put together in
training as sums of powers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles
from lars_plugin.errors import DatasetError
from lars_plugin.midi.mel import SAMPLE_RATE, mel_powers
from lars_plugin.networks.transcriber.config import STROKES
from lars_plugin.training.data.excerpts import (
    Excerpt,
    plain_config,
    render_excerpts,
    studio_config,
)
from lars_plugin.training.data.grooves import GrooveLibrary
from lars_plugin.training.data.kits import KitLibrary
from lars_plugin.training.render.renderer import RendererConfig

__all__ = [
    "Performance",
    "pack",
    "read_shards",
    "render_music",
    "render_performances",
    "unpack",
]

# Powers are kept in half decibels above this.
_LOWEST_DB, _STEPS = -110.0, 2
_PLACE = {stroke: index for index, stroke in enumerate(STROKES)}
_SECONDS = 10.0
_EACH = 120  # excerpts per file
# Other drums than the kits', in rooms, compressed, mono: a transcriber need not take them apart.
_WILD = RendererConfig(
    timbre=0.85, layer=0.3, synthetic=0.25, eq=0.6, equaliser=0.3, dry=0.0, microphones=0.0
)
_SYNTHETIC = 16  # kits of our own synthesis, drawn anew for each file

Floats = NDArray[np.float32]
Source = Callable[[int], Floats]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Performance:
    """Attributes:
    stems: ``(6, frames, bands)`` packed powers, in the order of the renderer's stems.
    strokes: ``(n, 3)`` float32: second, index in ``STROKES``, velocity 1 to 127.
    """

    stems: Bytes
    strokes: Floats


def pack(powers: Floats) -> Bytes:
    """Powers as uint8; 0 is silence, or what is below -110 dB."""
    decibels = 10 * np.log10(np.maximum(powers, 1e-14))
    return np.clip(np.rint(_STEPS * (decibels - _LOWEST_DB)), 0, 255).astype(np.uint8)


_TABLE = np.where(
    np.arange(256) == 0, 0.0, 10 ** ((np.arange(256) / _STEPS + _LOWEST_DB) / 10)
).astype(np.float32)


def unpack(packed: Bytes) -> Floats:
    """The inverse of :func:`pack`, to a quarter of a decibel."""
    return np.asarray(_TABLE[packed], np.float32)


def render_performances(
    folder: Path,
    kits: KitLibrary,
    grooves: GrooveLibrary,
    *,
    hours: float,
    seed: int,
    tell: Callable[[str], None],
    each: int | None = None,
) -> None:
    """Render until a folder holds so many hours; files that are there count.

    Half of the excerpts are wild, a quarter is produced, a quarter is plain.

    Raises:
        AudioFileError: a file cannot be written.
    """
    begin = time.monotonic()
    number, each = 0, each or _EACH
    while number * each * _SECONDS < hours * 3600:
        path = folder / f"drums-{seed}-{number:04d}.npz"
        number += 1
        if path.is_file():
            continue
        base = (seed * 10000 + number) * 10
        library = kits.with_synthetic(_SYNTHETIC, base)
        sources = [
            render_excerpts(
                library, grooves, count=each, seconds=_SECONDS, seed=base + turn, config=config
            )
            for turn, config in enumerate([_WILD, studio_config(), _WILD, plain_config()])
        ]
        excerpts = [next(sources[index % len(sources)]) for index in range(each)]
        counts = [len(one.notes) for one in excerpts]
        _write(
            path,
            stems=np.stack([_packed(one) for one in excerpts]),
            strokes=np.concatenate([_strokes(one) for one in excerpts]),
            counts=np.array(counts),
        )
        tell(
            f"{number * each * _SECONDS / 3600:.2f} of {hours:g} hours rendered,"
            f" {time.monotonic() - begin:.0f} s"
        )


def _packed(excerpt: Excerpt) -> Bytes:
    return np.stack([pack(mel_powers(stem)) for stem in excerpt.waves])


def _strokes(excerpt: Excerpt) -> Floats:
    rows = [
        (
            note.onset,
            _PLACE[note.stem, "crash" if note.stem == "crash" else note.articulation],
            note.velocity,
        )
        for note in excerpt.notes
    ]
    return np.array(rows, np.float32)


def render_music(
    folder: Path,
    source: Callable[[int], Source],
    *,
    hours: float,
    seed: int,
    tell: Callable[[str], None],
    each: int | None = None,
) -> None:
    """The same for music without drums.

    Args:
        folder: gets the files.
        source: makes what draws so many samples ``(channels, samples)`` at 44.1 kHz, from a seed:
            each file has one of its own, so that a folder can be filled in several runs.
        hours, seed, tell, each: as above.
    """
    number, each = 0, each or _EACH
    while number * each * _SECONDS < hours * 3600:
        path = folder / f"music-{seed}-{number:04d}.npz"
        number += 1
        if path.is_file():
            continue
        draw = source(seed * 10000 + number)
        pieces = [pack(mel_powers(draw(round(_SECONDS * SAMPLE_RATE)))) for _ in range(each)]
        _write(path, music=np.stack(pieces))
        tell(f"{number * each * _SECONDS / 3600:.2f} of {hours:g} hours of music")


def _write(path: Path, **arrays: NDArray[np.generic]) -> None:
    with AtomicFiles() as files:
        np.savez(files.create(path), **arrays)  # type: ignore[arg-type]


def read_shards(folder: Path) -> tuple[list[Performance], list[Bytes]]:
    """Performances and pieces of music of a folder.

    Raises:
        DatasetError: a file is broken, or there is no performance.
    """
    performances: list[Performance] = []
    music: list[Bytes] = []
    for path in sorted(folder.glob("*.npz")):
        try:
            with np.load(path) as data:
                if "music" in data:
                    music += list(data["music"])
                    continue
                strokes = np.split(data["strokes"], np.cumsum(data["counts"])[:-1])
                performances += [
                    Performance(stems, mine)
                    for stems, mine in zip(data["stems"], strokes, strict=True)
                ]
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{path} is broken ({error}); remove it") from error
    if not performances:
        raise DatasetError(f"{folder} holds no rendered performances")
    return performances, music
