# SPDX-License-Identifier: GPL-3.0-or-later
"""An ensemble as streams: several hear the same, each in its own chunks."""

from __future__ import annotations

from collections.abc import Sequence

from lars_plugin.composites.fused import mixed
from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import ModelStream, Steps
from lars_plugin.separation.streams.composed import ComposedStream

__all__ = ["EnsembleStream"]


class EnsembleStream(ComposedStream):
    """Blocks in, weighted sums of the streams' stems out; the faster streams wait.

    Args:
        parts: one stream or more.
        factors: of each part ``(stems of the output, stems of the part)``.
        stems: names of the output.
    """

    def __init__(
        self, parts: Sequence[ModelStream], factors: Sequence[Wave], stems: Sequence[str]
    ) -> None:
        super().__init__(stems, parts, [len(part.stems) for part in parts])
        self._factors = list(factors)

    @property
    def latency_samples(self) -> int:
        """That of the slowest model."""
        return max(part.latency_samples for part in self._parts)

    def push_checked(self, wave: Wave) -> Steps:
        for index, part in enumerate(self._parts):
            self._waiting.append(index, (yield from part.push_checked(wave)))
        return self._mixed()

    def flush_steps(self) -> Steps:
        for index, part in enumerate(self._parts):
            self._waiting.append(index, (yield from part.flush_steps()))
        return self._mixed()

    def _mixed(self) -> Wave:
        return mixed(self._waiting.take(), self._factors, axis=0)
