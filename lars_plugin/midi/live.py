# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits from a stream of stems.

A hit is returned a fixed time after its attack, :attr:`LiveTranscriber.latency_samples`, so the
hits are late but steady. The latency is the look-ahead of the picker: 40 ms of rise and ring, half
a window, and 15 ms by which a slow attack may begin before it is found. The latencies of the
separator and of the blocks are added to it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.midi.analysis import (
    Analysis,
    Candidates,
    by_rules,
    drum_stems,
    from_energies,
    picked,
    picker_levels,
    suits,
)
from lars_plugin.midi.bands import FINE_BANDS, BandStream
from lars_plugin.midi.hits import DEFAULT_ARTICULATION, DrumHit
from lars_plugin.midi.levels import hit_level
from lars_plugin.midi.onsets import find_candidates, locate_attack
from lars_plugin.midi.picker import APART, CONTEXT, LATER, LOOK_AHEAD, PAST, prepared
from lars_plugin.midi.settings import Settings
from lars_plugin.midi.velocity import DEFAULT_RANGE_DB, VelocityScale, check_scale, velocity_of

__all__ = ["HitStream", "LiveTranscriber", "live_hits"]

# Frames kept: the range of the features, and a margin.
_KEPT = 80
# Seconds by which an attack may lie before the frame that it was found in.
_EARLY = 0.015
# The initial reference for 0 dB, and how much it falls per second afterwards.
_FIRST_REFERENCE = 1e-3
_FALL_DB = 0.1
_SAME = 0.02

Wave = NDArray[np.float32]


