# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate for stems that are silent: what leaks into them from the others is taken away.

Time is cut into slots as long as the attack. A stem is heard in a slot if its power there is
above the threshold against the reference: the power of the mixture, as it is in its loudest slot
so far, which is forgotten by 6 dB per second so that quiet passages keep their stems. All
channels of a stem count together and are gated together.

The gain is 1 where the stem is heard and for the hold after it, then falls in a straight line
over the release; it rises in the slot before the sound, so onsets stay whole. The gain has no
jumps, hence no clicks; what is heard passes unchanged, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Gate"]

Wave = NDArray[np.float32]

# Of the reference, in dB per second.
_FORGETTING = 6.0


class Gate:
    """See the module. Blocks ``(1 + stems, channels, n)``, the mixture first.

    Args:
        threshold: dB against the reference, below 0.
        stems: their names.
        channels: of each.
        sample_rate: Hz.
        attack: seconds, the length of a slot.
        hold: seconds.
        release: seconds.
    """

    def __init__(
        self,
        threshold: float,
        stems: Sequence[str],
        channels: int,
        sample_rate: float,
        *,
        attack: float,
        hold: float,
        release: float,
    ) -> None:
        self._slot = max(1, round(attack * sample_rate))
        seconds = self._slot / sample_rate
        self._factor = 10 ** (threshold / 10)
        self._decay = 10 ** (-_FORGETTING * seconds / 10)
        self._hold = round(hold / seconds)
        self._fall = min(1.0, seconds / release) if release > 0 else 1.0
        self._ramp = (np.arange(1, self._slot + 1) / self._slot)[None, :]
        self.stems = ("mixture", *stems)  # along the first axis of the output
        self._shape = (1 + len(stems), channels)
        self.reset()

    @property
    def latency_samples(self) -> int:
        """Two slots less a sample: a slot is given when the next one is known."""
        return 2 * self._slot - 1

    def reset(self) -> None:
        """Forget everything, as if new."""
        stems = self._shape[0] - 1
        self._buffer = np.empty((*self._shape, 2 * self._slot), np.float32)
        self._filled = 0
        self._reference = 0.0
        self._gain = np.zeros(stems)  # at the end of the last slot given
        self._heard: NDArray[np.bool_] | None = None  # in the slot that waits
        self._since = np.full(stems, np.iinfo(np.int64).max // 2)  # slots since the last sound

    def push(self, block: Wave) -> Wave:
        """Take ``(1 + stems, channels, n)``, return what is finished."""
        done = [np.empty((*self._shape, 0), np.float32)]
        start = 0
        while start < block.shape[2]:
            # One slot waits in the buffer, once there is one; the next is filled behind it.
            end = self._slot if self._heard is None else 2 * self._slot
            take = min(block.shape[2] - start, end - self._filled)
            part = block[..., start : start + take]
            self._buffer[..., self._filled : self._filled + take] = part
            self._filled += take
            start += take
            if self._filled < end:
                continue
            heard = self._listen(self._buffer[..., end - self._slot : end])
            if self._heard is not None:
                done.append(self._give(heard, self._slot))
                self._buffer[..., : self._slot] = self._buffer[..., self._slot :].copy()
                self._filled = self._slot
            else:
                # Nothing comes before the first slot: what is heard in it is heard at once.
                self._gain = heard.astype(np.float64)
            self._heard = heard
        return np.concatenate(done, axis=2)

    def flush(self) -> Wave:
        """End the input and return the rest; in all as long as the input."""
        rest = self._filled
        # Silence follows; what comes out for it is cut off.
        missing = np.zeros((*self._shape, 3 * self._slot), np.float32)
        made: Wave = self.push(missing)[..., :rest]
        return made

    def _listen(self, slot: Wave) -> NDArray[np.bool_]:
        """Which stems are heard in a slot."""
        power = np.square(slot, dtype=np.float64).mean(axis=(1, 2))
        self._reference = max(float(power[0]), self._reference * self._decay)
        heard: NDArray[np.bool_] = power[1:] > self._factor * self._reference
        return heard

    def _give(self, heard_next: NDArray[np.bool_], count: int) -> Wave:
        """The slot that waits, with the gain that the next one makes of it."""
        assert self._heard is not None
        self._since = np.where(self._heard, 0, self._since + 1)
        stays = (self._since <= self._hold) | heard_next
        gain = np.where(stays, 1.0, np.maximum(0.0, self._gain - self._fall))
        curve = self._gain[:, None] + (gain - self._gain)[:, None] * self._ramp
        self._gain = gain
        out: Wave = self._buffer[..., :count].copy()
        out[1:] *= curve[:, None, :].astype(np.float32)
        return out
