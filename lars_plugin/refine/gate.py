# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate for silent stems: it removes leakage from other stems.

Time is divided into slots as long as the attack. A stem is active in a slot if its power there is
above the threshold against the reference. The reference is the mixture's power in its loudest slot
so far; it decays by 6 dB per second, so that quiet passages keep their stems. All channels of a
stem are measured together and gated together.

The gain is 1 while the stem is active and for the hold after it, then falls linearly over the
release. It rises in the slot before the sound, so onsets are complete. The gain has no jumps, so
there are no clicks. Active parts pass unchanged, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Gate"]

Wave = NDArray[np.float32]

# Decay of the reference, in dB per second.
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
        """Two slots less a sample: a slot is returned when the next one is known."""
        return 2 * self._slot - 1

    def reset(self) -> None:
        """Back to the initial state."""
        stems = self._shape[0] - 1
        self._buffer = np.empty((*self._shape, 2 * self._slot), np.float32)
        self._filled = 0
        self._reference = 0.0
        self._gain = np.zeros(stems)  # at the end of the last slot returned
        self._heard: NDArray[np.bool_] | None = None  # in the waiting slot
        self._since = np.full(stems, np.iinfo(np.int64).max // 2)  # slots since the last sound

    def push(self, block: Wave) -> Wave:
        """Take ``(1 + stems, channels, n)`` and return the finished samples."""
        done = [np.empty((*self._shape, 0), np.float32)]
        start = 0
        while start < block.shape[2]:
            # After the first slot, one slot waits in the buffer, and the next is filled behind it.
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
                # No slot comes before the first one: a stem that is active in it is open at once.
                self._gain = heard.astype(np.float64)
            self._heard = heard
        return np.concatenate(done, axis=2)

    def flush(self) -> Wave:
        """End the input and return the rest; the total is as long as the input."""
        rest = self._filled
        # Silence follows; its output is dropped.
        missing = np.zeros((*self._shape, 3 * self._slot), np.float32)
        result: Wave = self.push(missing)[..., :rest]
        self._filled = 0  # nothing is left for a second flush
        return result

    def _listen(self, slot: Wave) -> NDArray[np.bool_]:
        """Which stems are active in a slot."""
        power = np.square(slot, dtype=np.float64).mean(axis=(1, 2))
        self._reference = max(float(power[0]), self._reference * self._decay)
        heard: NDArray[np.bool_] = power[1:] > self._factor * self._reference
        return heard

    def _give(self, heard_next: NDArray[np.bool_], count: int) -> Wave:
        """The waiting slot, with the gain that depends on the next one."""
        assert self._heard is not None
        self._since = np.where(self._heard, 0, self._since + 1)
        stays = (self._since <= self._hold) | heard_next
        gain = np.where(stays, 1.0, np.maximum(0.0, self._gain - self._fall))
        curve = self._gain[:, None] + (gain - self._gain)[:, None] * self._ramp
        self._gain = gain
        out: Wave = self._buffer[..., :count].copy()
        out[1:] *= curve[:, None, :].astype(np.float32)
        return out
