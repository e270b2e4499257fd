# SPDX-License-Identifier: GPL-3.0-or-later
"""How loud any remix of the stems is, from one pass over them.

The loudness of a sum follows from the products of its parts: the page multiplies a small matrix
by its gains to play the original as loud as the remix, whatever the faders say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

__all__ = ["k_weighting", "products"]


def k_weighting(rate: float) -> NDArray[np.float64]:
    """The filter of ITU-R BS.1770 at any rate, as two second-order sections.

    The analogue prototypes of its two stages, by the bilinear transform (De Man 2014).
    """

    def section(f0: float, q: float, high: float, band: float, low: float) -> list[float]:
        k = np.tan(np.pi * min(f0, 0.49 * rate) / rate)
        a0 = 1 + k / q + k * k
        b = [high + band * k / q + low * k * k, 2 * (low * k * k - high)]
        b += [high - band * k / q + low * k * k]
        a = [2 * (k * k - 1), 1 - k / q + k * k]
        return [value / a0 for value in b] + [1.0] + [value / a0 for value in a]

    gain = 10 ** (3.999843853973347 / 20)
    shelf = section(1681.974450955533, 0.7071752369554196, gain, gain**0.4996667741545416, 1.0)
    high_pass = section(38.13547087602444, 0.5003270373238773, 1.0, 0.0, 0.0)
    return np.array([shelf, high_pass])


def products(
    lanes: Sequence[Path], stop: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """Mean products of the K-weighted channels of all lanes.

    Args:
        lanes: float WAV files of one shape.
        stop: returns True to end early.

    Returns:
        ``channels`` per lane, and ``matrix``: rows and columns are the lanes' channels, lane by
        lane. None when it was stopped.
    """
    from scipy.signal import sosfilt  # a second that the start need not wait

    files = [soundfile.SoundFile(path) for path in lanes]
    try:
        rate, channels = files[0].samplerate, files[0].channels
        sections = k_weighting(rate)
        count = len(files) * channels
        state = np.zeros((len(sections), count, 2))
        total, frames = np.zeros((count, count)), 0
        while not stop():
            parts = [file.read(1 << 16, dtype="float32", always_2d=True) for file in files]
            length = min(len(part) for part in parts)
            if not length:
                break
            wave = np.concatenate([part[:length] for part in parts], axis=1).T
            weighted, state = sosfilt(sections, wave, axis=1, zi=state)
            total += weighted @ weighted.T
            frames += length
        else:
            return None
    finally:
        for file in files:
            file.close()
    return {"channels": channels, "matrix": (total / max(frames, 1)).tolist()}
