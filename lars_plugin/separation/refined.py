# SPDX-License-Identifier: GPL-3.0-or-later
"""RefinedStream: a model's stems, refined window by window.

Windows are longer than a network's chunks, because what a kit says again and again is learnt the
better the more often it was heard. They lie on a fixed grid, with a linear cross-fade from each to
the next, and none is shorter than it must be: the last one takes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends import Model
from lars_plugin.separation.refinement import Refiner
from lars_plugin.separation.stream import Steps, StreamingSeparator, choose_stems
from lars_plugin.zoo.config import Chunking

__all__ = ["RefinedStream", "is_refined"]

Wave = NDArray[np.float32]


def is_refined(model: Model, chunking: Chunking | None = None) -> bool:
    """Whether stems of this model are refined: offline only. Live there is no time for it, nor
    enough of the recording."""
    settings = model.config.refinement
    offline = (chunking or model.config.chunking).convention not in ("live", "causal")
    return settings is not None and settings.iterations > 0 and offline


class RefinedStream:
    """Used like a :class:`~lars_plugin.separation.stream.StreamingSeparator`.

    Args:
        model: whose configuration has a refinement.
        chunking: of the network, instead of the model's own.
        stems: canonical names of those wanted, in this order; all for None. All are computed.
    """

    def __init__(
        self,
        model: Model,
        *,
        chunking: Chunking | None = None,
        stems: Sequence[str] | None = None,
    ) -> None:
        settings = model.config.refinement
        assert settings is not None
        self._rough = StreamingSeparator(model, chunking=chunking)
        self._keep = list(choose_stems(model, stems))
        self._refine = Refiner(settings, model.config.stems)
        self._fade = max(1, settings.window // 12)
        self._step = settings.window - self._fade
        rising = (np.arange(self._fade, dtype=np.float32) + np.float32(0.5)) / self._fade
        self._rising: Wave = rising
        self.reset()

    @property
    def backend(self) -> Callable[[Wave], Wave]:
        """Runs what ``push_steps`` and ``flush_steps`` yield."""
        return self._rough.backend

    @property
    def stems(self) -> tuple[str, ...]:
        """Names along the first axis of the output."""
        return tuple(self._rough.stems[index] for index in self._keep)

    @property
    def channels(self) -> int:
        """Channels of input and output."""
        return self._rough.channels

    @property
    def sample_rate(self) -> int:
        """Hz, the model's."""
        return self._rough.sample_rate

    @property
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant."""
        return self._rough.latency_samples + 2 * self._step + self._fade

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._rough.reset()
        shape = (self.channels, 0)
        self._mixture = [np.empty(shape, np.float32)]  # from the next window's start
        self._stems = [np.empty((len(self._rough.stems), *shape), np.float32)]
        self._tail: Wave | None = None  # the end of the window before, fading out

    def push_steps(self, block: NDArray[np.generic]) -> Steps:
        """Take ``(channels, n)`` and return what is finished, ``(stems, channels, m)``."""
        made = yield from self._rough.push_steps(block)
        # Copied: the caller may fill its block again.
        self._mixture.append(np.array(block, np.float32))
        self._stems.append(made)
        done = [made[self._keep][..., :0]]
        window, ready = self._step + self._fade, sum(part.shape[2] for part in self._stems)
        # The last window is at least as long as the others, so one more must be sure to come.
        if ready >= self._step + window:
            mixture, stems = self._join()
            while stems.shape[2] >= self._step + window:
                done.append(self._run(mixture[:, :window], stems[..., :window], last=False))
                mixture, stems = mixture[:, self._step :], stems[..., self._step :]
            self._mixture, self._stems = [mixture.copy()], [stems.copy()]
        return np.concatenate(done, axis=2)

    def flush_steps(self) -> Steps:
        """End the input and return the rest; in all exactly as long as the input."""
        self._stems.append((yield from self._rough.flush_steps()))
        mixture, stems = self._join()
        shape = stems[self._keep].shape[:2]
        self._mixture, self._stems = [mixture[:, :0]], [stems[..., :0]]
        if not stems.shape[2]:
            return np.empty((*shape, 0), np.float32)
        return self._run(mixture, stems, last=True)

    def _join(self) -> tuple[Wave, Wave]:
        return np.concatenate(self._mixture, axis=1), np.concatenate(self._stems, axis=2)

    def _run(self, mixture: Wave, stems: Wave, *, last: bool) -> Wave:
        """What a window finishes: all of it, but for the fade into the next one."""
        made: Wave = self._refine(mixture[None], stems[None])[0][self._keep]
        if self._tail is not None:
            made[..., : self._fade] *= self._rising
            made[..., : self._fade] += self._tail
        self._tail = None
        if last:
            return made
        self._tail = made[..., self._step :] * self._rising[::-1]
        return made[..., : self._step]
