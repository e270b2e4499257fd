# SPDX-License-Identifier: GPL-3.0-or-later
"""An ensemble that trusts the better model, as streams: several hear the same, and are blended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lars_plugin.composites.blend import Blend
from lars_plugin.composites.fused import mixed
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import ModelStream, Steps
from lars_plugin.separation.streams.composed import ComposedStream

__all__ = ["AutoStream"]


class AutoStream(ComposedStream):
    """Blocks in, stems out, each blended of those of several streams.

    Args:
        parts: two streams or more, each with all stems of its model.
        sources: of each part ``(stems, stems of the part)``: which of them make up a stem.
        names: of all stems.
        stems: names of those that are returned, in this order.
    """

    def __init__(
        self,
        parts: Sequence[ModelStream],
        sources: Sequence[Wave],
        names: Sequence[str],
        stems: Sequence[str],
    ) -> None:
        super().__init__(stems, parts, [len(part.stems) for part in parts])
        self._sources = list(sources)
        self._keep = [tuple(names).index(stem) for stem in stems]
        self._mixture = Fifo((self.channels,))
        self._blend = Blend(len(parts), names, self.channels, self.sample_rate)

    @property
    def latency_samples(self) -> int:
        """That of the slowest model, and a window's."""
        return max(part.latency_samples for part in self._parts) + self._blend.latency_samples

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        self._mixture.clear()
        self._blend.reset()

    def push_checked(self, wave: Wave) -> Steps:
        # Copied: the caller may fill its block again before it is taken.
        self._mixture.append(wave.copy())
        for index, part in enumerate(self._parts):
            self._waiting.append(index, (yield from part.push_checked(wave)))
        return self._blended()[self._keep]

    def flush_steps(self) -> Steps:
        for index, part in enumerate(self._parts):
            self._waiting.append(index, (yield from part.flush_steps()))
        if self._flushed:
            return self._joined([])
        self._flushed = True
        return np.concatenate([self._blended(), self._blend.flush()], axis=2)[self._keep]

    def _blended(self) -> Wave:
        waves = self._waiting.take()
        stems = [
            mixed([wave], [source], axis=0)
            for source, wave in zip(self._sources, waves, strict=True)
        ]
        return self._blend.push(self._mixture.take(stems[0].shape[2]), np.stack(stems))
