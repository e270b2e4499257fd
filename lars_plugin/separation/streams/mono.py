# SPDX-License-Identifier: GPL-3.0-or-later
"""MonoStream: one channel through a stream of several."""

from __future__ import annotations

import numpy as np

from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import ModelStream, Steps

__all__ = ["MonoStream"]


class MonoStream(ModelStream):
    """Mono input goes to all channels of the inner stream; stems are the mean of its channels.

    Args:
        inner: of several channels.
    """

    def __init__(self, inner: ModelStream) -> None:
        super().__init__(inner.stems, 1, inner.sample_rate)
        self._inner = inner

    @property
    def latency_samples(self) -> int:
        """The inner stream's."""
        return self._inner.latency_samples

    @property
    def model_latency(self) -> int:
        return self._inner.model_latency

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        self._inner.reset()

    def begin_at(self, sample: int) -> int | None:
        super().reset()
        return self._inner.begin_at(sample)

    def push_checked(self, wave: Wave) -> Steps:
        wide = np.broadcast_to(wave, (self._inner.channels, wave.shape[1]))
        return _narrowed((yield from self._inner.push_checked(wide)))

    def flush_steps(self) -> Steps:
        return _narrowed((yield from self._inner.flush_steps()))


def _narrowed(stems: Wave) -> Wave:
    narrow: Wave = stems.mean(axis=1, keepdims=True, dtype=np.float32)
    return narrow
