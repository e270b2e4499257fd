# SPDX-License-Identifier: GPL-3.0-or-later
"""The chains behind a stream of the engine: of a board file, or of CHAIN messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pedalboard

from lars_plugin.bridge.engine.chains import Built, as_json
from lars_plugin.bridge.protocol import limits
from lars_plugin.chain.board_file import read_board_file, set_parameter
from lars_plugin.chain.live_chain import LiveChain
from lars_plugin.chain.plugin_thread import end_on_plugin_thread, on_plugin_thread
from lars_plugin.chain.processor import open_items
from lars_plugin.chain.stem_chains import StemChains
from lars_plugin.chain.units import BLOCK
from lars_plugin.errors import InputError, LarsError
from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import Stream

__all__ = ["Board"]

# Where the sum of the stems stands among the chains; no stem has this name.
_TOTAL = ""
# What is left out first where there is too much to tell of effects; what remains is short.
_LONG = ("state", "parameters", "names", "error")


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
        self.total = False  # whether the sum of the stems before their chains goes along, last
        self._channels = channels
        self._plugins: dict[str, list[pedalboard.Plugin]] = {}
        self._live: dict[str, LiveChain] = {}
        self._chains: StemChains | None = None
        if path:
            self._open_file(path, sample_rate)

    def _open_file(self, path: str, sample_rate: float) -> None:
        self._plugins = on_plugin_thread(lambda: read_board_file(path))
        extra = [name for name in self._plugins if name not in self.stems]
        if extra:
            raise InputError(f"{path}: there is no stem {', '.join(extra)} in this stream")
        if self._plugins:
            # There, too: some plugins are made anew before they are used.
            chains: dict[str, Stream] = on_plugin_thread(
                lambda: {
                    name: open_items(
                        self._plugins.get(name, []), sample_rate, self._channels, BLOCK
                    )
                    for name in self.stems
                }
            )
            self._chains = StemChains(chains, self._channels)

    @property
    def has_plugins(self) -> bool:
        """Whether there are, or were, any effects."""
        return bool(self._plugins or self._live)

    @property
    def latency_samples(self) -> int:
        """That of the slowest chain."""
        return 0 if self._chains is None else self._chains.latency_samples

    def push(self, stems: Wave) -> Wave:
        """``(stems, channels, n)`` to what is through, ``(stems, channels, m)``, m <= n. With
        ``total`` there is one more at the end.

        Raises:
            NonFiniteError: a plugin of a board file returned NaN or Inf.
        """
        if self._chains is None:
            return stems
        if self.total:
            stems = np.concatenate([stems, stems.sum(axis=0, keepdims=True)])
        return self._chains.push(stems)

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
        """Set ``board/<stem>/<index>/<parameter>`` of a board file and return the value now in
        force.

        Raises:
            InputError: there is no such plugin or parameter, or it refuses the value.
        """
        parts = name.split("/")
        chain = self._plugins.get(parts[1], []) if len(parts) == 4 and parts[0] == "board" else []
        if not (chain and parts[2].isdecimal() and int(parts[2]) < len(chain)):
            raise InputError(f"no parameter {name!r}; use fallback or board/<stem>/<index>/<name>")
        return set_parameter(chain[int(parts[2])], parts[3], value, name)

    # CHAIN.

    def change(self, built: Built) -> bool:
        """Have these chains from now on, instead of all others.

        Returns:
            Whether the stream has to begin anew: its latency or its number of stems is another.
            All audio is forgotten then.
        """
        any_slots = any(built.slots.values())
        total = built.total and any_slots
        if not self._live:
            self._live = {stem: LiveChain(self._channels) for stem in self.stems}
        anew = bool(self._plugins) or total != self.total
        anew = anew or any_slots != (self._chains is not None)
        for stem, slots in built.slots.items():
            chain = self._live[stem]
            anew = anew or not chain.fits(slots)
            for slot, entry in zip(slots, built.entries[stem], strict=True):
                slot.bypass = entry.bypass
                if slot.unit is not None and slot in chain.wanted:
                    slot.unit.set(entry.values, at_once=chain.fresh or slot.is_dry)
            chain.change(slots)
        if not anew:
            return False
        of_file: list[object] = [self._plugins, self._chains] if self._plugins else []
        self._plugins, self.total = {}, total
        streams: dict[str, Stream] = dict(self._live)
        if total:
            streams[_TOTAL] = LiveChain(self._channels)
        self._chains = StemChains(streams, self._channels) if any_slots else None
        if of_file:
            end_on_plugin_thread(of_file)
        self.reset()
        return True

    def described(self, *, states: bool) -> bytes:
        """The chains as they are, for CHAIN_STATE; without the longest parts where that is too
        much.

        Args:
            states: with what plugins on disk keep beside their parameters.
        """
        stems: dict[str, list[dict[str, Any]]] = {
            stem: [slot.described(with_state=states) for slot in chain.wanted]
            for stem, chain in self._live.items()
        }
        while len(report := as_json({"stems": stems})) > limits.MAX_CHAIN:
            entries = [entry for chain in stems.values() for entry in chain]
            largest = max(entries, key=lambda entry: len(as_json(entry)))
            largest.pop(next(key for key in _LONG if key in largest))
            largest["shortened"] = True
        return report

    def errors(self) -> list[LarsError]:
        """Of effects that failed while they ran, since this was asked last."""
        found: list[LarsError] = []
        for chain in self._live.values():
            found += chain.errors
            chain.errors.clear()
        return found
