# SPDX-License-Identifier: GPL-3.0-or-later
"""The rack: the chains of a board file, one per stem, run live and kept aligned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pedalboard
from numpy.typing import NDArray

from lars_plugin.chain.board_file import read_board_file, set_parameter
from lars_plugin.chain.native import NativeRun
from lars_plugin.chain.stages import Delayed, Fifo, Serial
from lars_plugin.errors import EngineError, InputError

__all__ = ["Rack"]

Wave = NDArray[np.float32]

# Samples per block handed to the plugins: the price of a board in latency.
_BUFFER = 128


class Rack:
    """Runs each stem through its chain; all come out as late as the slowest of them.

    Args:
        path: the board file, or empty for no chains at all: then this costs nothing.
        stems: names of the stems, in the order of the arrays.
        sample_rate: Hz.
        channels: of each stem.

    Raises:
        InputError: the file cannot be used, or names a stem that is not among these.
    """

    def __init__(self, path: str, stems: Sequence[str], sample_rate: float, channels: int) -> None:
        self._stems = tuple(stems)
        self._channels = channels
        self._plugins: dict[str, list[pedalboard.Plugin]] = read_board_file(path) if path else {}
        extra = [name for name in self._plugins if name not in self._stems]
        if extra:
            raise InputError(f"{path}: there is no stem {', '.join(extra)} in this stream")
        self._chains: list[Serial] = []
        self.latency_samples = 0
        if not self._plugins:
            return
        for name in self._stems:
            plugins = self._plugins.get(name, [])
            runs = [NativeRun(plugins, sample_rate, channels, _BUFFER)] if plugins else []
            self._chains.append(Serial(runs, channels))
        self.latency_samples = max(chain.latency_samples for chain in self._chains)
        self._waiting = [Fifo(channels) for _ in self._chains]
        self._delayed = Delayed(self.latency_samples)

    def push(self, stems: Wave) -> Wave:
        """``(stems, channels, n)`` to what is through, ``(stems, channels, m)``, m <= n.

        Raises:
            EngineError: a plugin returned NaN or Inf.
        """
        if not self._chains:
            return stems
        for chain, waiting, stem in zip(self._chains, self._waiting, stems, strict=True):
            waiting.append(chain.push(stem))
        available = min(waiting.samples for waiting in self._waiting)
        return self._take(self._delayed.due(stems.shape[2], available))

    def flush(self) -> Wave:
        """The rest; in all as long as the input."""
        if not self._chains:
            return np.empty((len(self._stems), self._channels, 0), np.float32)
        for chain, waiting in zip(self._chains, self._waiting, strict=True):
            waiting.append(chain.flush())
        return self._take(self._delayed.rest())

    def reset(self) -> None:
        """Forget all audio; parameters stay."""
        for chain in self._chains:
            chain.reset()
        if self._chains:
            for waiting in self._waiting:
                waiting.clear()
            self._delayed.restart()

    def set(self, name: str, value: float) -> float:
        """Set ``board/<stem>/<index>/<parameter>`` and return the value now in force.

        Raises:
            InputError: there is no such plugin or parameter, or it refuses the value.
        """
        parts = name.split("/")
        chain = self._plugins.get(parts[1], []) if len(parts) == 4 and parts[0] == "board" else []
        if not (chain and parts[2].isdecimal() and int(parts[2]) < len(chain)):
            raise InputError(f"no parameter {name!r}; use fallback or board/<stem>/<index>/<name>")
        return set_parameter(chain[int(parts[2])], parts[3], value, name)

    def _take(self, count: int) -> Wave:
        out = np.stack([waiting.take(count) for waiting in self._waiting])
        if not np.isfinite(out).all():
            raise EngineError("a plugin of the board returned NaN or Inf; take it out")
        return out
