# SPDX-License-Identifier: GPL-3.0-or-later
"""A cascade as streams: the finished drum stem of one stream is pushed into another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lars_plugin.composites.drum_sum import DRUMS
from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import ModelStream, Steps
from lars_plugin.separation.streams.composed import ComposedStream

__all__ = ["CascadeStream"]


class CascadeStream(ComposedStream):
    """Blocks in, the music stage's other stems and the drum stage's stems out, all aligned.

    The music stage's stems wait for the drum stage. The result is that of two separators one
    after the other.

    Args:
        music: gives a stem ``drums``, and those of ``stems`` that the drum stage does not give;
            ``drums`` alone where it gives no other.
        drums: separates that stem; None where none of its stems are wanted.
        stems: names of the output, in this order.
    """

    def __init__(self, music: ModelStream, drums: ModelStream | None, stems: Sequence[str]) -> None:
        inner = () if drums is None else drums.stems
        outer = [stem for stem in stems if stem not in inner]
        parts = [music] if drums is None else [music, drums]
        super().__init__(stems, parts, [len(outer), len(inner)])
        self._music, self._drums = music, drums
        self._outer = [music.stems.index(stem) for stem in outer]
        self._feed = 0 if drums is None else music.stems.index(DRUMS)
        given = (*outer, *inner)
        self._order = [given.index(stem) for stem in stems]

    @property
    def latency_samples(self) -> int:
        """That of both stages together."""
        return sum(part.latency_samples for part in self._parts)

    def push_checked(self, wave: Wave) -> Steps:
        return (yield from self._pass_on((yield from self._music.push_checked(wave))))

    def flush_steps(self) -> Steps:
        if self._flushed:
            return self._joined([])
        self._flushed = True
        stems = yield from self._pass_on((yield from self._music.flush_steps()))
        if self._drums is None:
            return stems
        last = self._merged((yield from self._drums.flush_steps()))
        return np.concatenate([stems, last], axis=2)

    def _pass_on(self, above: Wave) -> Steps:
        """Give the drum stage what the music stage has finished."""
        self._waiting.append(0, above[self._outer])
        if self._drums is None:
            return self._merged(above[:0])
        return self._merged((yield from self._drums.push_steps(above[self._feed])))

    def _merged(self, inner: Wave) -> Wave:
        self._waiting.append(1, inner)
        return np.concatenate(self._waiting.take())[self._order]
