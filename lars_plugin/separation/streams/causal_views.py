# SPDX-License-Identifier: GPL-3.0-or-later
"""Views (:mod:`lars_plugin.separation.streams.views`) for causal networks: hop by hop, from the
past alone.

Power, covariance and mean of the input are followed with a memory of two seconds, the newest hop
included, so a recording in one channel is shown as mono from its first loud hop on. When the view
changes, it does so in a straight line over one hop: there is no jump, hence no click, and what the
moving matrix leaves out of the recording goes to all stems alike, as all that views leave out.

Direct current is told from a drum's first swing only after half a second of sound. In digital
silence there is none.

Axes: C channels, S stems, n samples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import QUIETEST_POWER
from lars_plugin.dsp.fifo import Fifo
from lars_plugin.separation.streams.views import NARROW, OPPOSED, matrix_of

__all__ = ["CausalView"]

Wave = NDArray[np.float32]
Floats = NDArray[np.float64]

_MEMORY = 2.0  # seconds
# Power of a hop from which on the channels tell a direction: -70 dB against full scale.
_HEARD = 1e-7
# A direction that is there stays until this much lies beside it; an inverted channel, until the
# channels correlate by this much.
_WIDE = 4 * NARROW
_ALIGNED = -0.2
# Current against the channels' mean power: where it begins (-28 dB) and where it ends (-34 dB).
_BEGINS, _ENDS = 1.6e-3, 4e-4
_PATIENCE = 0.5  # seconds of sound before that is asked


class CausalView:
    """Shows hops to a network, and makes its stems, which come later, those of the recording.

    Args:
        channels: C; only two have a direction.
        stems: how many the network makes in all.
        hop: samples.
        sample_rate: Hz.
        delay: samples by which stems trail the input.
    """

    def __init__(self, channels: int, stems: int, hop: int, sample_rate: float, delay: int) -> None:
        self._channels, self._hop, self._delay = channels, hop, delay
        self._stems = np.float32(stems)
        self._keep = math.exp(-hop / sample_rate / _MEMORY)
        self._patience = math.ceil(_PATIENCE * sample_rate / hop)
        self._rising = (np.arange(1, hop + 1) / hop).astype(np.float32)
        # M by rows, then d: what shows a hop as it is.
        self._plain = np.concatenate([np.eye(channels).ravel(), np.zeros(channels)])
        self._plain = self._plain.astype(np.float32)
        self.reset()

    def reset(self) -> None:
        """Go back to the initial state."""
        channels = self._channels
        self._heard = 0  # hops that were not digital silence
        self._weight = 0.0  # of the hops in the sums that follow
        self._mean = np.zeros(channels)
        self._power = np.zeros(channels)
        self._across = 0.0
        self._current = False
        self._matrix: Floats | None = None
        self._shown_as = self._plain
        # Recording, view and M, sample by sample, and whether that is a view at all.
        self._past = Fifo((2 * channels + channels * channels + 1,))
        self._past.append(np.zeros((self._past_rows, self._delay), np.float32))

    @property
    def _past_rows(self) -> int:
        return 2 * self._channels + self._channels**2 + 1

    def show(self, hops: Wave) -> Wave:
        """Whole hops ``(C, n)`` as the network is shown them: the same array, or new memory."""
        shown = hops
        for at in range(0, hops.shape[1], self._hop):
            part = slice(at, at + self._hop)
            here = hops[:, part]
            target = self._follow(here)
            if target is self._plain and self._shown_as is self._plain:
                self._remember(here, here, None)
                continue
            if shown is hops:
                shown = hops.copy()
            way = self._shown_as[:, None] + (target - self._shown_as)[:, None] * self._rising
            matrix, offset = way[: -self._channels], way[-self._channels :]
            shown[:, part] = _turned(matrix, here - offset)
            self._remember(here, shown[:, part], matrix)
            self._shown_as = target
        return shown

    def give_back(self, stems: Wave) -> Wave:
        """The stems ``(S, C, n)`` that came for as many samples: the same array, or new memory."""
        past = self._past.take(stems.shape[2])
        viewed = past[-1] > 0
        if not viewed.any():
            return stems
        channels = self._channels
        result: Wave = stems.copy()
        here = past[:, viewed]
        wave, shown, matrix = np.split(here[:-1], [channels, 2 * channels])
        # M from rows to columns: the way back.
        back = matrix.reshape(channels, channels, -1).swapaxes(0, 1).reshape(matrix.shape)
        rest = wave - _turned(back, shown)
        result[..., viewed] = _turned(back, stems[..., viewed]) + rest / self._stems
        return result

    def _remember(self, wave: Wave, shown: Wave, matrix: Wave | None) -> None:
        channels, length = wave.shape
        rows = np.zeros((self._past_rows, length), np.float32)
        rows[:channels], rows[channels : 2 * channels] = wave, shown
        if matrix is None:
            rows[2 * channels : -1] = self._plain[:-channels, None]
        else:
            rows[2 * channels : -1], rows[-1] = matrix, 1
        self._past.append(rows)

    def _follow(self, hop: Wave) -> Wave:
        """M and d after this hop."""
        channels = self._channels
        offset = np.zeros(channels)
        if hop.any():
            self._listen(hop)
            mean = self._mean / self._weight
            power = np.maximum(self._power / self._weight - np.square(mean), 0)
            self._ask_for_current(mean, power)
            if self._current:
                offset = mean
            if channels == 2 and power.sum() * self._weight > _HEARD:
                across = self._across / self._weight - float(mean.prod())
                self._matrix = self._turn(power[0], power[1], across)
        if self._matrix is None and not offset.any():
            return self._plain
        matrix = np.eye(channels) if self._matrix is None else self._matrix
        return np.concatenate([matrix.ravel(), offset]).astype(np.float32)

    def _listen(self, hop: Wave) -> None:
        keep = self._keep
        self._heard += 1
        self._weight = keep * self._weight + 1
        self._mean = keep * self._mean + hop.mean(axis=1, dtype=np.float64)
        self._power = keep * self._power + np.square(hop, dtype=np.float64).mean(axis=1)
        if self._channels == 2:
            product = np.multiply(hop[0], hop[1], dtype=np.float64)
            self._across = keep * self._across + float(product.mean())

    def _ask_for_current(self, mean: Floats, power: Floats) -> None:
        least = (_ENDS if self._current else _BEGINS) * float(power.mean())
        found = float(np.square(mean).max()) > max(least, QUIETEST_POWER)
        self._current = found and self._heard >= self._patience

    def _turn(self, left: float, right: float, across: float) -> Floats | None:
        """M for what was heard so far; what there is goes before what is new."""
        before = self._matrix
        inverted = before is not None and before[0, 1] == 0 and before[1, 0] == 0
        narrow = _WIDE if before is not None and not inverted else NARROW
        matrix = matrix_of(left, right, across, narrow, _ALIGNED if inverted else OPPOSED)
        # A direction has no sign of its own; from one hop to the next it must not turn round.
        if matrix is not None and before is not None and float((matrix * before).sum()) < 0:
            matrix = -matrix
        return matrix


def _turned(matrix: Wave, wave: Wave) -> Wave:
    """M, ``(C * C, n)``, sample by sample times ``(..., C, n)``: new memory."""
    channels = wave.shape[-2]
    out = np.zeros_like(wave)
    for row in range(channels):
        for column in range(channels):
            out[..., row, :] += matrix[row * channels + column] * wave[..., column, :]
    return out
