# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds, beats and ticks: a fixed tempo or a map, and a grid to quantise to.

A MIDI file states tempos in whole microseconds per beat. All conversions here use these whole
numbers, so a file plays back without drift at any resolution.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lars_plugin.errors import InputError
from lars_plugin.midi.hits import DrumHit

__all__ = ["BEATS_PER_BAR", "GRIDS", "TempoMap", "estimate_tempo", "quantise"]

# Beats per step of the grids by their names; t is a triplet.
GRIDS: dict[str, Fraction] = {
    "1/4": Fraction(1),
    "1/8": Fraction(1, 2),
    "1/8t": Fraction(1, 3),
    "1/16": Fraction(1, 4),
    "1/16t": Fraction(1, 6),
    "1/32": Fraction(1, 8),
}

BEATS_PER_BAR = 4

_SLOWEST, _FASTEST = 10.0, 1000.0  # beats per minute
_MICRO = 1_000_000
_SHORTEST = round(60 * _MICRO / _FASTEST)  # microseconds
_LONGEST = 24 * 3600.0  # seconds


@dataclasses.dataclass(frozen=True)
class TempoMap:
    """Tempos that begin at whole beats.

    Attributes:
        changes: (beat, microseconds per beat), beats rising from 0.
        lead: beats at the start that fill the time up to the first beat of the music. The grid
            for quantisation continues backwards over them.
        upbeat: beats before the first bar line, less than a bar.

    Raises:
        InputError: changes out of order, or tempos outside 10 to 1000 BPM.
    """

    changes: tuple[tuple[int, int], ...] = ((0, 500_000),)
    lead: int = 0
    upbeat: int = 0

    def __post_init__(self) -> None:
        beats = [beat for beat, _ in self.changes]
        if not beats or beats[0] != 0 or any(b <= a for a, b in itertools.pairwise(beats)):
            raise InputError("a tempo map must begin at beat 0, and its beats must rise")
        for _, micro in self.changes:
            _check_bpm(60 * _MICRO / micro if micro > 0 else math.inf)

    @classmethod
    def fixed(cls, bpm: float, offset: float = 0.0) -> TempoMap:
        """One tempo, and where its bars begin.

        A MIDI file begins with a beat, the music with silence. The map's first beat has a length of
        its own, so that times match the recording and beats still fall on the grid.

        Args:
            bpm: the tempo.
            offset: seconds at which a bar begins. Any bar line of the grid will do, also one before
                the recording or late in it.

        Raises:
            InputError: a tempo outside 10 to 1000 BPM, or an offset of more than a day.
        """
        _check_bpm(bpm)
        if not abs(offset) <= _LONGEST:
            raise InputError(f"an offset must be seconds, at most a day, got {offset:g}")
        micro = round(60 * _MICRO / bpm)
        # Number of beats from the first beat at or after the start to the bar line.
        rest = round(offset * _MICRO) % micro
        beats = (round(offset * _MICRO) - rest) // micro
        if rest == 0:
            return cls(((0, micro),), upbeat=beats % BEATS_PER_BAR)
        if rest < _SHORTEST or (2 * rest < micro and beats > 0):
            # Too short for a beat, so it is added to the next one.
            return cls(((0, rest + micro), (1, micro)), lead=1, upbeat=beats % BEATS_PER_BAR)
        return cls(((0, rest), (1, micro)), lead=1, upbeat=(beats + 1) % BEATS_PER_BAR)

    @classmethod
    def from_beats(cls, times: Sequence[float]) -> TempoMap:
        """A tempo for every beat, from the times of beats in seconds, rising.

        The time before the first is filled with beats of about the same length, or with a shorter
        one, so that all the times are beats of the map. Without room for that, the second time is
        the first that is a beat. The last tempo continues.

        Raises:
            InputError: fewer than two times, or not rising.
        """
        beats = [float(time) for time in times]
        rising = all(b > a for a, b in itertools.pairwise(beats))
        if len(beats) < 2 or beats[0] < 0 or not rising:
            raise InputError("a tempo map needs two or more beats at rising times")
        period = float(np.median(np.diff(beats)))
        lead = round(beats[0] / period)
        fills = lead == 0 and beats[0] > 0
        if fills and beats[0] * _MICRO >= _SHORTEST:
            beats = [0.0, *beats]
        elif lead == 0:
            beats[0] = 0.0
        else:
            beats = [beats[0] * k / lead for k in range(lead)] + beats
        changes: list[tuple[int, int]] = []
        now = 0  # microseconds, as the rounded tempos add up
        for beat, time in enumerate(beats[1:]):
            micro = round(time * _MICRO) - now
            micro = min(max(micro, round(60 * _MICRO / _FASTEST)), round(60 * _MICRO / _SLOWEST))
            now += micro
            if not changes or changes[-1][1] != micro:
                changes.append((beat, micro))
        return cls(tuple(changes), lead=int(fills))

    def beat_at(self, seconds: float) -> float:
        """The beat at a time; the first is 0."""
        starts = self._starts()
        index = max(0, bisect_right(starts, seconds * _MICRO) - 1)
        beat, micro = self.changes[index]
        return beat + (seconds * _MICRO - starts[index]) / micro

    def seconds_at(self, beat: float) -> float:
        """The time of a beat."""
        index = max(0, bisect_right([first for first, _ in self.changes], beat) - 1)
        first, micro = self.changes[index]
        return (self._starts()[index] + (beat - first) * micro) / _MICRO

    def grid_beat(self, seconds: float) -> float:
        """The beat at a time on the grid of the music, which continues before its first beat."""
        begin, micro = self._grid()
        if seconds >= begin:
            return self.beat_at(seconds)
        return self.lead + (seconds - begin) * _MICRO / micro

    def grid_seconds(self, beat: float) -> float:
        """The time of a beat of that grid; below 0 before the start."""
        begin, micro = self._grid()
        if beat >= self.lead:
            return self.seconds_at(beat)
        return begin + (beat - self.lead) * micro / _MICRO

    def _grid(self) -> tuple[float, int]:
        """The end of the lead in seconds, and the microseconds of the beat after it."""
        index = bisect_right([first for first, _ in self.changes], self.lead) - 1
        return self.seconds_at(self.lead), self.changes[index][1]

    def tick_at(self, seconds: float, ticks_per_beat: int) -> int:
        """The nearest tick to a time."""
        return max(0, round(self.beat_at(seconds) * ticks_per_beat))

    @property
    def bpm(self) -> float:
        """The tempo in beats per minute where the music begins."""
        return 60 * _MICRO / self._grid()[1]

    def _starts(self) -> list[int]:
        """Times of the changes in microseconds."""
        starts = [0]
        for (a, micro), (b, _) in zip(self.changes, self.changes[1:], strict=False):
            starts.append(starts[-1] + (b - a) * micro)
        return starts


