# SPDX-License-Identifier: GPL-3.0-or-later
"""Percussion that is none of our drums, for a bank: tambourines, shakers, claps, congas ...

A record has it beside the drum kit, and it belongs to no stem of the kit: a model that has never
heard it calls a shaker a hi-hat. FluidSynth plays it from the drum channel of General MIDI sound
fonts, of which everything that a kit has is left out. It serves training only, as arrangements do.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from lars_plugin.errors import InputError
from lars_plugin.training.music.bank import SilenceError, digests_of, render_midi, score_of
from lars_plugin.training.music.bank_index import PERCUSSION, BankIndex, write_piece
from lars_plugin.training.music.song import Song, draw_song

__all__ = ["INSTRUMENTS", "add_percussion", "compose_percussion"]

log = logging.getLogger(__name__)

_CHANNEL = 9  # the tenth


@dataclass(frozen=True)
class _Instrument:
    """Notes that one player strikes, how often it is in a piece, and whether it is shaken: then it
    goes on in even steps."""

    notes: tuple[int, ...]
    often: float
    shaken: bool = False


# Notes of General MIDI's percussion map, and from 82 on of level 2's.
INSTRUMENTS: dict[str, _Instrument] = {
    "tambourine": _Instrument((54,), 3.0, shaken=True),
    "shaker": _Instrument((82,), 1.5, shaken=True),
    "cabasa": _Instrument((69,), 1.5, shaken=True),
    "maracas": _Instrument((70,), 1.5, shaken=True),
    "sleigh bells": _Instrument((83,), 0.5, shaken=True),
    "claps": _Instrument((39,), 1.5),
    "cowbell": _Instrument((56,), 1.0),
    "bongos": _Instrument((60, 61), 0.7),
    "congas": _Instrument((62, 63, 64), 1.0),
    "timbales": _Instrument((65, 66), 0.4),
    "agogo": _Instrument((67, 68), 0.5),
    "guiro": _Instrument((73, 74), 0.4),
    "claves": _Instrument((75,), 0.5),
    "wood blocks": _Instrument((76, 77), 0.6),
    "triangle": _Instrument((80, 81), 0.7),
    "castanets": _Instrument((85,), 0.3),
}
_MOST = 3  # players at once


def _steps(rng: np.random.Generator, shaken: bool, bars: int) -> list[tuple[int, float]]:
    """Sixteenths that are struck, and how hard, 0 to 1: one bar that is repeated."""
    if shaken and rng.random() < 0.6:
        every = int(rng.choice([1, 1, 2, 2, 4]))
        first = int(rng.choice([0, 0, every // 2]))
        accents = rng.uniform(0.25, 1.0, 4)
        accents[int(rng.integers(4))] = 1.0
        bar = [(step, float(accents[step % 4])) for step in range(first, 16, every)]
    elif rng.random() < 0.5:  # the backbeat, or every beat
        beats = (4, 12) if rng.random() < 0.7 else (0, 4, 8, 12)
        bar = [(step, 1.0) for step in beats]
        if rng.random() < 0.3:
            bar.append((int(rng.choice([7, 10, 15])), 0.6))
    else:
        likely = np.array([0.8, 0.25, 0.5, 0.35] * 4) * rng.uniform(0.4, 1.4)
        struck = np.flatnonzero(rng.random(16) < likely).tolist() or [0]
        bar = [(step, float(rng.uniform(0.4, 1.0))) for step in struck]
    return [(16 * index + step, level) for index in range(bars) for step, level in sorted(bar)]


def compose_percussion(
    seed: Sequence[int], seconds: float
) -> tuple[mido.MidiFile, Song, list[int]]:
    """One to three players as a MIDI file on the drum channel, and the notes that are in it.

    Args:
        seed: the same, the same piece.
        seconds: its length.
    """
    rng = np.random.default_rng(seed)
    song = draw_song(rng, "train")
    names = list(INSTRUMENTS)
    weights = np.array([INSTRUMENTS[name].often for name in names])
    count = int(rng.integers(1, _MOST + 1))
    players = rng.choice(len(names), count, replace=False, p=weights / weights.sum())
    messages: list[tuple[float, int, mido.Message]] = []
    for control, value in ((7, rng.integers(80, 120)), (91, rng.integers(0, 110))):
        messages.append(
            (0.0, 0, mido.Message("control_change", channel=_CHANNEL, control=control,
                                  value=int(value)))
        )  # fmt: skip
    bars = int(np.ceil((seconds - song.start) / (240.0 / song.tempo))) + 1
    used: set[int] = set()
    for player in players.tolist():
        instrument = INSTRUMENTS[names[player]]
        loud = float(rng.uniform(0.5, 1.0))
        late = float(rng.normal(0, 0.008))
        for step, level in _steps(rng, instrument.shaken, bars):
            onset = song.at(step) + late + float(rng.normal(0, 0.004))
            if not 0 <= onset < seconds:
                continue
            note = int(rng.choice(instrument.notes))
            used.add(note)
            velocity = int(np.clip(127 * loud * level * rng.uniform(0.75, 1.0), 1, 127))
            where = {"channel": _CHANNEL, "note": note}
            messages.append((onset, 2, mido.Message("note_on", velocity=velocity, **where)))
            end = min(onset + 0.2, seconds)
            messages.append((end, 1, mido.Message("note_off", **where)))
    return score_of(messages), song, sorted(used)


def add_percussion(
    folder: Path, fonts: Sequence[Path], count: int, *, seconds: float = 20.0, seed: int = 0
) -> int:
    """Render pieces of percussion into a bank; those that are listed are kept.

    Args:
        folder: the bank.
        fonts: .sf2 or .sf3 files with General MIDI's percussion; each piece draws one.
        count: pieces.
        seconds: length of a piece.
        seed: of what is drawn.

    Returns:
        How many pieces were written now. A piece of instruments that its font does not have is
        left out.

    Raises:
        InputError: no sound font there, or a number below its least.
        DatasetError: ``fluidsynth`` is not installed or fails, or the bank cannot be written.
    """
    if count < 1 or seconds <= 0:
        raise InputError("count and seconds must be positive")
    digests = digests_of(fonts)
    index = BankIndex(folder)
    written = 0
    for number in range(count):
        name = f"train/percussion-{seed}-{number:04d}.flac"
        if name in index.files:
            continue
        midi, song, notes = compose_percussion((seed, 2, number), seconds)
        font = fonts[number % len(fonts)]
        try:
            wave = render_midi(font, midi, seconds)
        except SilenceError:
            continue
        write_piece(wave, folder / name)
        index.add(
            name, "train", seconds, seed=f"{seed}-2-{number}", tempo=f"{song.tempo:.1f}",
            programs=" ".join(map(str, notes)), soundfont=font.name,
            soundfont_sha256=digests[font], layer=PERCUSSION,
        )  # fmt: skip
        written += 1
        if written % 50 == 0:
            log.info("%d pieces of percussion rendered", written)
    return written
