# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as silence, in one place.

A sample nearer to zero than :data:`QUIETEST` is zero: 600 dB below full scale there is no sound,
only what filters leave behind. Numbers below 1.2e-38 (denormals) take a processor a hundred times
as long as others, and one divided by such a number is infinite. Streams replace such samples at
their entrance, and backends do for what they are given directly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["QUIETEST", "QUIETEST_POWER", "is_silent", "without_denormals"]

Wave = NDArray[np.float32]

QUIETEST = 1e-30
# The same of powers, which single precision does not hold.
QUIETEST_POWER = QUIETEST**2


def is_silent(wave: Wave) -> bool:
    """Whether all samples, of any shape, count as zero; NaN does not."""
    return not wave.size or bool(max(wave.max(), -wave.min()) < QUIETEST)


def without_denormals(wave: Wave) -> Wave:
    """The wave, of any shape, with zeros for what counts as zero.

    Returns:
        The same array where there is nothing to replace, else new memory. NaN stays.
    """
    tiny = np.abs(wave) < QUIETEST
    # Zeros are tiny as well: what is not zero decides.
    if np.count_nonzero(tiny) == wave.size - np.count_nonzero(wave):
        return wave
    result: Wave = np.where(tiny, np.float32(0), wave)
    return result
