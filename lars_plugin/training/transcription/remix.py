# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts for the transcriber, mixed anew from packed powers each time.

All that varies here is a gain per stem, band and frame, or something added, so it costs little
beside a rendering: drums of other sizes and lengths, balances, equalisers, rooms, music, noise,
compression, band limits, a shift of all bands. What powers cannot say (clipping, codecs, phases) is
in the renderings themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from lars_plugin.midi.mel import BANDS, FRAMES_PER_SECOND, running_levels
from lars_plugin.networks.transcriber.config import (
    GROUP_OF,
    GROUPS,
    LEVEL_STEMS,
    STROKES,
)
from lars_plugin.training.transcription.shards import Bytes, Performance, unpack

__all__ = ["Item", "RemixConfig", "Remixer"]

_GROUP = np.array([GROUP_OF[stem] for stem, _ in STROKES])
_STEM = np.array([LEVEL_STEMS.index(stem) for stem, _ in STROKES])
_DRUMS = len(LEVEL_STEMS) - 1
# Strokes softer than this are hard to hear, and missing one costs less.
_SOFT, _SOFT_WEIGHT = 0.15, 0.3
_NEIGHBOUR = 0.5  # the target in the frames beside a stroke
# Stems whose sound differs most from kit to kit.
_METAL = ("hihat", "ride", "crash")
# Frames before a stroke in which its power begins to rise, as windows overlap.
_RISE = 3
_CLOSED, _OPEN = (STROKES.index(("hihat", kind)) for kind in ("closed", "open"))
_FLOOR_DB = -80.0
_NOTHING = 1e-20  # powers below are what rooms leave of silence

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """One excerpt for training.

    Attributes:
        levels: ``(frames, bands)`` as :func:`~lars_plugin.midi.mel.mel_levels` makes them.
        targets: ``(frames, strokes + groups)`` in [0, 1].
        weights: the same shape: what each target counts.
        velocities: ``(frames, groups)``, 0 where nothing is struck.
        shares: ``(frames, stems, level_bands)``: shares of the power.
        share_weights: ``(frames, level_bands)`` in [0, 1]: less where it is quiet.
    """

    levels: Floats
    targets: Floats
    weights: Floats
    velocities: Floats
    shares: Floats
    share_weights: Floats


@dataclass(frozen=True)
class RemixConfig:
    """Probabilities in [0, 1]; levels in dB, drawn from normal distributions or ranges."""

    exchange: float = 0.35  # some stems from another performance
    character: float = 0.4  # of each stem: another size, tone and length
    balance: float = 0.8  # a gain and an equaliser for each stem
    balance_db: float = 4.0
    equaliser: float = 0.7  # on all drums
    room: float = 0.3
    music: float = 0.55
    music_db: tuple[float, float] = (-12.0, 15.0)  # drums against music
    music_alone: float = 0.04
    compression: float = 0.3
    noise: float = 0.4
    dull: float = 0.3  # nothing above 3 to 19 kHz
    thin: float = 0.1  # nothing below
    shift: float = 0.4  # all bands up or down by up to three
    level_db: float = 4.0
    before_db: tuple[float, float] = (-50.0, 8.0)  # what was loud before, for running levels


