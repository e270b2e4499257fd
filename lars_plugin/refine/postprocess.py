# SPDX-License-Identifier: GPL-3.0-or-later
"""What stems go through after the network: Wiener filter, gate, redistribution, in this order.

Each works block by block with a latency that it states, and gives the same for any block split.
With redistribution the stems add up to the mixture; the gate comes before it, so what it takes
from a silent stem goes to those that sound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.dsp.fifo import Fifo
from lars_plugin.errors import InputError

__all__ = ["PostProcessing", "PostStage", "PostStream"]

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class PostProcessing:
    """Which steps, with their settings; by itself none.

    Attributes:
        wiener: exponent alpha of a Wiener filter: each stem becomes
            ``|S|^alpha / sum |S|^alpha`` of the mixture's STFT. Below 1 more of the others is
            heard in a stem, above 1 stems duck under louder ones.
        redistribute: hand what the stems leave of the mixture to them, each frequency in
            proportion to the power of the stems there, so that they add up to the mixture.
        gate: silence a stem while its level is this far below the mixture's, in dB, below 0;
            see :mod:`lars_plugin.refine.gate`.
        attack: seconds over which the gate opens, before the sound that opens it.
        hold: seconds for which it stays open after the last such sound.
        release: seconds over which it closes then.

    Raises:
        InputError: a setting that cannot be.
    """

    wiener: float | None = None
    redistribute: bool = False
    gate: float | None = None
    attack: float = 0.005
    hold: float = 0.2
    release: float = 0.1

    def __post_init__(self) -> None:
        if self.wiener is not None and not (math.isfinite(self.wiener) and self.wiener > 0):
            raise InputError(f"the Wiener exponent must be above 0, got {self.wiener}; 1 is usual")
        if self.gate is not None and not (math.isfinite(self.gate) and self.gate < 0):
            raise InputError(f"the gate's threshold must be below 0 dB, got {self.gate}; try -40")
        if not 0.0005 <= self.attack <= 1:
            raise InputError(f"attack must be from 0.0005 to 1 s, got {self.attack}")
        for name in ("hold", "release"):
            if not 0 <= getattr(self, name) <= 60:
                raise InputError(f"{name} must be from 0 to 60 s, got {getattr(self, name)}")

    @property
    def active(self) -> bool:
        """Whether there is anything to do."""
        return self.wiener is not None or self.redistribute or self.gate is not None

    def __str__(self) -> str:
        """As tables and logs call it: "wiener 1, gate -40 dB, redistribute"."""
        steps = [
            *([] if self.wiener is None else [f"wiener {self.wiener:g}"]),
            *([] if self.gate is None else [f"gate {self.gate:g} dB"]),
            *(["redistribute"] if self.redistribute else []),
        ]
        return ", ".join(steps)


class PostStage(Protocol):
    """A step on mixture and stems together, ``(1 + stems, channels, n)``, the mixture first."""

    @property
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant."""
        ...

    def push(self, block: Wave) -> Wave:
        """Take a block and return what is finished, the mixture unchanged but as late."""
        ...

    def flush(self) -> Wave:
        """End the input and return the rest; in all as long as the input."""
        ...

    def reset(self) -> None:
        """Forget everything, as if new."""
        ...


class PostStream:
    """The steps in a row, for stems that come later than their mixture.

    Args:
        post: the steps.
        stems: how many stems go in.
        channels: of mixture and stems.
        sample_rate: Hz.
        keep: indices of the stems that are returned, in this order.
    """

    def __init__(
        self,
        post: PostProcessing,
        stems: int,
        channels: int,
        sample_rate: float,
        keep: Sequence[int],
    ) -> None:
        self._stages = _stages(post, stems, channels, sample_rate)
        self._keep = [1 + index for index in keep]
        self._mixture = Fifo((channels,))

    @property
    def latency_samples(self) -> int:
        """Samples added to those by which the stems trail the mixture already."""
        return sum(stage.latency_samples for stage in self._stages)

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._mixture.clear()
        for stage in self._stages:
            stage.reset()

    def push(self, mixture: Wave, stems: Wave) -> Wave:
        """Take ``(channels, n)`` and the stems ``(stems, channels, m)`` finished meanwhile.

        Returns:
            Stems ``(kept, channels, k)``.
        """
        # Copied: the caller may fill its block again before it is taken.
        self._mixture.append(mixture.copy())
        block = self._join(stems)
        for stage in self._stages:
            block = stage.push(block)
        return block[self._keep]

    def flush(self, stems: Wave) -> Wave:
        """Take the rest of the stems and return the rest of the result."""
        block = self._join(stems)
        for stage in self._stages:
            block = np.concatenate([stage.push(block), stage.flush()], axis=2)
        return block[self._keep]

    def _join(self, stems: Wave) -> Wave:
        return np.concatenate([self._mixture.take(stems.shape[2])[None], stems])


def _stages(post: PostProcessing, stems: int, channels: int, sample_rate: float) -> list[PostStage]:
    from lars_plugin.refine.gate import Gate
    from lars_plugin.refine.spectral import Redistribution, WienerFilter  # bring in scipy

    made: list[PostStage] = []
    if post.wiener is not None:
        made.append(WienerFilter(post.wiener, stems, channels, sample_rate))
    if post.gate is not None:
        made.append(
            Gate(
                post.gate,
                stems,
                channels,
                sample_rate,
                attack=post.attack,
                hold=post.hold,
                release=post.release,
            )
        )
    if post.redistribute:
        made.append(Redistribution(stems, channels, sample_rate))
    return made
