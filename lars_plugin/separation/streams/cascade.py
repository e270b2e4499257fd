# SPDX-License-Identifier: GPL-3.0-or-later
"""A cascade as streams: the finished drum stem of one model is pushed into another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.composites.composite import Cascade
from lars_plugin.composites.drum_sum import DRUMS
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.model import Backend
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.streams.chunked import Steps, choose_stems
from lars_plugin.separation.streams.rate import RateStream

__all__ = ["Cascade", "CascadeStream"]

Wave = NDArray[np.float32]


class CascadeStream:
    """Blocks in, the music stage's other stems and the drum stage's stems out, all aligned.

    The music stage's stems wait for the drum stage. The result is that of two separators one
    after the other, and at the music stage's rate nothing is resampled but for a drum stage of
    another rate. A stage that none of the stems wanted needs is not run.

    Args:
        model: the cascade.
        stems: canonical names of those wanted, in this order; all for None. ``drums`` is the stem
            that goes from one stage to the other.
        post: what the drum stage's stems go through; their mixture is the drum stem.
    """

    def __init__(
        self, model: Cascade, stems: Sequence[str] | None, post: PostProcessing | None = None
    ) -> None:
        names = model.config.stems
        asked = names if stems is None else tuple(stems)
        between = [stem == DRUMS and DRUMS not in names for stem in asked]
        given = [stem for stem, extra in zip(asked, between, strict=True) if not extra]
        chosen = iter(choose_stems(model, given))
        self._stems = tuple(DRUMS if extra else names[next(chosen)] for extra in between)
        inner = tuple(stem for stem in self._stems if stem in model.drums.config.stems)
        self._outer = tuple(stem for stem in self._stems if stem not in inner)
        self._backend = model.backend
        self._rate, self._channels = model.config.sample_rate, model.config.channels
        above = self._outer
        if inner and DRUMS not in above:
            above = (*above, DRUMS)
        self._music = RateStream(model.music, self._rate, self._channels, stems=above)
        self._feed = above.index(DRUMS) if inner else 0
        self._drums: RateStream | None = None
        if inner:
            self._drums = RateStream(
                model.drums, self._rate, self._channels, stems=inner, post=post
            )
        made = (*self._outer, *inner)
        self._order = [made.index(stem) for stem in self._stems]
        self._waiting = Fifo((len(self._outer), self._channels))

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
        """That of both stages together."""
        inner = 0 if self._drums is None else self._drums.latency_samples
        return self._music.latency_samples + inner

    def reset(self) -> None:
        self._music.reset()
        if self._drums is not None:
            self._drums.reset()
        self._waiting.clear()

    def push_steps(self, block: NDArray[np.generic]) -> Steps:
        yield from ()  # see Core
        return self._give(self._music.push(block))

    def flush_steps(self) -> Steps:
        yield from ()
        made = self._give(self._music.flush())
        if self._drums is None:
            return made
        return np.concatenate([made, self._merge(self._drums.flush())], axis=2)

    def _give(self, above: Wave) -> Wave:
        """Pass on what the music stage has finished."""
        if self._drums is None:
            return above[self._order]
        self._waiting.append(above[: len(self._outer)])
        return self._merge(self._drums.push(above[self._feed]))

    def _merge(self, inner: Wave) -> Wave:
        outer = self._waiting.take(inner.shape[2])
        return np.concatenate([outer, inner])[self._order]
