# SPDX-License-Identifier: GPL-3.0-or-later
"""A bank of music rendered by FluidSynth with General MIDI sound fonts, without drums.

Every file is a song of its own: :mod:`lars_plugin.training.music.song` writes the notes, a MIDI
file carries them (never on channel 10, the drums'), and the program ``fluidsynth`` plays it.

Held out for validation are every fourth program (those whose number modulo 4 is 3), the chord
progressions of the validation split, and, if two are given, a sound font.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError, InputError
from lars_plugin.files import sha256_of
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.music import song as music
from lars_plugin.training.music.bank_index import MUSIC, BankIndex, write_piece
from lars_plugin.training.music.song import SPLITS, Part, Song, Split, draw_song

__all__ = [
    "BankConfig",
    "SilenceError",
    "compose",
    "digests_of",
    "held_out",
    "make_bank",
    "render_midi",
    "score_of",
]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]

# Which programs (from 0) may play a part. Taiko, melodic tom, synth drum, reverse cymbal, timpani
# and the sound effects are left out: they sound like drums.
_PROGRAMS: dict[str, tuple[int, ...]] = {
    "bass": (*range(32, 40), 43, 58, 87),
    "pads": (*range(16, 24), *range(48, 55), *range(88, 96), 61, 62, 63, 4, 5),
    "comping": (*range(8), *range(16, 21), *range(24, 32), 61, 62, 63, 55),
    "strums": (24, 25, 26, 27, 28, 104, 105, 106, 107, 15),
    "arpeggio": (*range(15), 24, 25, 27, 45, 46, *range(80, 88), *range(96, 109), 114),
    "melody": (40, 41, 42, 52, 53, 54, *range(56, 61), *range(64, 88), 29, 30, *range(109, 112)),
    "riff": (28, 29, 30, 31),
}
_PARTS: dict[str, Part] = {
    "bass": music.bass,
    "pads": music.pads,
    "comping": music.comping,
    "strums": music.strums,
    "arpeggio": music.arpeggio,
    "melody": music.melody,
    "riff": music.riff,
}
_OFTEN = {
    "bass": 0.85, "pads": 0.6, "comping": 0.6, "strums": 0.35, "arpeggio": 0.5, "melody": 0.85,
    "riff": 0.25,
}  # fmt: skip
_TICKS = 480  # a beat; at 120 beats a minute 960 a second
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15)  # all but the drums'


class SilenceError(DatasetError):
    """Nothing sounds in what was rendered."""


@dataclass(frozen=True)
class BankConfig:
    """What to render.

    Attributes:
        soundfont: an .sf2 or .sf3 file for the training split.
        validation_soundfont: one for the validation split; None: the same.
        count: files of the training split.
        validation_count: files of the validation split.
        seconds: length of a file.
        seed: file i of a split is drawn from (seed, split, i).
    """

    soundfont: Path
    validation_soundfont: Path | None = None
    count: int = 150
    validation_count: int = 40
    seconds: float = 20.0
    seed: int = 0


def held_out(program: int) -> bool:
    """Whether a program is kept for the validation split."""
    return program % 4 == 3


def compose(
    seed: Sequence[int], split: Split, seconds: float
) -> tuple[mido.MidiFile, Song, list[int]]:
    """A song as a MIDI file, with its programs in the order of their channels."""
    rng = np.random.default_rng(seed)
    song = draw_song(rng, split)
    names = [name for name in _PARTS if rng.random() < _OFTEN[name]] or ["pads", "melody"]
    messages: list[tuple[float, int, mido.Message]] = []
    programs: list[int] = []
    for channel, name in zip(_CHANNELS, names, strict=False):
        pool = [p for p in _PROGRAMS[name] if held_out(p) == (split == "validation")]
        program = int(rng.choice(pool))
        programs.append(program)
        setup = [mido.Message("program_change", channel=channel, program=program)]
        for control, value in (
            (7, rng.integers(60, 120)),  # volume
            (10, rng.integers(20, 108) if name != "bass" else 64),  # pan
            (1, rng.integers(0, 70) if name == "melody" else 0),  # vibrato
            (91, rng.integers(0, 100)),  # reverb
            (93, rng.integers(0, 80)),  # chorus
        ):
            setup.append(
                mido.Message("control_change", channel=channel, control=control, value=int(value))
            )
        messages += [(0.0, 0, message) for message in setup]
        for event in _PARTS[name](song, rng, seconds):
            if event.onset < 0 or event.onset >= seconds:
                continue
            note = {"channel": channel, "note": int(np.clip(event.pitch, 0, 127))}
            velocity = int(np.clip(127 * event.level, 1, 127))
            end = min(event.onset + event.seconds, seconds)
            messages.append((event.onset, 2, mido.Message("note_on", velocity=velocity, **note)))
            messages.append((end, 1, mido.Message("note_off", **note)))
    return score_of(messages), song, programs


def score_of(messages: Sequence[tuple[float, int, mido.Message]]) -> mido.MidiFile:
    """A MIDI file of messages: second, rank among those of the same second, message."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)])
    now = 0
    for at, _, message in sorted(messages, key=lambda entry: entry[:2]):
        tick = round(at * 2 * _TICKS)
        track.append(message.copy(time=tick - now))
        now = tick
    return mido.MidiFile(tracks=[track], ticks_per_beat=_TICKS)


