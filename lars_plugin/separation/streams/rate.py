# SPDX-License-Identifier: GPL-3.0-or-later
"""RateStream: a model's stream for audio of any rate, mono or stereo."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

from lars_plugin.composites.composite import Cascade
from lars_plugin.errors import InputError
from lars_plugin.model import Chunking, Model
from lars_plugin.refine.postprocess import PostProcessing, PostStream
from lars_plugin.separation.streams.chunked import Steps, check_block, choose_stems, run_steps
from lars_plugin.separation.streams.lost_band import LostBand, Resampler, heard_stems
from lars_plugin.separation.streams.open import open_core

__all__ = ["RateStream"]

Wave = NDArray[np.float32]

# The resampler is fed blocks of this many samples, whatever the caller's blocks are: the
# result must not depend on them to the last bit.
_QUANTUM = 1024


class _Resampler:
    """Streaming sample-rate conversion (soxr, HQ) with output of an exact length.

    soxr compensates its own delay: sample n of the output belongs to time n / rate. What it
    gives at the end can be a sample off the length asked for; it is cut or followed by silence.
    """

    def __init__(self, source: float, target: float, channels: int) -> None:
        self._rates = (source, target)
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        self._soxr = soxr.ResampleStream(
            *self._rates, self._channels, dtype="float32", quality="HQ"
        )
        self._waiting = np.empty((self._channels, 0), np.float32)

    def push(self, block: Wave) -> Wave:
        """``(channels, n)`` to what is ready, ``(channels, m)``."""
        parts = [np.empty((self._channels, 0), np.float32)]
        start = min(block.shape[1], _QUANTUM - self._waiting.shape[1])
        waiting = np.concatenate([self._waiting, block[:, :start]], axis=1)
        while waiting.shape[1] == _QUANTUM:
            parts.append(self._convert(waiting, False))
            waiting = block[:, start : start + _QUANTUM]
            start += _QUANTUM
        self._waiting = waiting.copy()  # the block is its owner's
        return np.concatenate(parts, axis=1)

    def flush(self) -> Wave:
        rest = self._convert(self._waiting, True)
        self._waiting = self._waiting[:, :0]
        return rest

    def _convert(self, block: Wave, last: bool) -> Wave:
        frames = np.ascontiguousarray(block.T)
        made = self._soxr.resample_chunk(frames, last=last)
        return np.ascontiguousarray(made.reshape(-1, self._channels).T)


@functools.lru_cache(maxsize=64)
def _lag(source: float, target: float) -> float:
    """Most seconds by which a resampler's output trails its input, measured on silence."""
    resampler = _Resampler(source, target, 1)
    block = np.zeros((1, _QUANTUM), np.float32)
    given, made, worst = 0, 0, 0.0
    for _ in range(64):
        # Just before the quantum is whole, nothing of it has been taken.
        worst = max(worst, (given + _QUANTUM - 1) / source - made / target)
        made += resampler.push(block).shape[1]
        given += _QUANTUM
    return worst


