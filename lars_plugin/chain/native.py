# SPDX-License-Identifier: GPL-3.0-or-later
"""pedalboard's own plugins in a chain: whole signals, and streams that lose nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pedalboard
from numpy.typing import NDArray
from pedalboard import Pedalboard  # type: ignore[attr-defined]  # not marked as exported

from lars_plugin.chain.serial import Delayed
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.errors import EngineError, InputError, NonFiniteError

__all__ = ["NativeRun", "nested", "run_native"]

Wave = NDArray[np.float32]

# What native plugins are fed in a stream: blocks of exactly the buffer size, within these.
_SMALLEST, _LARGEST = 64, 8192

# Samples after which a plugin that returns nothing is given up on.
_PATIENCE = 1 << 21

# Float rounding on a signal of +-0.5, but far below any sample gone missing.
_SAME = 1e-3

_ADVICE = "process whole recordings with reset=True, or remove it"


def nested(plugins: Sequence[pedalboard.Plugin | None]) -> Iterator[pedalboard.Plugin]:
    """The plugins and all those inside containers (Pedalboard, Chain, Mix) among them."""
    for plugin in plugins:
        if plugin is not None:
            yield plugin
        if isinstance(plugin, pedalboard.PluginContainer):
            yield from nested(list(plugin))


def run_native(
    plugins: Sequence[pedalboard.Plugin], audio: Wave, sample_rate: float, buffer_size: int
) -> Wave:
    """A whole signal ``(channels, n)`` through pedalboard plugins: what ``Pedalboard`` returns.

    Raises:
        NonFiniteError: a plugin returned NaN or Inf.
    """
    channels, samples = audio.shape
    if samples == 0:
        return audio
    if samples <= channels:  # pedalboard would take the axes for each other
        audio = np.pad(audio, ((0, 0), (0, channels + 1 - samples)))
    out = Pedalboard(list(plugins))(audio, sample_rate, buffer_size, True)
    return _finite(np.asarray(out[:, :samples]), plugins)


def _finite(wave: Wave, plugins: Sequence[pedalboard.Plugin]) -> Wave:
    if not np.isfinite(wave).all():
        raise NonFiniteError(f"{_names(plugins)} returned NaN or Inf; check input and settings")
    return wave


def _names(plugins: Sequence[pedalboard.Plugin]) -> str:
    return ", ".join(type(plugin).__name__ for plugin in plugins)


class NativeRun:
    """A run of pedalboard plugins as a stream of one wave.

    Blocks are gathered and handed on at exactly one size. Any other way of streaming through
    pedalboard (0.9.26) depends on how the input is split: a plugin that meets a larger block
    than before prepares itself anew and forgets its state.

    Args:
        plugins: effects; their state is cleared now, and they belong to this stream until it
            is no longer used.
        sample_rate: Hz.
        channels: of input and output.
        buffer_size: samples per block handed to the plugins, and the price in latency.

    Raises:
        InputError: a plugin that cannot be used block by block.
    """

    stems = ()

    def __init__(
        self,
        plugins: Sequence[pedalboard.Plugin],
        sample_rate: float,
        channels: int,
        buffer_size: int,
    ) -> None:
        self._plugins = list(plugins)
        self._sample_rate = sample_rate
        self._channels = channels
        self._block = min(max(buffer_size, _SMALLEST), _LARGEST)
        self._board = Pedalboard(self._plugins)
        self._waiting = Fifo((channels,))
        self._ready = Fifo((channels,))
        self._delayed = Delayed(self._block - 1 + self._measure())

    @property
    def latency_samples(self) -> int:
        """The plugins' latency as measured, plus what gathering blocks adds at most."""
        return self._delayed.latency_samples

    def push(self, block: Wave) -> Wave:
        self._waiting.append(block.copy())  # the caller may fill its block again
        while self._waiting.samples >= self._block:
            self._ready.append(self._run(self._waiting.take(self._block)))
        return self._ready.take(self._delayed.due(block.shape[1], self._ready.samples))

    def flush(self) -> Wave:
        owed = self._delayed.rest()
        patience = _PATIENCE
        while self._ready.samples < owed:
            rest = self._waiting.take(min(self._waiting.samples, self._block))
            block = np.pad(rest, ((0, 0), (0, self._block - rest.shape[1])))
            result = self._run(block)
            self._ready.append(result)
            patience = _PATIENCE if result.shape[1] else patience - self._block
            if patience <= 0:
                raise EngineError(
                    f"{_names(self._plugins)} kept {owed} samples to itself; {_ADVICE}"
                )
        return self._ready.take(owed)

    def reset(self) -> None:
        self._board.reset()
        self._waiting.clear()
        self._ready.clear()
        self._delayed.restart()

    def _run(self, block: Wave) -> Wave:
        result = np.asarray(self._board(block, self._sample_rate, self._block, False))
        return _finite(result, self._plugins)

    def _measure(self) -> int:
        """Samples the plugins hold back; and whether they can be used block by block at all."""
        self._board.reset()
        # A VST3 may answer at random, or make much of noise: for those, silence, and no check.
        external = any(isinstance(one, pedalboard.ExternalPlugin) for one in nested(self._plugins))
        shape = (self._channels, self._block)
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype(np.float32)
        block = np.zeros(shape, np.float32) if external else noise
        parts: list[Wave] = []
        taken = given = full = 0
        while full < 3:
            parts.append(self._run(block))
            count = parts[-1].shape[1]
            taken, given = taken + self._block, given + count
            full = full + 1 if count == self._block else 0
            if taken > _PATIENCE:
                raise InputError(f"{_names(self._plugins)} returns no steady stream; {_ADVICE}")
        if not external:
            audio = np.tile(block, len(parts))
            whole = run_native(self._plugins, audio, self._sample_rate, self._block)[:, :given]
            if not np.allclose(np.concatenate(parts, axis=1), whole, 0, _SAME):
                raise InputError(
                    f"{_names(self._plugins)} loses audio between blocks, here as in a Pedalboard"
                    f" with reset=False; {_ADVICE}"
                )
        self._board.reset()
        return taken - given