def digests_of(fonts: Sequence[Path]) -> dict[Path, str]:
    """SHA-256 of sound fonts.

    Raises:
        InputError: none is given, or one is not there.
    """
    if not fonts:
        raise InputError("give at least one sound font")
    for font in fonts:
        if not font.is_file():
            raise InputError(f"{font}: no such sound font; give an .sf2 or .sf3 file")
    return {font: sha256_of(font) for font in fonts}


def make_bank(folder: Path, config: BankConfig) -> int:
    """Render a bank into a folder; files already listed there are kept.

    Returns:
        How many files were rendered now.

    Raises:
        InputError: no sound font there, or a count below 1.
        DatasetError: ``fluidsynth`` is not installed, or fails.
    """
    if min(config.count, config.validation_count) < 1 or config.seconds <= 0:
        raise InputError("counts and seconds must be positive")
    fonts: dict[Split, Path] = {
        "train": config.soundfont,
        "validation": config.validation_soundfont or config.soundfont,
    }
    digests = digests_of(list(fonts.values()))
    rendered = 0
    index = BankIndex(folder)
    for split in SPLITS:
        count = config.count if split == "train" else config.validation_count
        for number in range(count):
            name = f"{split}/{number:04d}.flac"
            if name in index.files:
                continue
            seed = (config.seed, SPLITS.index(split), number)
            midi, song, programs = compose(seed, split, config.seconds)
            write_piece(render_midi(fonts[split], midi, config.seconds), folder / name)
            index.add(
                name, split, config.seconds, seed="-".join(map(str, seed)),
                tempo=f"{song.tempo:.1f}", key=song.key, programs=" ".join(map(str, programs)),
                soundfont=fonts[split].name, soundfont_sha256=digests[fonts[split]],
                layer=MUSIC,
            )  # fmt: skip
            rendered += 1
            if rendered % 20 == 0:
                log.info("%d files rendered", rendered)
    return rendered


def render_midi(font: Path, midi: mido.MidiFile, seconds: float, *, effects: bool = True) -> Wave:
    """A MIDI file played by FluidSynth: ``(2, samples)`` float32 at 44.1 kHz.

    Args:
        font: an .sf2 or .sf3 file.
        midi: what to play.
        seconds: length of what is returned.
        effects: with the synthesiser's reverb and chorus.

    Raises:
        SilenceError: nothing sounds.
        DatasetError: ``fluidsynth`` is not installed, or fails.
    """
    program = shutil.which("fluidsynth")
    if program is None:
        raise DatasetError("the program fluidsynth is not installed (package fluidsynth)")
    with tempfile.TemporaryDirectory() as temporary:
        score, wav = Path(temporary) / "song.mid", Path(temporary) / "song.wav"
        midi.save(score)
        command = [program, "-niq", "-F", str(wav), "-T", "wav", "-O", "float", "-g", "0.3"]
        # Only the samples of the programs in use are read: half the time of a short song.
        command += ["-o", "synth.dynamic-sample-loading=1"]
        # Without this a broken sound font would be replaced by the system's, silently.
        command += ["-o", "synth.default-soundfont="]
        if not effects:
            command += ["-R", "0", "-C", "0"]
        done = subprocess.run(
            [*command, "-r", str(SAMPLE_RATE), str(font), str(score)],
            capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        if done.returncode or not wav.is_file():
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise DatasetError(f"fluidsynth failed: {lines[-1] if lines else done.returncode}")
        wave, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    wanted = round(seconds * SAMPLE_RATE)
    wave = np.pad(wave[:wanted], ((0, max(0, wanted - len(wave))), (0, 0)))
    if float(np.abs(wave).max(initial=0.0)) < 1e-5:
        raise SilenceError(f"fluidsynth rendered silence with {font}; is it a General MIDI font?")
    return np.ascontiguousarray(wave.T, np.float32)
