# SPDX-License-Identifier: GPL-3.0-or-later
"""Several streams of one model whose chunks lie elsewhere; the mean of them counts.

Where a chunk begins has a part in what a network makes of it. The mean over several places has less
of that. Demucs' ``apply_model`` calls it shifts, and draws them at random; here they are spread
evenly, so that the result is always the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lars_plugin.model import Wave
from lars_plugin.separation.streams.base import ModelStream, Steps
from lars_plugin.separation.streams.ensemble import EnsembleStream

__all__ = ["ShiftedStream", "shift_offsets"]

_SPREAD = 0.5  # seconds, as in `apply_model`


def shift_offsets(count: int, sample_rate: float) -> tuple[int, ...]:
    """Samples of silence that each of so many streams hears first, from 0 on."""
    spread = int(_SPREAD * sample_rate)
    return tuple(spread * index // count for index in range(count))


class ShiftedStream(EnsembleStream):
    """Each stream hears silence first, of which nothing is returned.

    Args:
        streams: one or more, new and alike.
    """

    def __init__(self, streams: Sequence[ModelStream]) -> None:
        stems, count = streams[0].stems, len(streams)
        share = np.eye(len(stems), dtype=np.float32) / np.float32(count)
        super().__init__(streams, [share] * count, stems)
        self._offsets = shift_offsets(count, self.sample_rate)
        self.reset()

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        self._begun = False
        self._to_drop = list(self._offsets)

    def push_checked(self, wave: Wave) -> Steps:
        # Nothing is heard of an empty recording.
        if not self._begun and wave.shape[1]:
            self._begun = True
            for index, part in enumerate(self._parts):
                silence = np.zeros((self.channels, self._offsets[index]), np.float32)
                self._append(index, (yield from part.push_checked(silence)))
        for index, part in enumerate(self._parts):
            self._append(index, (yield from part.push_checked(wave)))
        return self._mixed()

    def flush_steps(self) -> Steps:
        for index, part in enumerate(self._parts):
            self._append(index, (yield from part.flush_steps()))
        return self._mixed()

    def _append(self, index: int, stems: Wave) -> None:
        """Keep what is of the recording itself until the others have it, too."""
        drop = min(self._to_drop[index], stems.shape[2])
        self._to_drop[index] -= drop
        self._waiting.append(index, stems[..., drop:])
