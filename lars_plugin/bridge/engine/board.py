# SPDX-License-Identifier: GPL-3.0-or-later
"""The chains of a board file behind a stream of the engine, and their parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pedalboard

from lars_plugin.chain.board_file import read_board_file, set_parameter
from lars_plugin.chain.processor import open_items
from lars_plugin.chain.stem_chains import StemChains
from lars_plugin.errors import InputError
from lars_plugin.model import Wave

__all__ = ["Board"]

# Samples per block handed to the plugins: the price of a board in latency.
_BUFFER = 128


class Board:
    """Runs each stem through its chain, if there is any; all come out equally late.

    Args:
        path: the board file, or empty for no chains at all: then this costs nothing.
        stems: names of the stems, in the order of the arrays.
        sample_rate: Hz.
        channels: of each stem.

    Raises:
        InputError: the file cannot be used, or names a stem that is not among these.
    """

    def __init__(self, path: str, stems: Sequence[str], sample_rate: float, channels: int) -> None:
        self.stems = tuple(stems)
        self._channels = channels
        self._plugins: dict[str, list[pedalboard.Plugin]] = read_board_file(path) if path else {}
        extra = [name for name in self._plugins if name not in self.stems]
        if extra:
            raise InputError(f"{path}: there is no stem {', '.join(extra)} in this stream")
        self._chains: StemChains | None = None
        if self._plugins:
            chains = {
                name: open_items(self._plugins.get(name, []), sample_rate, channels, _BUFFER)
                for name in self.stems
            }
            self._chains = StemChains(chains, channels)

    @property
    def latency_samples(self) -> int:
        """That of the slowest chain."""
        return 0 if self._chains is None else self._chains.latency_samples

    def push(self, stems: Wave) -> Wave:
        """``(stems, channels, n)`` to what is through, ``(stems, channels, m)``, m <= n.

        Raises:
            NonFiniteError: a plugin returned NaN or Inf.
        """
        return stems if self._chains is None else self._chains.push(stems)

    def flush(self) -> Wave:
        """The rest; in all as long as the input."""
        if self._chains is None:
            return np.empty((len(self.stems), self._channels, 0), np.float32)
        return self._chains.flush()

    def reset(self) -> None:
        """Forget all audio; parameters stay."""
        if self._chains is not None:
            self._chains.reset()

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
