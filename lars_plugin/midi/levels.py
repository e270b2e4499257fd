# SPDX-License-Identifier: GPL-3.0-or-later
"""How loud a stroke is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["REACH", "hit_level"]

# Seconds from just before an attack in which a hit gets as loud as it gets, of one RMS, and of the
# part before.
_LOUD, _RMS, _EARLY = 0.05, 0.02, 0.004
# Seconds after an attack that its level depends on.
REACH = _LOUD - _EARLY

Wave = NDArray[np.float32]


def hit_level(wave: Wave, sample_rate: float, attack: int) -> float:
    """dB against full scale: the loudest RMS over 20 ms in the 46 ms after the attack, over all
    channels together.

    Twenty milliseconds hold a period of the lowest kick. What rang before is not taken off: in
    the low drums it comes and goes with the phase, and with it velocities would.
    """
    box = max(1, round(_RMS * sample_rate))
    # An attack is known to some milliseconds only.
    begin = max(0, attack - round(_EARLY * sample_rate))
    part = np.square(wave[:, begin : begin + round(_LOUD * sample_rate)], dtype=np.float64)
    power = part.mean(axis=0)
    if not len(power):
        return -120.0
    total = np.cumsum(np.concatenate([[0.0], power, np.zeros(max(0, box - len(power)))]))
    loudest = float((total[box:] - total[:-box]).max()) / box
    return float(10 * np.log10(max(loudest, 1e-12)))