class RateStream:
    """Pushes blocks ``(channels, n)`` at any rate; returns stems at that rate and layout.

    Mono input goes to a stereo model on both channels, and its stems are the mean of the two.
    At the model's own rate and channel count this adds nothing to a ``StreamingSeparator``.

    At another rate the stems get back what the conversion takes from the recording, so that
    stems which add up at the model's rate add up here; see
    :mod:`lars_plugin.separation.streams.lost_band`. The shares depend on all stems, so all are
    computed then, whichever are wanted (in a cascade, all of a stage).

    Args:
        model: the model, of any kind.
        sample_rate: Hz, of input and output.
        channels: 1 or 2, of input and output.
        chunking: instead of the model's own.
        stems: canonical names of those wanted; all for None.
        post: what the stems go through at last, at this stream's rate; in a cascade, the drum
            stage's stems before they are resampled.

    Raises:
        InputError: a rate outside 1 kHz to 768 kHz, or channels that do not fit the model.
    """

    # Samples of the lower rate after which the shares of what is lost are measured again. The
    # converter back is late by more than these and half the measure, so nothing waits for them.
    _apart = 64

    def __init__(
        self,
        model: Model,
        sample_rate: float,
        channels: int,
        *,
        chunking: Chunking | None = None,
        stems: Sequence[str] | None = None,
        post: PostProcessing | None = None,
    ) -> None:
        if not (math.isfinite(sample_rate) and 1000 <= sample_rate <= 768000):
            raise InputError(f"sample rate must be from 1000 to 768000 Hz, got {sample_rate}")
        if channels != model.config.channels and channels != 1:
            raise InputError(
                f"model {model.config.name!r} separates mono or {model.config.channels} channels,"
                f" got {channels}; mix or pick channels first"
            )
        chosen = choose_stems(model, stems)
        self._stems = tuple(model.config.stems[index] for index in chosen)
        self._post: PostStream | None = None
        if post is not None and post.active and not isinstance(model, Cascade):
            # All stems have a part in it, whichever are wanted.
            count = len(model.config.stems)
            self._post = PostStream(post, count, channels, sample_rate, chosen)
            post = None
        inside = post if post is not None and post.active else None
        made = self._stems if self._post is None else model.config.stems
        self.sample_rate = sample_rate
        self.channels = channels
        self._in: Resampler | None = None
        self._out: Resampler | None = None
        self._lost: LostBand | None = None
        inner = model.config.sample_rate
        if sample_rate == inner:
            self._core = open_core(model, chunking=chunking, stems=made, post=inside)
        else:
            heard, first = heard_stems(model, made, apart=inside is not None)
            self._core = open_core(model, chunking=chunking, stems=heard, post=inside)
            self._in = self._resampler(sample_rate, inner, channels)
            self._lost = LostBand(
                sample_rate,
                inner,
                channels,
                heard=len(heard),
                first=first,
                keep=[heard.index(stem) for stem in made],
                apart=self._apart,
            )
            self._out = self._resampler(inner, sample_rate, self._lost.waves * channels)
        self._taken = self._given = 0

    @property
    def stems(self) -> tuple[str, ...]:
        """Names along the first axis of the output."""
        return self._stems

    @property
    def backend(self) -> Callable[[Wave], Wave]:
        """Runs what ``push_steps`` yields: the model's, or for a causal model this stream's own."""
        return self._core.backend

    @property
    def model_latency(self) -> int:
        """The part of ``latency_samples`` that is the model's, in samples of this rate."""
        return math.ceil(self._core.latency_samples * (self.sample_rate / self._core.sample_rate))

    @property
    def latency_samples(self) -> int:
        """The most samples, at this stream's rate, by which the output trails the input."""
        after = 0 if self._post is None else self._post.latency_samples
        if self._in is None:
            return self._core.latency_samples + after
        rate, inner = self.sample_rate, self._core.sample_rate
        seconds = _lag(rate, inner) + self._core.latency_samples / inner + _lag(inner, rate)
        return math.ceil(seconds * rate) + 2 + after  # each conversion rounds by at most a sample

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._core.reset()
        for part in (self._in, self._out, self._lost):
            if part is not None:
                part.reset()
        if self._post is not None:
            self._post.reset()
        self._taken = self._given = 0

    def push(self, block: NDArray[np.generic]) -> Wave:
        """Take ``(channels, n)`` and return what is finished, ``(stems, channels, m)``.

        Raises:
            InputError, NonFiniteError, EngineError: as ``StreamingSeparator.push``.
        """
        return run_steps(self.push_steps(block), self.backend)

    def push_steps(self, block: NDArray[np.generic]) -> Steps:
        """``push`` with the network left to the caller: ``StreamingSeparator.push_steps``."""
        wave = check_block(block, self.channels, self._taken, self.sample_rate)
        self._taken += wave.shape[1]
        inner = wave
        if self._in is not None and self._lost is not None:
            inner = self._in.push(wave)
            self._lost.hear(wave, inner)
        made = self._give((yield from self._core.push_steps(self._widen(inner))))
        return made if self._post is None else self._post.push(wave, made)

    def flush(self) -> Wave:
        """End the input and return the rest; in all exactly as long as the input."""
        return run_steps(self.flush_steps(), self.backend)

    def flush_steps(self) -> Steps:
        """``flush`` with the network left to the caller: ``StreamingSeparator.push_steps``."""
        parts = []
        unfinished = self._taken > self._given
        if self._in is not None and self._lost is not None and unfinished:
            rest = self._in.flush()
            self._lost.hear(np.empty((self.channels, 0), np.float32), rest)
            parts.append(self._give((yield from self._core.push_steps(self._widen(rest)))))
        parts.append(self._give((yield from self._core.flush_steps())))
        if self._out is not None and self._lost is not None and unfinished:
            last = self._fit(self._unfold(self._out.flush()))
            missing = self._taken - self._given
            last = np.pad(last, ((0, 0), (0, 0), (0, missing)))
            self._given += missing
            parts.append(self._lost.finish(last))
        made = np.concatenate(parts, axis=2)
        return made if self._post is None else self._post.flush(made)

    def _resampler(self, source: float, target: float, channels: int) -> Resampler:
        return _Resampler(source, target, channels)

    def _widen(self, wave: Wave) -> Wave:
        """To the model's channels."""
        if wave.shape[0] == self._core.channels:
            return wave
        return np.broadcast_to(wave, (self._core.channels, wave.shape[1]))

    def _give(self, stems: Wave) -> Wave:
        """From the model's rate and channels to the stream's."""
        if self.channels != self._core.channels:
            stems = stems.mean(axis=1, keepdims=True, dtype=np.float32)
        if self._out is None or self._lost is None:
            return self._fit(stems)
        waves = self._lost.join(stems)
        folded = waves.reshape(self._lost.waves * self.channels, -1)
        return self._lost.add(self._fit(self._unfold(self._out.push(folded))))

    def _unfold(self, folded: Wave) -> Wave:
        return folded.reshape(len(folded) // self.channels, self.channels, folded.shape[1])

    def _fit(self, stems: Wave) -> Wave:
        """Never more in all than was taken."""
        stems = stems[..., : self._taken - self._given]
        self._given += stems.shape[2]
        return stems
