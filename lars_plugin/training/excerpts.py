# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts with the strokes that made them: truth for transcription, exact to the sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles, write_audio
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.grooves import GrooveLibrary, Note
from lars_plugin.training.kits import KitLibrary
from lars_plugin.training.render import STEMS, Renderer, RendererConfig

__all__ = ["Excerpt", "mixed_excerpts", "plain_config", "render_excerpts", "write_clips"]

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Excerpt:
    """A mixture in parts, and what was played.

    Attributes:
        waves: ``(6, 2, samples)`` float32 at 44.1 kHz, in the order of the renderer's stems.
        notes: the strokes inside the excerpt, onsets in seconds from its start. What was struck
            before and still rings is not among them.
    """

    waves: Wave
    notes: tuple[Note, ...]


class _Scribe(Renderer):
    """A renderer that remembers the strokes of its last excerpt."""

    played: tuple[tuple[Note, ...], float] = ((), 0.0)

    def _notes(self, seconds: float) -> list[Note]:
        notes = super()._notes(seconds)
        self.played = tuple(notes), seconds
        return notes


def plain_config() -> RendererConfig:
    """Performances as they were played, on one kit each: a room at times, balances that differ
    a little, levels over 12 dB; nothing else varies."""
    still = RendererConfig(**{field.name: 0.0 for field in fields(RendererConfig)})
    return replace(still, whole_kit=1.0, room=0.5, gain_db=2.0, level_db=12.0)


def render_excerpts(
    kits: KitLibrary,
    grooves: GrooveLibrary,
    *,
    count: int,
    seconds: float,
    seed: int,
    config: RendererConfig | None = None,
) -> Iterator[Excerpt]:
    """Draw excerpts; the same arguments give the same ones.

    An excerpt without a stroke in it is drawn anew.
    """
    scribe = _Scribe(kits, grooves, seed, config)
    samples = round(seconds * SAMPLE_RATE)
    made = 0
    while made < count:
        waves = scribe.render(samples)
        assert waves.shape[0] == len(STEMS)
        notes, total = scribe.played
        begin = total - samples / SAMPLE_RATE  # what comes before is the renderer's ring-in
        inside = tuple(
            replace(note, onset=note.onset - begin)
            for note in notes
            if begin <= note.onset < begin + seconds
        )
        if inside:
            made += 1
            yield Excerpt(waves, inside)


def write_clips(excerpts: Iterator[Excerpt], folder: Path) -> int:
    """Write excerpts as clips for evaluation: a folder each with a file per stem that sounds,
    the mixture and ``notes.csv`` (onset in seconds, MIDI note, class, velocity).

    Returns:
        How many.

    Raises:
        AudioFileError: something cannot be written.
    """
    count = 0
    for count, excerpt in enumerate(excerpts, 1):
        place = folder / f"{count:03d}"
        for stem, wave in zip((*STEMS, "mix"), (*excerpt.waves, excerpt.waves.sum(0)), strict=True):
            write_audio(place / f"{stem}.flac", wave, SAMPLE_RATE, bits="24")
        with AtomicFiles() as files:
            lines = ["onset,note,class,velocity"]
            lines += [f"{n.onset:.6f},{n.number},{n.stem},{n.velocity}" for n in excerpt.notes]
            files.create(place / "notes.csv").write(("\n".join(lines) + "\n").encode())
    return count


def mixed_excerpts(
    kits: KitLibrary, grooves: GrooveLibrary, count: int, seconds: float, seed: int
) -> Iterator[Excerpt]:
    """For tuning: plain performances, and every third as wild as a model is trained on."""
    plain = render_excerpts(
        kits, grooves, count=count, seconds=seconds, seed=seed, config=plain_config()
    )
    wild = render_excerpts(
        kits.with_synthetic(8, seed + 17), grooves, count=count, seconds=seconds, seed=seed + 1
    )
    for index in range(count):
        yield next(wild if index % 3 == 2 else plain)
