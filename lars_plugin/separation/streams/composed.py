# SPDX-License-Identifier: GPL-3.0-or-later
"""What streams of several models have in common: parts, and waves that wait for each other."""

from __future__ import annotations

from collections.abc import Sequence

from lars_plugin.dsp.fifo import Aligned
from lars_plugin.separation.streams.base import ModelStream

__all__ = ["ComposedStream"]


class ComposedStream(ModelStream):
    """A stream made of streams of one rate and one number of channels.

    Args:
        stems: names along the first axis of the output.
        parts: the streams.
        waiting: of each kind of wave that waits for the others, how many stems it has.
    """

    def __init__(
        self, stems: Sequence[str], parts: Sequence[ModelStream], waiting: Sequence[int]
    ) -> None:
        super().__init__(stems, parts[0].channels, parts[0].sample_rate)
        self._parts = tuple(parts)
        self._waiting = Aligned([(count, self.channels) for count in waiting])
        self._flushed = False

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        for part in self._parts:
            part.reset()
        self._waiting.clear()
        self._flushed = False
