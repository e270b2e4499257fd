# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts with the strokes that made them: truth for transcription, exact to the sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import AtomicFiles, write_audio
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.data.grooves import GrooveLibrary, Note
from lars_plugin.training.data.kits import Instrument, KitLibrary
from lars_plugin.training.render.renderer import STEMS, Renderer, RendererConfig

__all__ = [
    "PLAIN",
    "Excerpt",
    "mixed_excerpts",
    "plain_config",
    "render_excerpts",
    "studio_config",
    "write_clips",
]

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Excerpt:
    """A mixture in parts, and what was played.

    Attributes:
        waves: ``(6, 2, samples)`` float32 at 44.1 kHz, in the order of the renderer's stems.
        notes: the strokes inside the excerpt, onsets in seconds from its start, articulations as
            :data:`~lars_plugin.midi.hits.ARTICULATIONS` name what sounds: a kit
            without a bell has the bow. Strokes before the excerpt that still ring are left out.
    """

    waves: Wave
    notes: tuple[Note, ...]


# Articulations that only the renderer has, mapped to the nearest that a hit can have.
_HEARD_AS = {"rim": "center", "half": "open", "splash": "crash", "china": "crash"}


class _Scribe(Renderer):
    """A renderer that remembers the strokes of its last excerpt, and what sounded for them."""

    played: tuple[tuple[Note, ...], float] = ((), 0.0)

    def _notes(self, seconds: float) -> list[Note]:
        notes = super()._notes(seconds)
        self.played = tuple(notes), seconds
        self._struck: dict[tuple[str, int], tuple[str, str]] = {}
        return notes

    def _instrument(
        self, sounds: dict[str, list[Instrument]], note: Note, half: bool
    ) -> Instrument:
        result = super()._instrument(sounds, note, half)
        # The first instrument of a note is what it sounds like; others are layered under it.
        for articulation, instruments in sounds.items():
            if any(one is result for one in instruments):
                self._struck.setdefault((note.stem, note.number), (articulation, result.name))
        return result

    def heard(self, notes: list[Note]) -> list[Note]:
        """The same strokes with articulations by what sounded."""
        crashes = Counter(
            self._struck[note.stem, note.number] for note in notes if note.stem == "crash"
        )
        first = crashes.most_common(1)[0][0] if crashes else None
        named = []
        for note in notes:
            struck = self._struck[note.stem, note.number]
            name = _HEARD_AS.get(struck[0], struck[0])
            if note.stem == "crash":
                # The more frequent of the crashes is the first.
                name = "crash" if struck == first else "crash2"
            named.append(replace(note, articulation=name))
        return named


def plain_config() -> RendererConfig:
    """Plain performances, each on one kit. Only a room (at times), the balance (a little) and
    the level (over 12 dB) vary."""
    still = RendererConfig(**{field.name: 0.0 for field in fields(RendererConfig)})
    room = {"room": 0.5, "room_seconds": 0.9, "room_db": -8.0}
    return replace(still, whole_kit=1.0, gain_db=2.0, level_db=12.0, **room)


def studio_config() -> RendererConfig:
    """The same, produced: equalised, compressed, saturated, at times with another cymbal."""
    return replace(
        plain_config(), timbre=0.4, pitch_semitones=3.0, studio=0.7, layer=0.1, synthetic=0.12,
        swap_crash=0.06, swap_ride=0.12, extra=0.25, gain_db=3.5, eq=0.4, saturation=0.15,
        bus=0.35, lowpass=0.06, mono=0.05, level_db=20.0,
    )  # fmt: skip


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
    result = 0
    while result < count:
        waves = scribe.render(samples)
        assert waves.shape[0] == len(STEMS)
        notes, total = scribe.played
        begin = total - samples / SAMPLE_RATE  # what comes before is the renderer's ring-in
        inside = [
            replace(note, onset=note.onset - begin)
            for note in notes
            if begin <= note.onset < begin + seconds
        ]
        if inside:
            result += 1
            yield Excerpt(waves, tuple(scribe.heard(inside)))


def write_clips(excerpts: Iterator[Excerpt], folder: Path) -> int:
    """Write excerpts as clips for evaluation: a folder each with a file per stem that sounds,
    the mixture and ``notes.csv`` (onset in seconds, MIDI note, class, articulation, velocity).

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
            lines = ["onset,note,class,articulation,velocity"]
            lines += [
                f"{n.onset:.6f},{n.number},{n.stem},{n.articulation},{n.velocity}"
                for n in excerpt.notes
            ]
            files.create(place / "notes.csv").write(("\n".join(lines) + "\n").encode())
    return count


# Of the mixed excerpts every fourth is a plain performance, beginning with the first.
PLAIN = 4


def mixed_excerpts(
    kits: KitLibrary,
    grooves: GrooveLibrary,
    count: int,
    seconds: float,
    seed: int,
    plain_kits: KitLibrary | None = None,
) -> Iterator[Excerpt]:
    """For tuning, in turn: plain performances, produced ones, and some that vary as much as
    training excerpts do.

    Args:
        kits: all excerpts use these.
        grooves: performances.
        count, seconds, seed: as for :func:`render_excerpts`.
        plain_kits: the plain excerpts use these instead.
    """
    with_synthetic = kits.with_synthetic(8, seed + 17)

    def source(library: KitLibrary, config: RendererConfig | None, shift: int) -> Iterator[Excerpt]:
        return render_excerpts(
            library, grooves, count=count, seconds=seconds, seed=seed + shift, config=config
        )

    plain = source(plain_kits or kits, plain_config(), 0)
    produced = source(with_synthetic, studio_config(), 1)
    wild = source(with_synthetic, None, 2)
    turns = (plain, produced, produced, wild)
    for index in range(count):
        yield next(turns[index % PLAIN])
