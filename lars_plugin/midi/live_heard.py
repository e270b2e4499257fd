# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits from a stream, by a transcriber whose network hears next to nothing of the future.

A hit is returned a fixed time after its stroke: half a window of the spectra, the frames that the
network hears ahead, one more in which the chance must not rise any more, and half a frame by which
the stroke may come before its frame. With one frame of look-ahead these are 48 ms.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import InputError
from lars_plugin.midi.analysis import drum_stems
from lars_plugin.midi.heard import Heard, confidence, stems_of, struck_at, velocity_heard
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.levels import REACH, hit_level
from lars_plugin.midi.mel import (
    BANDS,
    FIRST_REFERENCE_DB,
    FRAMES_PER_SECOND,
    HOP,
    N_FFT,
    SAMPLE_RATE,
    frame_powers,
    running_levels,
)
from lars_plugin.midi.picking import APART, LATER, moments, peaks
from lars_plugin.midi.transcriber import (
    LOWEST_RATE,
    Activations,
    LarsTranscriber,
    Transcriber,
)
from lars_plugin.midi.velocity import DEFAULT_RANGE_DB, VelocityScale, check_scale, velocity_of
from lars_plugin.networks.transcriber.config import CONTEXT, GROUPS, STROKES
from lars_plugin.separation.streams.base import check_block
from lars_plugin.separation.streams.live_rate import LiveResampler, can_convert

__all__ = ["LiveHearing", "StrokeStream"]

# Frames of chances that are kept: those that decide about a peak, and where its kind is looked for.
_KEPT = APART + 1 + LATER
# Seconds of the stems that are kept after a stroke is known.
_MARGIN = 0.1

Floats = NDArray[np.float32]