def _check_bpm(bpm: float) -> None:
    if not _SLOWEST <= bpm <= _FASTEST:
        raise InputError(f"a tempo must be {_SLOWEST:g} to {_FASTEST:g} BPM, got {bpm:g}")


def quantise(
    hits: Sequence[DrumHit], tempo: TempoMap, grid: str, strength: float = 1.0
) -> list[DrumHit]:
    """Move hits towards the nearest step of a grid.

    Args:
        hits: what to move.
        tempo: for the beats.
        grid: one of :data:`GRIDS`.
        strength: 0 leaves hits in place, 1 moves them onto the grid, between moves them partly.

    Raises:
        InputError: an unknown grid, or a strength outside [0, 1].
    """
    if grid not in GRIDS:
        raise InputError(f"unknown grid {grid!r}; use {', '.join(GRIDS)}")
    if not 0 <= strength <= 1:
        raise InputError(f"the strength of quantisation must be 0 to 1, got {strength}")
    step = float(GRIDS[grid])
    moved = []
    for hit in hits:
        beat = tempo.grid_beat(hit.time)
        target = round(beat / step) * step
        time = max(0.0, tempo.grid_seconds(beat + strength * (target - beat)))
        moved.append(dataclasses.replace(hit, time=time if strength else hit.time))
    return sorted(moved)


def estimate_tempo(hits: Sequence[DrumHit], *, start_bpm: float = 120.0) -> TempoMap:
    """Follow the beats of a performance with librosa's beat tracker, and map them.

    Args:
        hits: of the whole performance; the tracker uses their times and levels.
        start_bpm: approximate tempo, if known.

    Raises:
        InputError: librosa is not installed, or there are too few hits to follow.
    """
    try:
        import librosa
    except ImportError as error:
        raise InputError(
            "estimating the tempo needs librosa: pip install 'lars-plugin[midi]', or give --bpm"
        ) from error
    if len(hits) < 4:
        raise InputError(f"{len(hits)} hits are too few to estimate a tempo; give the BPM")
    rate, hop = 22050, 256
    frames = int(max(hit.time for hit in hits) * rate / hop) + 2
    envelope = np.zeros(frames)
    for hit in hits:
        # Kicks and snares mark the beat more than other strokes.
        weight = 1.0 if hit.stem in ("kick", "snare") else 0.5
        envelope[round(hit.time * rate / hop)] += weight * hit.velocity / 127
    envelope = np.convolve(envelope, np.hanning(7), mode="same")
    _, beats = librosa.beat.beat_track(
        onset_envelope=envelope, sr=rate, hop_length=hop, start_bpm=start_bpm, trim=False,
        units="time",
    )  # fmt: skip
    if len(beats) < 2:
        raise InputError("no beat was found in these hits; give the BPM")
    return TempoMap.from_beats([_snapped(float(beat), hits) for beat in beats])


def _snapped(beat: float, hits: Sequence[DrumHit]) -> float:
    """The hit at a beat, if there is one within 30 ms: the tracker's steps are 12 ms."""
    near = min((hit.time for hit in hits), key=lambda time: abs(time - beat))
    return near if abs(near - beat) <= 0.03 else beat