class Remixer:
    """Draws excerpts without end.

    Args:
        performances: rendered ones.
        music: packed powers ``(frames, bands)`` of pieces without drums; may be empty.
        frames: of an excerpt, at most those of a performance.
        level_bands: in which shares are counted; divides the bands.
        seed: same seed, same sequence.
        running: levels as in live use, where the reference is what was loud so far.
        config: how wildly to vary.
    """

    def __init__(
        self,
        performances: Sequence[Performance],
        music: Sequence[Bytes],
        *,
        frames: int,
        level_bands: int,
        seed: int,
        running: bool = False,
        config: RemixConfig | None = None,
    ) -> None:
        self.performances, self.music = performances, music
        self.frames, self.level_bands = frames, level_bands
        self.rng = np.random.default_rng(seed)
        self.running = running
        self.config = config or RemixConfig()

    def __iter__(self) -> Iterator[Item]:
        while True:
            yield self.draw()

    def draw(self) -> Item:
        """A new excerpt."""
        rng, config = self.rng, self.config
        stems, strokes = self._performance()
        if rng.random() < config.exchange:
            stems, strokes = self._exchange(stems, strokes)
        for stem in np.flatnonzero(rng.random(_DRUMS) < config.character):
            strokes = self._character(int(stem), stems, strokes)
        if rng.random() < config.balance:
            for stem in stems:
                stem *= _gain(rng.normal(0, config.balance_db) + self._curve(1.5))
        if rng.random() < config.equaliser:
            stems *= _gain(self._curve(3.0))
        if rng.random() < config.room:
            self._room(stems)
        music = np.zeros_like(stems[0])
        if self.music and rng.random() < config.music:
            music = self._music(_db(stems.sum(axis=0)) - rng.uniform(*config.music_db))
            if rng.random() < config.music_alone:
                stems[:] = 0
                strokes = strokes[:0]
        if rng.random() < config.compression:
            gain = self._compression(stems.sum(axis=0) + music)
            stems *= gain
            music *= gain
        levels, peak = self._levels(stems.sum(axis=0) + music)
        return self._item(levels, np.concatenate([stems, music[None]]), strokes, peak)

    # What is played.

    def _performance(self) -> tuple[Floats, Floats]:
        one = self.performances[int(self.rng.integers(len(self.performances)))]
        begin = int(self.rng.integers(one.stems.shape[1] - self.frames + 1))
        strokes = one.strokes.copy()
        strokes[:, 0] -= begin / FRAMES_PER_SECOND
        inside = (strokes[:, 0] >= 0) & (strokes[:, 0] < self.frames / FRAMES_PER_SECOND)
        return unpack(one.stems[:, begin : begin + self.frames]), strokes[inside]

    def _exchange(self, stems: Floats, strokes: Floats) -> tuple[Floats, Floats]:
        other, others = self._performance()
        for stem in np.flatnonzero(self.rng.random(_DRUMS) < 0.4):
            both = self.rng.random() < 0.25
            mine = _STEM[strokes[:, 1].astype(int)] == stem
            theirs = _STEM[others[:, 1].astype(int)] == stem
            stems[stem] = other[stem] + (stems[stem] if both else 0)
            strokes = np.concatenate([strokes if both else strokes[~mine], others[theirs]])
        return stems, strokes

    def _music(self, level: float) -> Floats:
        """One to three pieces at a level in dB."""
        rng = self.rng
        total = np.zeros((self.frames, BANDS), np.float32)
        for turn in range(1 + int(rng.choice(3, p=[0.4, 0.4, 0.2]))):
            piece = self.music[int(rng.integers(len(self.music)))]
            begin = int(rng.integers(len(piece) - self.frames + 1))
            powers = unpack(piece[begin : begin + self.frames])
            apart = rng.normal(-3, 5) if turn else 0.0
            total += powers * _gain(apart - _db(powers) + self._curve(2.0))
        if rng.random() < 0.6:
            total *= _gain(self._curve(3.0))
        return total * _gain(level - _db(total))

    # How it sounds.

    def _curve(self, spread: float, points: int = 8) -> Floats:
        """A smooth curve over the bands, in dB."""
        values = self.rng.normal(0, spread, points)
        at = np.linspace(0, points - 1, BANDS)
        return np.asarray(np.interp(at, np.arange(points), values), np.float32)

    def _character(self, stem: int, stems: Floats, strokes: Floats) -> Floats:
        """One stem as another drum: higher or lower, of another tone, longer or shorter.

        Returns:
            The strokes; a closed hi-hat that rings on is an open one.
        """
        rng = self.rng
        metal = LEVEL_STEMS[stem] in _METAL
        most = 6 if metal else 2
        powers = _shifted(stems[stem], int(rng.integers(-most, most + 1)))
        powers *= _gain(self._curve(4.0 if metal else 2.5))
        length = rng.random()
        if metal and length < 0.35:
            seconds, wet = float(np.exp(rng.uniform(np.log(0.1), 0.0))), rng.uniform(-20, -8)
            powers += _ringing(powers, seconds, wet)
            closed = strokes[:, 1] == _CLOSED
            if LEVEL_STEMS[stem] == "hihat" and seconds > 0.3 and wet > -14 and closed.any():
                strokes = strokes.copy()
                strokes[closed, 1] = _OPEN
        elif length < 0.6:
            mine = strokes[_STEM[strokes[:, 1].astype(int)] == stem, 0]
            begins = np.rint(mine * FRAMES_PER_SECOND).astype(int) - _RISE
            frames = np.arange(len(powers))
            last = np.zeros(len(powers), int)
            last[np.clip(begins, 0, len(powers) - 1)] = np.maximum(begins, 0)
            since = frames - np.maximum.accumulate(last)
            fall = rng.uniform(5, 60) / FRAMES_PER_SECOND * since
            powers *= _gain(-np.minimum(fall, 30.0))[:, None]
        stems[stem] = powers
        return strokes

    def _room(self, stems: Floats) -> None:
        """Powers that ring on: by 60 dB in 0.15 to 1.2 s, at times longer in the bass."""
        rng = self.rng
        seconds = rng.uniform(0.15, 1.2) * np.linspace(1.3, 0.6, self.level_bands)
        if rng.random() < 0.5:
            seconds[:] = seconds.mean()
        wet = rng.uniform(-28, -8)
        width = BANDS // self.level_bands
        for index, tail in enumerate(seconds):
            part = stems[..., index * width : (index + 1) * width]
            part += _ringing(part, float(tail), wet)

    def _compression(self, mixture: Floats) -> Floats:
        """One gain per frame for everything, that follows the level."""
        envelope = lfilter([0.15], [1.0, -0.85], mixture.sum(axis=1)) + 1e-9
        gain = (envelope / envelope.max()) ** -self.rng.uniform(0.1, 0.45)
        return np.asarray(gain[:, None], np.float32)

    def _levels(self, mixture: Floats) -> tuple[Floats, float]:
        """What the network hears of powers, and the power of the loudest frame."""
        rng, config = self.rng, self.config
        peak = float(mixture.sum(axis=1).max()) + 1e-12
        if rng.random() < config.noise:
            grain = rng.exponential(1.0, mixture.shape) if rng.random() < 0.5 else 1.0
            noise = _gain(rng.uniform(-75, -25) + self._curve(6.0)) * grain
            mixture = np.asarray(mixture + peak / BANDS * noise, np.float32)
        bands = np.arange(BANDS)
        if rng.random() < config.dull:
            fall = np.maximum(0, bands - rng.integers(38, 82)) * rng.uniform(0.5, 12)
            mixture = mixture * _gain(-np.minimum(fall, 100))
        if rng.random() < config.thin:
            fall = np.maximum(0, rng.integers(1, 12) - bands) * rng.uniform(1, 8)
            mixture = mixture * _gain(-fall)
        reference = float(mixture.sum(axis=1).max()) + 1e-12
        if self.running:
            before = 10 * np.log10(reference) + rng.uniform(*config.before_db)
            levels = 20 * (running_levels(mixture, before)[0] - 2)
        else:
            levels = 10 * np.log10(mixture / reference + 10 ** (_FLOOR_DB / 10))
            levels += rng.normal(0, config.level_db)
        if rng.random() < config.shift:
            by = int(rng.integers(-3, 4))
            source = bands - by
            levels = levels[:, np.clip(source, 0, BANDS - 1)]
            levels[:, source >= BANDS] = _FLOOR_DB
        return np.asarray(np.maximum(levels, _FLOOR_DB) / 20 + 2, np.float32), peak

    # What is to be learnt.

    def _item(self, levels: Floats, powers: Floats, strokes: Floats, peak: float) -> Item:
        count, outputs = self.frames, len(STROKES) + len(GROUPS)
        targets = np.zeros((count, outputs), np.float32)
        weights = np.ones((count, outputs), np.float32)
        velocities = np.zeros((count, len(GROUPS)), np.float32)
        for second, kind, velocity in strokes:
            frame = round(float(second) * FRAMES_PER_SECOND)
            if not 0 <= frame < count:
                continue
            group = _GROUP[int(kind)]
            around = slice(max(0, frame - 1), frame + 2)
            for place in (int(kind), len(STROKES) + int(group)):
                targets[around, place] = np.maximum(targets[around, place], _NEIGHBOUR)
                targets[frame, place] = 1
                if velocity / 127 < _SOFT:
                    weights[around, place] = _SOFT_WEIGHT
            velocities[frame, group] = max(velocities[frame, group], velocity / 127)
        wide = powers.reshape(len(powers), count, self.level_bands, -1).sum(axis=3)
        wide[wide < _NOTHING] = 0
        total = wide.sum(axis=0)
        loud = 10 * np.log10(total / peak + 1e-9)
        return Item(
            levels,
            targets,
            weights,
            velocities,
            np.asarray(wide / np.maximum(total, _NOTHING), np.float32).transpose(1, 0, 2),
            np.asarray(np.clip((loud + 60) / 60, 0, 1), np.float32),
        )


def _ringing(powers: Floats, seconds: float, wet: float) -> Floats:
    """What rings on after powers ``(..., frames, bands)``: by 60 dB in ``seconds``, ``wet`` dB."""
    keep = 10 ** (-6 / (seconds * FRAMES_PER_SECOND))
    ring = lfilter([0.0, 1.0], [1.0, -keep], powers, axis=-2)
    return np.asarray(20 * float(_gain(wet)) * (1 - keep) * ring, np.float32)


def _shifted(powers: Floats, by: int) -> Floats:
    """Powers ``(frames, bands)`` with all bands up by some; nothing comes in from outside."""
    result = np.zeros_like(powers)
    bands = powers.shape[1]
    result[:, max(0, by) : bands + min(0, by)] = powers[:, max(0, -by) : bands - max(0, by)]
    return result


def _gain(decibels: float | NDArray[np.floating]) -> Floats:
    return np.asarray(10 ** (np.asarray(decibels) / 10), np.float32)


def _db(powers: Floats) -> float:
    """Mean power of all frames."""
    return float(10 * np.log10(powers.sum(axis=-1).mean() + 1e-14))
