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
        dry: what replaces missing stems: an equal share of the mixture, or silence.
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

    def restart(self, position: int) -> None:
        """Forget all audio and go on at a position."""
        self._runs: list[list[int]] = []  # [begin, end] of what has come, in order, apart
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
        self._end += count

    def store(self, position: int, stems: Wave) -> None:
        """Stems ``(stems, channels, n)`` that have come, for this position of the stream."""
        count = stems.shape[2]
        begin, end = max(position, self._next), min(position + count, self._end)
        if begin > position:
            self.late += min(begin - position, count)
        if end > self._settled:
            self._settled = end
        if begin >= end:
            return
        if end - begin < count:
            stems = stems[..., begin - position : end - position]
        for ring, part in self._slices(begin, end - begin):
            self._stems[..., ring] = stems[..., part]
        runs = self._runs
        if not runs or begin > runs[-1][1]:
            runs.append([begin, end])
        elif begin == runs[-1][1]:
            runs[-1][1] = end
        else:
            self._insert(begin, end)

    def _insert(self, begin: int, end: int) -> None:
        """A run that came out of order, or again."""
        apart = [run for run in self._runs if run[1] < begin or run[0] > end]
        joined = [run for run in self._runs if run[1] >= begin and run[0] <= end]
        begin = min([begin, *(run[0] for run in joined)])
        end = max([end, *(run[1] for run in joined)])
        self._runs = sorted([*apart, [begin, end]])

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
        begin, end = self._next, self._next + count
        out = np.empty((*self._shape, count), np.float32)
        first = min(max(begin, self._start), end)
        if first > begin:
            out[..., : first - begin] = 0
        for ring, part in self._slices(first, end - first):
            out[..., part.start + first - begin : part.stop + first - begin] = self._stems[
                ..., ring
            ]
        replaced = 0
        for gap, stop in self._gaps(first, end):
            replaced += stop - gap
            out[..., gap - begin : stop - begin] = self._share(gap, stop)
        self._next = end
        while self._runs and self._runs[0][1] <= end:
            self._runs.pop(0)
        self.missing += replaced
        return out, replaced

    def _gaps(self, begin: int, end: int) -> list[tuple[int, int]]:
        """The parts of these positions that have not come."""
        gaps = []
        for run in self._runs:
            if begin >= end:
                break
            if run[0] > begin:
                gaps.append((begin, min(run[0], end)))
            begin = max(begin, run[1])
        if begin < end:
            gaps.append((begin, end))
        return gaps

    def _share(self, begin: int, end: int) -> Wave:
        """What replaces each stem, ``(channels, n)``."""
        out = np.zeros((self._shape[1], end - begin), np.float32)
        if self._dry:
            for ring, part in self._slices(begin, end - begin):
                out[:, part] = self._mixture[:, ring] / np.float32(self._shape[0])
        return out

    def _slices(self, position: int, count: int) -> list[tuple[slice, slice]]:
        """(places in the ring, places in the block) of a run of samples."""
        if count <= 0:
            return []
        at = position % self._size
        if at + count <= self._size:
            return [(slice(at, at + count), slice(0, count))]
        first = self._size - at
        return [
            (slice(at, self._size), slice(0, first)),
            (slice(0, count - first), slice(first, count)),
        ]

    def _grow(self, needed: int) -> None:
        """A longer ring, with everything that is not yet given moved over."""
        old = (self._size, self._stems, self._mixture)
        self._allocate(1 << needed.bit_length())
        positions = np.arange(max(self._next, self._start), self._end)
        source, target = positions % old[0], positions % self._size
        self._stems[..., target] = old[1][..., source]
        self._mixture[:, target] = old[2][:, source]
