# SPDX-License-Identifier: GPL-3.0-or-later
"""Where stems belong in time: the receiving half of a live stream, without any I/O.

Output sample n of a client is stream position ``n - latency``, always. What has come by the time
it is due is used; what has not is replaced; what comes later is thrown away. So alignment cannot
drift, whatever the engine does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Aligner"]

Wave = NDArray[np.float32]


class Aligner:
    """Takes the mixture and, later, its stems; gives stems of the mixture's length, delayed.

    Args:
        stems, channels: of the result.
        latency: samples of delay.
        position: of the first sample that will be taken.
        dry: what stands in for missing stems: an equal share of the mixture, or silence.
    """

    def __init__(
        self, stems: int, channels: int, latency: int, *, position: int = 0, dry: bool = True
    ) -> None:
        self.latency = latency
        self.late = 0  # samples that came too late and were thrown away
        self.missing = 0  # samples that were replaced
        self._dry = dry
        self._shape = (stems, channels)
        self._allocate(1 << (latency + 4096).bit_length())
        self.restart(position)

    def _allocate(self, size: int) -> None:
        self._size = size
        self._stems = np.zeros((*self._shape, size), np.float32)
        self._mixture = np.zeros((self._shape[1], size), np.float32)
        self._have = np.zeros(size, bool)

    def restart(self, position: int) -> None:
        """Forget all audio and go on at a position."""
        self._have[:] = False
        self._start = self._end = position
        self._next = position - self.latency  # of the next sample to give
        self._settled = position  # nothing before this is waited for

    @property
    def position(self) -> int:
        """End of what was taken."""
        return self._end

    def take(self, block: Wave) -> None:
        """The next samples ``(channels, n)`` of the mixture; ``give(n)`` must follow."""
        count = block.shape[1]
        if self._end + count - self._next > self._size:
            self._grow(self._end + count - self._next)
        for ring, part in self._slices(self._end, count):
            self._mixture[:, ring] = block[:, part]
            self._have[ring] = False
        self._end += count

    def store(self, position: int, stems: Wave) -> None:
        """Stems ``(stems, channels, n)`` that have come, for this position of the stream."""
        begin, end = max(position, self._next), min(position + stems.shape[2], self._end)
        self.late += min(max(begin - position, 0), stems.shape[2])
        self._settled = max(self._settled, end)
        if begin >= end:
            return
        for ring, part in self._slices(begin, end - begin):
            self._stems[..., ring] = stems[
                ..., part.start + begin - position : part.stop + begin - position
            ]
            self._have[ring] = True

    def complete(self, count: int) -> bool:
        """Whether nothing that is still to come would change the next ``count`` samples.

        An engine sends stems in order: what is missing before the newest will stay so.
        """
        return self._next + count <= self._settled

    def give_up(self, position: int) -> None:
        """Stems before this position will not come: their mixture was never sent."""
        self._settled = max(self._settled, position)

    def give(self, count: int) -> tuple[Wave, int]:
        """The next ``count`` samples ``(stems, channels, count)``, and how many were replaced.

        Before the first sample of the stream there is silence.
        """
        out = np.zeros((*self._shape, count), np.float32)
        begin = min(max(self._next, self._start), self._next + count)
        offset = begin - self._next
        replaced = 0
        for ring, part in self._slices(begin, count - offset):
            target = out[..., part.start + offset : part.stop + offset]
            target[:] = self._stems[..., ring]
            gone = ~self._have[ring]
            if gone.any():
                share = self._mixture[:, ring][:, gone] / np.float32(self._shape[0])
                target[..., gone] = share if self._dry else 0
                replaced += int(gone.sum())
            self._have[ring] = False
        self._next += count
        self.missing += replaced
        return out, replaced

    def _slices(self, position: int, count: int) -> list[tuple[slice, slice]]:
        """(places in the ring, places in the block) of a run of samples."""
        if count <= 0:
            return []
        at = position % self._size
        first = min(count, self._size - at)
        pairs = [(slice(at, at + first), slice(0, first))]
        if first < count:
            pairs.append((slice(0, count - first), slice(first, count)))
        return pairs

    def _grow(self, needed: int) -> None:
        """A longer ring, with everything that is not yet given moved over."""
        old = (self._size, self._stems, self._mixture, self._have)
        self._allocate(1 << needed.bit_length())
        positions = np.arange(max(self._next, self._start), self._end)
        source, target = positions % old[0], positions % self._size
        self._stems[..., target] = old[1][..., source]
        self._mixture[:, target] = old[2][:, source]
        self._have[target] = old[3][source]