class StrokeStream:
    """The strokes of a stream of audio, as soon as they are known.

    They do not depend on how the stream is cut into blocks.

    Args:
        transcriber: with a causal network.
        sample_rate: Hz, in a ratio of small numbers to 44.1 kHz.
        channels: of the blocks.

    Raises:
        InputError: the network hears the future, or the rate cannot be converted.
    """

    def __init__(self, transcriber: Transcriber, sample_rate: float, channels: int) -> None:
        if not isinstance(transcriber, LarsTranscriber) or not transcriber.config.causal:
            raise InputError(
                f"the transcriber {transcriber.name} hears whole recordings only; for live use"
                " name a causal one: lars-transcriber-live"
            )
        if not (sample_rate >= LOWEST_RATE and can_convert(sample_rate, SAMPLE_RATE)):
            raise InputError(f"{sample_rate:g} Hz cannot be heard live; use 44100 or 48000 Hz")
        self._run, self._config = transcriber.run, transcriber.config
        self._chances = transcriber.chances
        self._thresholds = [transcriber.thresholds[group] for group in GROUPS]
        self._ahead = self._config.lookahead
        self._rate, self._channels = sample_rate, channels
        self._position = 0  # for messages
        # The first run allocates; no stream must wait for that.
        (features,) = self._run("listen", np.zeros((1, 2 * CONTEXT + 1, BANDS), np.float32))
        self._run("follow", features[:, :1], self._silence())
        self.reset()

    def _silence(self) -> Floats:
        """Memory before the first frame."""
        return np.zeros((self._config.layers, 1, self._config.hidden), np.float32)

    @property
    def latency_samples(self) -> int:
        """The most samples from a stroke to the end of the block that returns it."""
        frames = self._ahead + LATER + 0.5
        delay = self._resampler.latency_samples if self._resampler else 0
        return math.ceil((frames * HOP + N_FFT // 2) * self._rate / SAMPLE_RATE) + delay

    def reset(self) -> None:
        """Back to the initial state."""
        same = self._rate == SAMPLE_RATE
        self._resampler = None if same else LiveResampler(self._rate, SAMPLE_RATE, self._channels)
        self._wave = np.zeros((self._channels, N_FFT // 2), np.float32)
        self._reference = FIRST_REFERENCE_DB
        self._levels = np.empty((0, BANDS), np.float32)  # the newest, up to frame self._heard
        self._heard = self._decided = 0
        self._memory = self._silence()
        self._position = 0
        sizes = (len(STROKES), len(GROUPS), len(GROUPS))
        self._newest = [np.empty((0, size), np.float32) for size in sizes]
        self._last = [-_KEPT] * len(GROUPS)

    def push(self, block: Floats) -> list[Heard]:
        """Take a block ``(channels, n)`` and return what is known by its end, in order of time.

        Raises:
            InputError: a block of another type or shape.
            NonFiniteError: NaN or Inf in it; the stream goes on with the next block.
        """
        block = check_block(block, self._channels, self._position, self._rate)
        self._position += block.shape[1]
        return self._push(self._resampler.push(block) if self._resampler else block)

    def flush(self) -> list[Heard]:
        """What is known if silence follows; this ends the stream."""
        found = self._push(self._resampler.flush()) if self._resampler else []
        rest = N_FFT // 2 + (self._ahead + LATER + 1) * HOP
        return found + self._push(np.zeros((self._channels, rest), np.float32))

    def _push(self, wave: Floats) -> list[Heard]:
        wave = np.concatenate([self._wave, wave], axis=1)
        found: list[Heard] = []
        begin = 0
        while begin + N_FFT <= wave.shape[1]:
            powers = frame_powers(wave[:, begin : begin + N_FFT]).mean(axis=0, keepdims=True)
            begin += HOP
            level, self._reference = running_levels(powers, self._reference)
            self._levels = np.concatenate([self._levels[-2 * CONTEXT :], level])
            self._heard += 1
            if self._heard > self._ahead:
                found += self._decide()
        self._wave = wave[:, begin:].copy()
        return sorted(found)

    def _decide(self) -> list[Heard]:
        """One more frame of chances, and the strokes that are known by it."""
        (features,) = self._run("listen", self._levels[None])
        # Of the frame after which only the look-ahead follows.
        mine = features[:, len(self._levels) - 1 - self._ahead :][:, :1]
        chances, velocities, self._memory = self._run("follow", mine, self._memory)
        new = (*self._chances(chances[0]), velocities[0])
        self._newest = [
            np.concatenate([old[1 - _KEPT :], one])
            for old, one in zip(self._newest, new, strict=True)
        ]
        self._decided += 1
        place = len(self._newest[0]) - 1 - LATER
        return self._struck(place, self._decided - 1 - LATER) if place >= 0 else []

    def _struck(self, place: int, frame: int) -> list[Heard]:
        """The strokes at a frame, which is the place in the newest chances."""
        strokes, groups, velocities = self._newest
        newest = Activations(strokes, groups, velocities, after=LATER)
        found: list[Heard] = []
        for group, threshold in enumerate(self._thresholds):
            chances = groups[:, group]
            if chances[place] < threshold or frame - self._last[group] <= APART:
                continue
            if place not in peaks(chances, threshold, LATER):
                continue
            self._last[group] = frame
            moment = frame - place + float(moments(chances, np.array([place]), LATER)[0])
            sure = confidence(float(chances[place]), threshold)
            for stem, articulation, velocity in struck_at(newest, group, place):
                found.append((moment / FRAMES_PER_SECOND, stem, articulation, sure, velocity))
        return found


class LiveHearing:
    """Takes blocks of a recording, or of its stems, and returns each hit once.

    With stems the transcriber hears their sum, and a hit's velocity comes from its stem; the
    separator's latency is added. Without, hits come that much earlier, and velocities are those
    that the transcriber hears.

    Args:
        transcriber: a causal one.
        sample_rate: Hz; see :class:`StrokeStream`.
        channels: of the recording, or of each stem.
        stems: names along the first axis of the blocks; None for blocks of the recording itself.
        reference: level in dB against full scale that gets velocity 127; for stems.
        velocity, velocity_range: see :mod:`lars_plugin.midi.velocity`; for stems.

    Raises:
        InputError: as for :class:`StrokeStream`, unknown options, or no stem is a drum.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        sample_rate: float,
        channels: int = 2,
        stems: Sequence[str] | None = None,
        *,
        reference: float = -12.0,
        velocity: VelocityScale = "log",
        velocity_range: float = DEFAULT_RANGE_DB,
    ) -> None:
        check_scale(velocity, velocity_range)
        self.stems = None if stems is None else tuple(stems)
        if self.stems is not None:
            drum_stems(self.stems, None)
        self._strokes = StrokeStream(transcriber, sample_rate, channels)
        self._rate, self._channels = sample_rate, channels
        self._scale, self._range, self._full = velocity, velocity_range, reference
        self.reset()

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self._rate

    @property
    def latency_samples(self) -> int:
        """Samples from a stroke to the sample whose block returns it."""
        known = self._strokes.latency_samples
        return known if self.stems is None else max(known, math.ceil(REACH * self._rate) + 1)

    def reset(self) -> None:
        """Back to the initial state."""
        self._strokes.reset()
        self._kept = np.zeros((len(self.stems or ()), self._channels, 0), np.float32)
        self._pushed = 0
        self._waiting: list[Heard] = []

    def push(self, block: Floats) -> list[DrumHit]:
        """Take a block ``(channels, n)``, or ``(stems, channels, n)``; return the hits due.

        Raises:
            InputError: a block of another type or shape.
            NonFiniteError: NaN or Inf in it; the stream goes on with the next block.
        """
        mixture = block
        if self.stems is not None:
            if block.ndim != 3 or block.shape[:2] != (len(self.stems), self._channels):
                wanted = (len(self.stems), self._channels, "n")
                raise InputError(f"blocks must be {wanted}, got {block.shape}")
            mixture = np.asarray(block.sum(axis=0), np.float32)
        heard = self._strokes.push(mixture)
        if self.stems is not None:
            self._kept = np.concatenate([self._kept, block], axis=2)
        self._pushed += mixture.shape[1]
        return self._due(heard, self._pushed)

    def flush(self) -> list[DrumHit]:
        """The remaining hits; this ends the stream."""
        end = self._pushed / self._rate
        rest = [one for one in self._strokes.flush() if one[0] < end]
        return self._due(rest, self._pushed + 2 * self.latency_samples)

    def _due(self, heard: Sequence[Heard], now: int) -> list[DrumHit]:
        for one in heard:
            heapq.heappush(self._waiting, one)
        hits = []
        while self._waiting:
            at = round(max(0.0, self._waiting[0][0]) * self._rate)
            if at + self.latency_samples > now:
                break
            hits += self._hits(heapq.heappop(self._waiting), at)
        keep = self.latency_samples + round(_MARGIN * self._rate)
        if self._kept.shape[2] > 2 * keep:
            self._kept = self._kept[:, :, -keep:].copy()
        return hits

    def _hits(self, heard: Heard, at: int) -> list[DrumHit]:
        """The hit of a stroke; none if its stem is not there."""
        _, drum, articulation, sure, velocity = heard
        if self.stems is None:
            value = velocity_heard(velocity)
            return [DrumHit(at / self._rate, drum, articulation, value, confidence=sure)]
        names = stems_of(drum, self.stems, one_cymbal=False)
        if not names:
            return []
        wave = self._kept[self.stems.index(names[0])]
        begin = self._pushed - wave.shape[1]
        level = hit_level(wave, self._rate, max(0, at - begin))
        value = velocity_of(level, self._full, scale=self._scale, range_db=self._range)
        return [DrumHit(at / self._rate, names[0], articulation, value, level, sure)]
