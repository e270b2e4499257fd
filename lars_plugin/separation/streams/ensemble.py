# SPDX-License-Identifier: GPL-3.0-or-later
"""An ensemble as streams: several models hear the same, each in its own chunks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.composites.composite import Ensemble, mixed
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.model import Backend
from lars_plugin.separation.streams.chunked import Steps, choose_stems
from lars_plugin.separation.streams.rate import RateStream

__all__ = ["Ensemble", "EnsembleStream"]

Wave = NDArray[np.float32]


class EnsembleStream:
    """Blocks in, weighted means of the models' stems out; the faster models wait.

    Models and stems that no stem wanted is made of are not run, or not kept.

    Args:
        model: the ensemble.
        stems: canonical names of those wanted, in this order; all for None.
    """

    def __init__(self, model: Ensemble, stems: Sequence[str] | None) -> None:
        rows = list(choose_stems(model, stems))
        self._stems = tuple(model.config.stems[row] for row in rows)
        self._backend = model.backend
        self._rate, self._channels = model.config.sample_rate, model.config.channels
        self._streams: list[RateStream] = []
        self._factors: list[Wave] = []
        for part, factors in zip(model.parts, model.mixing, strict=True):
            used = [int(column) for column in np.nonzero(factors[rows].any(axis=0))[0]]
            if used:
                names = [part.config.stems[column] for column in used]
                self._streams.append(RateStream(part, self._rate, self._channels, stems=names))
                self._factors.append(factors[rows][:, used])
        self._waiting = [Fifo((len(s.stems), self._channels)) for s in self._streams]

    @property
    def backend(self) -> Backend:
        """Never asked: the parts run their own networks."""
        return self._backend

    @property
    def stems(self) -> tuple[str, ...]:
        return self._stems

    @property
    def channels(self) -> int:
        return self._channels

    @property
    def sample_rate(self) -> float:
        return self._rate

    @property
    def latency_samples(self) -> int:
        """That of the slowest model."""
        return max(stream.latency_samples for stream in self._streams)

    def reset(self) -> None:
        for stream, waiting in zip(self._streams, self._waiting, strict=True):
            stream.reset()
            waiting.clear()

    def push_steps(self, block: NDArray[np.generic]) -> Steps:
        yield from ()  # see Core
        return self._merge([stream.push(block) for stream in self._streams])

    def flush_steps(self) -> Steps:
        yield from ()
        return self._merge([stream.flush() for stream in self._streams])

    def _merge(self, made: list[Wave]) -> Wave:
        for waiting, wave in zip(self._waiting, made, strict=True):
            waiting.append(wave)
        count = min(waiting.samples for waiting in self._waiting)
        parts = [waiting.take(count) for waiting in self._waiting]
        return mixed(parts, self._factors, axis=0)
