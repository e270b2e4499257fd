# SPDX-License-Identifier: GPL-3.0-or-later
"""StemGMD's own folders as a source of excerpts, beside kits and grooves.

Its recordings are performances, each played by several kits, with one file for each of nine pieces
(see :mod:`lars_plugin.evaluation.stemgmd`). An excerpt takes one performance and draws a kit for
each stem, which gives drum sets that the data set does not have. The stems are then varied like
all our renderings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError
from lars_plugin.evaluation.clips import Clip
from lars_plugin.evaluation.stemgmd import UNSEEN_KITS, find
from lars_plugin.synthesis import SAMPLE_RATE
from lars_plugin.training.render.mixdown import mix_down
from lars_plugin.training.render.renderer import STEMS, RendererConfig
from lars_plugin.training.sounds.effects import add_room, equalise, saturate
from lars_plugin.training.sounds.files import read_wave
from lars_plugin.training.sounds.stage import Place, draw_stage
from lars_plugin.training.sounds.variation import Timbre, draw_timbre

__all__ = ["StemGMDRenderer"]

Wave = NDArray[np.float32]

_RARE = ("toms", "ride", "crash")


class StemGMDRenderer:
    """Draws excerpts ``(6, 2, samples)`` of the train split; one instance per process.

    The kits that its authors keep for testing are left out. Trees that have ``cymbals`` in place
    of ride and crash give excerpts without cymbals.

    Args:
        folder: top of the tree, with the Groove MIDI Dataset's ``info.csv`` in it.
        seed: same seed, same sequence of excerpts.
        config: the ranges; those that choose strokes have no effect here.

    Raises:
        DatasetError: no performances, or no ``info.csv`` with the splits.
    """

    def __init__(self, folder: str | Path, seed: int, config: RendererConfig | None = None) -> None:
        self.config = config or RendererConfig()
        self.rng = np.random.default_rng(seed)
        self.performances = _performances(Path(folder))
        sizes = np.array([_bytes_of(takes[0]) for takes in self.performances], np.float64)
        self._weights = sizes / sizes.sum()

    def render(self, samples: int) -> Wave:
        """A new excerpt ``(6, 2, samples)``; its mixture peaks between -40 and 0 dBFS.

        Raises:
            DatasetError: a file cannot be read.
        """
        rng, config = self.rng, self.config.draw(self.rng)
        takes = self._draw()
        speed = float(2 ** (rng.uniform(-1, 1) * min(config.pitch_semitones, 3.0) / 12))
        total = _info(next(iter(takes[0].stems.values()))[0]).duration
        seconds = samples / SAMPLE_RATE
        start = float(rng.uniform(-0.25 * seconds, max(total - 0.7 * seconds * speed, 0.1)))
        solo = rng.random() < config.solo
        heard = set(rng.choice(STEMS, rng.integers(1, 4))) if solo else set(STEMS)
        house = takes[rng.integers(len(takes))].kit
        stage = draw_stage(rng, rng.random() < config.studio)
        stems = np.zeros((len(STEMS), 2, samples), np.float32)
        for index, stem in enumerate(STEMS):
            if stem not in heard:
                continue
            files, begin = self._choose(stem, takes, house, start)
            if files:
                wave = _read(files, begin, speed, samples)
                stems[index] = self._treat(wave, stem, stage[stem], config)
        if rng.random() < config.room:
            add_room(rng, stems)
        return mix_down(
            rng,
            stems,
            equaliser=config.equaliser,
            tape=config.tape,
            one_sided=config.one_sided,
            bus=config.bus,
            dull=config.lowpass,
            mono=config.mono,
            level_db=config.level_db,
        )

    def _draw(self) -> list[Clip]:
        return self.performances[self.rng.choice(len(self.performances), p=self._weights)]

    def _choose(
        self, stem: str, takes: list[Clip], house: str, start: float
    ) -> tuple[Sequence[Path], float]:
        """The files of a stem and the second to start at; no files if no kit has it."""
        rng = self.rng
        if stem in _RARE and rng.random() < self.config.extra:
            # Rare stems are added from other performances, more often and at unexpected places.
            takes, start = self._draw(), start + float(rng.uniform(-1, 1))
        takes = [take for take in takes if stem in take.stems]
        if not takes:
            return (), start
        if rng.random() < self.config.whole_kit:
            takes = [take for take in takes if take.kit == house] or takes
        return takes[rng.integers(len(takes))].stems[stem], start

    def _treat(self, wave: Wave, stem: str, place: Place, config: RendererConfig) -> Wave:
        """Colour, width, pan, gain, equaliser, saturation, as for renderings."""
        rng = self.rng
        if rng.random() < config.timbre:
            # Damping and attack count from a stroke's start, which is not marked here.
            wave = Timbre(colour=draw_timbre(rng, stem, 0.0).colour).apply(wave)
        middle = (wave[0] + wave[1]) * np.float32(0.5)
        side = (wave[0] - wave[1]) * np.float32(0.5 * place.width)
        angle = (place.pan + 1) * np.pi / 4
        gain = 10 ** (rng.normal(0, config.gain_db) / 20)
        wave = np.stack(
            [
                (middle + side) * np.float32(gain * np.cos(angle)),
                (middle - side) * np.float32(gain * np.sin(angle)),
            ]
        )
        if rng.random() < config.eq:
            equalise(rng, wave)
        if rng.random() < config.saturation:
            saturate(rng, wave)
        return wave


def _performances(folder: Path) -> list[list[Clip]]:
    """The takes of every performance by different kits."""
    found: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in find(folder, "train"):
        session, _, name = clip.name.rpartition("/")
        if clip.kit not in UNSEEN_KITS and set(clip.stems) & set(STEMS):
            found[session.rpartition("/")[0], name].append(clip)
    if not found:
        raise DatasetError(
            f"{folder} holds no training performance of StemGMD; give the folder above its"
            " drummers, with the Groove MIDI Dataset's info.csv in it"
        )
    return [found[key] for key in sorted(found)]


def _bytes_of(clip: Clip) -> int:
    """A number in proportion to the duration, without opening the file."""
    return max(1, next(iter(clip.stems.values()))[0].stat().st_size)


def _info(path: Path) -> soundfile._SoundFileInfo:
    try:
        return soundfile.info(path)
    except (OSError, soundfile.SoundFileError) as error:
        raise DatasetError(f"cannot read {path}: {error}") from error


def _read(files: Sequence[Path], start: float, speed: float, samples: int) -> Wave:
    """The sum of files from a time on (silence before 0), faster by a factor, ``(2, samples)``."""
    out = np.zeros((2, samples), np.float32)
    for path in files:
        info = _info(path)
        factor = info.samplerate / SAMPLE_RATE * speed
        begin = int(start * info.samplerate)
        silence = max(0, -begin)
        begin = min(max(begin, 0), info.frames)
        wanted = max(0, int(samples * factor) + 2 - silence)
        wave, _ = read_wave(path, wanted, begin)
        wave = np.pad(wave, ((silence, 0), (0, 0)))
        if abs(factor - 1) > 1e-6 and len(wave):
            wave = soxr.resample(wave, factor, 1.0, quality="MQ")
        piece = np.broadcast_to(wave.T, (2, len(wave)))[:, :samples]
        out[:, : piece.shape[1]] += piece
    return out
