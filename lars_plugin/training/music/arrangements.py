# SPDX-License-Identifier: GPL-3.0-or-later
"""More music for a bank: arrangements that are there as MIDI files, and recordings.

Both must have no drums in them. A MIDI file's drums are left out: its channel 10, and what other
channels play with programs that sound like drums. Both serve training only: the music that
validation hears stays the bank's own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np
import soxr
from mido.midifiles.meta import KeySignatureError
from numpy.typing import NDArray

from lars_plugin.audio import EXTENSIONS, choose_channels, read_audio
from lars_plugin.errors import AudioFileError, InputError
from lars_plugin.files import sha256_of
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.music.bank import SilenceError, digests_of, held_out, render_midi
from lars_plugin.training.music.bank_index import MUSIC, SOLO, BankIndex, write_piece

__all__ = ["add_arrangements", "add_recordings", "without_drums"]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]
Generator = np.random.Generator

_DRUMS = 9  # the tenth channel
# Timpani, agogo, woodblock, taiko, melodic tom, synth drum, reverse cymbal, effects.
_DRUM_LIKE = frozenset((47, 113, 115, 116, 117, 118, 119, *range(120, 128)))
_QUIET = 1e-3  # a piece that peaks below this is a rest
_LONGEST = 600.0  # seconds of an arrangement


def add_arrangements(
    folder: Path,
    songs: Path,
    fonts: Sequence[Path],
    *,
    takes: int = 1,
    seconds: float = 60.0,
    seed: int = 0,
) -> int:
    """Render MIDI files without their drums into a bank; pieces that are listed are kept.

    Args:
        folder: the bank.
        songs: folder of .mid files, and folders of them.
        fonts: .sf2 or .sf3 files; each take draws one.
        takes: renderings of each song. From the second on, every program gives way to another
            of its family of eight (pianos, organs, guitars ...).
        seconds: length of a piece.
        seed: of what is drawn.

    Returns:
        How many pieces were written now. Files that cannot be read or are silent are named in
        the log and left out.

    Raises:
        InputError: no MIDI file or sound font there, or a number below its least.
        DatasetError: ``fluidsynth`` is not installed or fails, or the bank cannot be written.
    """
    if takes < 1 or seconds <= 0:
        raise InputError("takes and seconds must be positive")
    digests = digests_of(fonts)
    paths = _files(songs, (".mid", ".midi"), "MIDI file")
    index = BankIndex(folder)
    written = 0
    for number, path in enumerate(paths, start=1):
        digest = sha256_of(path)
        try:
            score = mido.MidiFile(path, clip=True)
            length = min(float(score.length), _LONGEST)
        except (OSError, EOFError, ValueError, KeyError, IndexError, KeySignatureError) as error:
            log.warning("%s is left out: not a MIDI file that can be read: %s", path, error)
            continue
        for take in range(takes):
            rng = np.random.default_rng([seed, int(digest[:12], 16), take])
            font = fonts[int(rng.integers(len(fonts)))]
            names = _names(f"midi-{digest[:12]}-{take}", length, seconds)
            if all(name in index.files for name in names):
                continue
            try:
                wave = render_midi(font, without_drums(score, rng if take else None), length)
            except SilenceError:
                log.warning("%s is left out: nothing sounds but drums", path)
                break
            columns = {
                "seed": f"{seed}-{take}", "soundfont": font.name,
                "soundfont_sha256": digests[font], "layer": MUSIC, "source": path.name,
            }  # fmt: skip
            written += _write(index, folder, names, wave, columns)
        if number % 10 == 0:
            log.info("%d of %d songs rendered", number, len(paths))
    return written


def add_recordings(
    folder: Path, recordings: Path, *, solo: bool = False, seconds: float = 60.0
) -> int:
    """Cut recordings without drums into a bank's pieces; pieces that are listed are kept.

    Args:
        folder: the bank.
        recordings: folder of audio files, and folders of them, of any rate.
        solo: they are one voice or instrument each, to be laid over other music.
        seconds: length of a piece.

    Returns:
        How many pieces were written now. Files that cannot be read are named in the log and left
        out.

    Raises:
        InputError: no audio file there, or no positive length.
        DatasetError: the bank cannot be written.
    """
    if seconds <= 0:
        raise InputError("seconds must be positive")
    kind = SOLO if solo else MUSIC
    index = BankIndex(folder)
    written = 0
    for path in _files(recordings, EXTENSIONS, "audio file"):
        try:
            audio, rate = read_audio(path)
        except AudioFileError as error:
            log.warning("%s is left out: %s", path, error)
            continue
        stereo = choose_channels(audio, "downmix" if len(audio) > 2 else "front")[[0, -1]]
        wave = soxr.resample(stereo.T, rate, SAMPLE_RATE).T
        names = _names(f"{kind}-{sha256_of(path)[:12]}", wave.shape[-1] / SAMPLE_RATE, seconds)
        written += _write(index, folder, names, wave, {"layer": kind, "source": path.name})
    return written


def without_drums(score: mido.MidiFile, rng: Generator | None = None) -> mido.MidiFile:
    """A copy in which nothing sounds like drums.

    Args:
        score: not changed.
        rng: draws another program of the same family for each; None: the score's own. Those
            that are held out for validation give way to their neighbours.
    """
    ticks = 0
    track = mido.MidiTrack()
    programs = dict.fromkeys(range(16), 0)
    last = 0
    for message in mido.merge_tracks(score.tracks):
        ticks += message.time
        channel: int = getattr(message, "channel", -1)  # -1: of all channels
        if channel == _DRUMS:
            continue
        if message.type == "program_change":
            programs[channel] = message.program
            if message.program in _DRUM_LIKE:
                continue
            message = message.copy(program=_program(message.program, rng))
        elif message.type == "note_on" and message.velocity and programs[channel] in _DRUM_LIKE:
            continue
        elif message.type == "end_of_track" or message.type == "sysex":
            continue  # some of these turn other channels into drums
        track.append(message.copy(time=ticks - last))
        last = ticks
    track.append(mido.MetaMessage("end_of_track", time=ticks - last))
    return mido.MidiFile(tracks=[track], ticks_per_beat=score.ticks_per_beat)


def _program(program: int, rng: Generator | None) -> int:
    family = program - program % 8
    pool = [p for p in range(family, family + 8) if p not in _DRUM_LIKE and not held_out(p)]
    if rng is not None and pool:
        return int(rng.choice(pool))
    return program - 1 if held_out(program) else program


def _files(folder: Path, suffixes: Iterable[str], what: str) -> list[Path]:
    known = {suffix.lower() for suffix in suffixes}
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in known)
    if not found:
        raise InputError(f"{folder} has no {what}")
    return found


def _names(start: str, length: float, seconds: float) -> list[str]:
    return [f"train/{start}-{i:02d}.flac" for i in range(max(1, round(length / seconds)))]


def _write(
    index: BankIndex,
    folder: Path,
    names: Sequence[str],
    wave: Wave,
    columns: Mapping[str, object],
) -> int:
    written = 0
    for name, piece in zip(names, _pieces(wave, len(names)), strict=True):
        if name in index.files or float(np.abs(piece).max(initial=0.0)) < _QUIET:
            continue
        write_piece(piece, folder / name)
        index.add(name, "train", round(piece.shape[-1] / SAMPLE_RATE, 3), **columns)
        written += 1
    return written


def _pieces(wave: Wave, count: int) -> Iterator[Wave]:
    bounds = np.linspace(0, wave.shape[-1], count + 1).astype(int)
    for begin, end in pairwise(bounds):
        yield wave[:, begin:end]
