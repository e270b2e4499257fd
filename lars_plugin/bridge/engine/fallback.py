# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands for a live stream's network where it failed or was not run in time."""

from __future__ import annotations

import numpy as np

from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import Resettable, Run

__all__ = ["Fallback"]

# A causal model comes back over so many samples; chunks fade into each other anyway.
_FADE = 64


class Fallback:
    """Stems for the network's input, as late as the network's own would be.

    A causal network that missed some input must not go on as if nothing had been: what its state
    still holds would come out in the wrong place. It starts anew, and what belongs to input it
    has not seen is the fallback's.

    Args:
        outputs: stems of the network.
        parts: among which the mixture is shared out.
        delay: samples by which the network's output trails its input; 0 for chunked ones.
    """

    def __init__(self, outputs: int, parts: int, delay: int) -> None:
        self._outputs, self._parts = outputs, np.float32(parts)
        self._delay = delay
        self._network: Resettable | None = None
        self.forget()

    def forget(self) -> None:
        """The stream starts anew."""
        self._due: Wave | None = None  # the input that the network's next output belongs to
        self._tail: Wave | None = None
        self._cold = self._fading = 0

    def see(self, run: Run) -> None:
        """What a network is about to be given; each once."""
        chunks = run.chunks
        self._network = run.own
        if not self._delay:
            self._due = chunks
            return
        if self._tail is None:
            self._tail = np.zeros((*chunks.shape[:2], self._delay), np.float32)
        both = np.concatenate([self._tail, chunks], axis=2)
        self._due, self._tail = both[..., : chunks.shape[2]], both[..., chunks.shape[2] :]

    def stems(self, dry: bool) -> Wave:
        """In the network's place: ``(n, outputs, channels, samples)``."""
        if self._due is None:
            raise ValueError("nothing was seen")
        count, channels, samples = self._due.shape
        result = np.zeros((count, self._outputs, channels, samples), np.float32)
        if dry:
            result[:] = self._due[:, None] / self._parts
        return result

    def missed(self) -> None:
        """The network has not seen what ``see`` was told of, or failed on it."""
        if self._network is not None:
            self._network.reset()
            self._cold, self._fading = self._delay, _FADE

    @property
    def mending(self) -> bool:
        """Whether ``mend`` has still something to do."""
        return bool(self._cold or self._fading)

    def mend(self, result: Wave, dry: bool) -> Wave:
        """The network's stems, with the fallback where it came too late to know the input."""
        if not self.mending:
            return result
        other = self.stems(dry)
        samples = result.shape[3]
        cold = min(self._cold, samples)
        self._cold -= cold
        faded = min(self._fading, samples - cold)
        # The part of the network: none while it is cold, then rising.
        share = np.ones(samples, np.float32)
        share[:cold] = 0
        begin = _FADE - self._fading
        share[cold : cold + faded] = (np.arange(begin, begin + faded) + 0.5) / _FADE
        self._fading -= faded
        mended: Wave = share * result + (1 - share) * other
        return mended
