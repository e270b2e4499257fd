# SPDX-License-Identifier: GPL-3.0-or-later
"""Post-processing of stems after the network: Wiener filter, gate, redistribution, in this order.

Each step works block by block with a stated latency, and gives the same result for any block split.
With redistribution the stems add up to the mixture. The gate comes before it, so the signal that
the gate removes goes to other stems.
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
    """The steps with their settings; none by default.

    Attributes:
        wiener: exponent alpha of a Wiener filter: each stem becomes
            ``|S|^alpha / sum |S|^alpha`` of the mixture's STFT. Below 1, stems hold more
            of the others; above 1, quieter stems are attenuated under louder ones.
        redistribute: share out the part of the mixture that is in no stem, at each frequency in
            proportion to the power of the stems, so that they add up to the mixture.
        gate: silence a stem while its level is this far below the mixture's, in dB, below 0;
            see :mod:`lars_plugin.refine.gate`.
        attack: seconds over which the gate opens before a sound.
        hold: seconds for which it stays open after the last sound.
        release: seconds over which it then closes.

    Raises:
        InputError: an invalid setting.
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
        """Whether there is any step."""
        return self.wiener is not None or self.redistribute or self.gate is not None

    def __str__(self) -> str:
        """Short text for tables and logs: "wiener 1, gate -40 dB, redistribute"."""
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
        """Maximum delay of the output against the input in samples; constant."""
        ...

    def push(self, block: Wave) -> Wave:
        """Take a block and return the finished samples. The mixture is only delayed."""
        ...

    def flush(self) -> Wave:
        """End the input and return the rest; the total is as long as the input."""
        ...

    def reset(self) -> None:
        """Back to the initial state."""
        ...


class PostStream:
    """A chain of steps, for stems that are late against their mixture.

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
        """Delay in samples in addition to that of the stems."""
        return sum(stage.latency_samples for stage in self._stages)

    def reset(self) -> None:
        """Back to the initial state."""
        self._mixture.clear()
        for stage in self._stages:
            stage.reset()

    def push(self, mixture: Wave, stems: Wave) -> Wave:
        """Take ``(channels, n)`` and the newly finished stems ``(stems, channels, m)``.

        Returns:
            Stems ``(kept, channels, k)``.
        """
        # Copied: the caller may overwrite its block before it is used.
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

    result: list[PostStage] = []
    if post.wiener is not None:
        result.append(WienerFilter(post.wiener, stems, channels, sample_rate))
    if post.gate is not None:
        result.append(
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
        result.append(Redistribution(stems, channels, sample_rate))
    return result
