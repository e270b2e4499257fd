# SPDX-License-Identifier: GPL-3.0-or-later
"""PostStream: the stems of a stream through Wiener filter, gate and redistribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lars_plugin.dsp.fifo import Fifo
from lars_plugin.model import Wave
from lars_plugin.refine.postprocess import PostProcessing
from lars_plugin.separation.streams.base import ModelStream, Steps, Stream

__all__ = ["PostStream", "post_steps"]


class PostStream(ModelStream):
    """The steps in a row, for the stems of another stream and their mixture.

    Args:
        inner: gives all stems, since all have a part in each step.
        post: the steps.
        stems: names of those that are returned, in this order; all for None.
    """

    def __init__(
        self, inner: ModelStream, post: PostProcessing, stems: Sequence[str] | None = None
    ) -> None:
        kept = inner.stems if stems is None else tuple(stems)
        super().__init__(kept, inner.channels, inner.sample_rate)
        self._inner = inner
        self._steps = post_steps(post, inner.stems, inner.channels, inner.sample_rate)
        self._keep = [1 + inner.stems.index(stem) for stem in kept]  # the mixture comes first
        self._mixture = Fifo((inner.channels,))
        self._flushed = False

    @property
    def latency_samples(self) -> int:
        """The inner stream's and that of each step."""
        return self._inner.latency_samples + sum(step.latency_samples for step in self._steps)

    @property
    def model_latency(self) -> int:
        return self._inner.model_latency

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        self._inner.reset()
        self._mixture.clear()
        for step in self._steps:
            step.reset()
        self._flushed = False

    def push_checked(self, wave: Wave) -> Steps:
        stems = yield from self._inner.push_checked(wave)
        # Copied: the caller may fill its block again before it is taken.
        self._mixture.append(wave.copy())
        both = self._beside(stems)
        for step in self._steps:
            both = step.push(both)
        return both[self._keep]

    def flush_steps(self) -> Steps:
        both = self._beside((yield from self._inner.flush_steps()))
        if not self._flushed:
            self._flushed = True
            for step in self._steps:
                both = np.concatenate([step.push(both), step.flush()], axis=2)
        return both[self._keep]

    def _beside(self, stems: Wave) -> Wave:
        """Mixture and stems, ``(1 + stems, channels, n)``."""
        return np.concatenate([self._mixture.take(stems.shape[2])[None], stems])


def post_steps(
    post: PostProcessing, stems: Sequence[str], channels: int, sample_rate: float
) -> list[Stream]:
    """The steps of a post-processing.

    Each is a stream of mixture and stems together, ``(1 + stems, channels, n)``, the mixture first;
    it gives the mixture as it was, but as late as the stems.
    """
    from lars_plugin.refine.gate import Gate
    from lars_plugin.refine.spectral import Redistribution, WienerFilter  # bring in scipy

    steps: list[Stream] = []
    if post.wiener is not None:
        steps.append(WienerFilter(post.wiener, stems, channels, sample_rate))
    if post.gate is not None:
        times = {"attack": post.attack, "hold": post.hold, "release": post.release}
        steps.append(Gate(post.gate, stems, channels, sample_rate, **times))
    if post.redistribute:
        steps.append(Redistribution(stems, channels, sample_rate))
    return steps