class LiveTranscriber:
    """Takes stems block by block and returns each hit once.

    Times count from the first sample. The result does not depend on the block split. Articulations
    that need more time are not determined: hats are closed, toms mid.

    Args:
        stems: names along the first axis of the blocks; stems other than drums are left out.
        sample_rate: Hz.
        channels: of each stem.
        settings: of the model.
        reference: level in dB against full scale that gets velocity 127.
        velocity, velocity_range: see :mod:`lars_plugin.midi.velocity`.

    Raises:
        InputError: no stem is a drum, or unknown options.
    """

    def __init__(
        self,
        stems: tuple[str, ...],
        sample_rate: float,
        channels: int = 2,
        settings: Settings | None = None,
        *,
        reference: float = -12.0,
        velocity: VelocityScale = "log",
        velocity_range: float = DEFAULT_RANGE_DB,
    ) -> None:
        check_scale(velocity, velocity_range)
        self.stems = drum_stems(stems, settings)
        self._pick = [stems.index(name) for name in self.stems]
        self._shape = (len(stems), channels)
        self._settings = settings if suits(settings, self.stems) else None
        self._rate = sample_rate
        self._velocity = (velocity, velocity_range, reference)
        self._bands = BandStream(len(self.stems) + 1, channels, sample_rate)
        self.reset()

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self._rate

    @property
    def latency_samples(self) -> int:
        """Samples from the attack of a hit to the sample whose block returns it."""
        early = round(_EARLY * self._rate)
        return (LOOK_AHEAD + 1) * self._bands.hop + self._bands.latency_samples + early

    def reset(self) -> None:
        """Back to the initial state."""
        self._bands.reset()
        count = len(self.stems)
        # The newest frames, before the first one silence.
        self._energies = np.zeros((count + 1, _KEPT, FINE_BANDS), np.float32)
        stems = len(self._settings.stems) if self._settings else 0
        self._chances = np.zeros((stems, APART + 1 + LATER), np.float32)
        self._loud = _FIRST_REFERENCE
        self._count = 0  # frames so far
        self._wave = np.zeros((count, self._shape[1], 0), np.float32)
        self._begin = 0  # position of the first sample that is kept
        self._pushed = 0
        self._last = [-(10**9)] * count  # attack of each stem's last hit
        self._waiting: list[tuple[int, DrumHit]] = []

    def push(self, block: Wave) -> list[DrumHit]:
        """Take a block ``(stems, channels, n)`` and return the hits that are due.

        Raises:
            InputError: a block of another shape.
        """
        if block.ndim != 3 or block.shape[:2] != self._shape:
            raise InputError(f"blocks must be {(*self._shape, 'n')}, got {block.shape}")
        # Frame by frame, so that the result does not depend on the block split.
        start, hop = 0, self._bands.hop
        while start < block.shape[2]:
            take = min(hop - self._pushed % hop, block.shape[2] - start)
            self._step(np.asarray(block[self._pick, :, start : start + take], np.float32))
            start += take
        return self._due(self._pushed)

    def flush(self) -> list[DrumHit]:
        """The remaining hits; this ends the stream."""
        rest = np.zeros((len(self._pick), self._shape[1], self._bands.hop), np.float32)
        end = self._pushed
        while self._pushed < end + self.latency_samples + self._bands.hop:
            self._step(rest)
        return [hit for hit in self._due(self._pushed + 10**9) if hit.time * self._rate < end]

    def _due(self, now: int) -> list[DrumHit]:
        found = []
        while self._waiting and self._waiting[0][0] + self.latency_samples <= now:
            found.append(heapq.heappop(self._waiting)[1])
        return found

    def _step(self, part: Wave) -> None:
        self._pushed += part.shape[2]
        self._wave = np.concatenate([self._wave, part], axis=2)
        energies = self._bands.push(np.concatenate([part, part.sum(axis=0, keepdims=True)]))
        for index in range(energies.shape[1]):
            self._add(energies[:, index : index + 1])
        keep = (self._count - _KEPT) * self._bands.hop - round(0.06 * self._rate)
        if keep > self._begin:
            self._wave = self._wave[:, :, keep - self._begin :]
            self._begin = keep

    def _add(self, energies: Wave) -> None:
        # The reference for 0 dB rises with the level at once and falls slowly.
        fall = 10 ** (-_FALL_DB * self._bands.hop / self._rate / 10)
        self._loud = max(self._loud * fall, float(energies[-1].sum()))
        self._energies = np.concatenate([self._energies[:, 1:], energies], axis=1)
        self._count += 1
        number = self._count - 1 - LOOK_AHEAD
        analysis = from_energies(
            self._energies, self._rate, self.stems, self._bands.hop, self._loud
        )
        found = self._rules(analysis) if self._settings is None else self._picked(analysis)
        if number >= 0:
            for stem, (candidates, index) in enumerate(found):
                if index is not None:
                    self._hit(candidates, index, stem, number)

    def _picked(self, analysis: Analysis) -> list[tuple[Candidates, int | None]]:
        """Candidates of each stem, and the index of the one whose turn it is, if there is one."""
        settings = self._settings
        assert settings is not None
        picker = settings.picker
        newest = prepared(picker_levels(analysis, settings)[:, -CONTEXT - 1 :])
        chances = picker.run(newest.transpose(1, 0, 2).reshape(newest.shape[1], -1))
        self._chances = np.concatenate([self._chances[:, 1:], chances], axis=1)
        first = self._count - CONTEXT + PAST - self._chances.shape[1]
        found: list[tuple[Candidates, int | None]] = []
        for name in self.stems:
            row = self._chances[settings.stems.index(name)]
            candidates = picked(row, settings.parts[name], analysis, first)
            here = np.flatnonzero(candidates.frames == len(row) - 1 - LATER)
            found.append((candidates, int(here[0]) if len(here) else None))
        return found

    def _rules(self, analysis: Analysis) -> list[tuple[Candidates, int | None]]:
        """The same by rules."""
        frame = _KEPT - 1 - LOOK_AHEAD
        found: list[tuple[Candidates, int | None]] = []
        for stem in range(len(self.stems)):
            frames = find_candidates(analysis.curves[stem])
            candidates = by_rules(analysis, stem, frames[frames == frame])
            found.append((candidates, 0 if len(candidates.frames) else None))
        return found

    def _hit(self, found: Candidates, index: int, stem: int, number: int) -> None:
        if found.confidences[index] < found.threshold:
            return
        at = number * self._bands.hop
        if found.times is None:
            attack = locate_attack(self._wave[stem], self._rate, at - self._begin) + self._begin
        else:
            attack = round(found.times[index] * self._rate)
        attack = max(attack, at - round(_EARLY * self._rate), 0)
        if attack - self._last[stem] < _SAME * self._rate:
            return
        self._last[stem] = attack
        scale, range_db, reference = self._velocity
        level = hit_level(self._wave[stem], self._rate, max(0, attack - self._begin))
        name = self.stems[stem]
        hit = DrumHit(
            attack / self._rate,
            name,
            DEFAULT_ARTICULATION[name],
            velocity_of(level, reference, scale=scale, range_db=range_db),
            level,
            float(found.confidences[index]),
        )
        heapq.heappush(self._waiting, (attack, hit))


class HitStream(Protocol):
    """What takes blocks and returns hits: :class:`LiveTranscriber`, and
    :class:`~lars_plugin.midi.live_heard.LiveHearing`."""

    @property
    def sample_rate(self) -> float: ...

    @property
    def latency_samples(self) -> int: ...

    def push(self, block: Wave) -> list[DrumHit]: ...

    def flush(self) -> list[DrumHit]: ...


def live_hits(
    transcriber: HitStream, blocks: Iterable[Wave]
) -> Iterator[tuple[list[DrumHit], float]]:
    """Hits of finished blocks, with the stream's time in seconds after each."""
    seconds = 0.0
    for block in blocks:
        seconds += block.shape[-1] / transcriber.sample_rate
        yield transcriber.push(block), seconds
    yield transcriber.flush(), seconds
