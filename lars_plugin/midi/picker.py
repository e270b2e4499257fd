# SPDX-License-Identifier: GPL-3.0-or-later
"""A small convolutional network: levels of all stems in, how surely each is being struck out.

It hears all stems and their sum together: a drum that leaks into another's stem rises in both at
once, and only all of them tell which one was struck. Three convolutions over time see 33 frames
(165 ms), six of them in the future. It runs in numpy, on a whole recording or
on the frames that a stream has kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import ModelFormatError
from lars_plugin.midi.bands import FINE_BANDS
from lars_plugin.midi.onsets import FLOOR_DB

__all__ = [
    "APART",
    "CONTEXT",
    "DILATIONS",
    "KERNEL",
    "LATER",
    "LOOK_AHEAD",
    "PAST",
    "Picker",
    "find_peaks",
    "moments",
    "prepared",
]

# Taps of each convolution over time, and the frames between them.
KERNEL = 5
DILATIONS = (1, 2, 4)
# Frames that an output depends on, besides its own.
CONTEXT = sum((KERNEL - 1) * dilation for dilation in DILATIONS)
# Of them in the future: 30 ms.
_AHEAD = 6
PAST = CONTEXT - _AHEAD

# Peaks of a stem are at least this many frames apart (25 ms, a close flam), and are known after
# so many more.
APART, LATER = 5, 2
# Frames after a peak that must be known before it can be found: 40 ms.
LOOK_AHEAD = _AHEAD + LATER
# Below this nothing is a stroke, whatever the threshold.
_LEAST = 0.02
# Frames per matrix product: bounds memory.
_GROUP = 4096

Floats = NDArray[np.float32]

_ARRAYS = ("w1", "b1", "w2", "b2", "w3", "b3", "w4", "b4")


def prepared(levels: NDArray[np.floating]) -> Floats:
    """Levels in dB as the network takes them: the floor is -1.5, 0 dB is 2."""
    return np.asarray((levels - FLOOR_DB) / 20 - 1.5, np.float32)


@dataclass(frozen=True)
class Picker:
    """The network: ``relu`` after each convolution, a product with ``w4``, a sigmoid.

    Attributes:
        w1, w2, w3: ``(KERNEL * inputs, hidden)`` float32, the earliest tap first.
        b1, b2, b3: ``(hidden,)``.
        w4, b4: ``(hidden, stems)`` and ``(stems,)``.
    """

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    w3: Floats
    b3: Floats
    w4: Floats
    b4: Floats

    @property
    def stems(self) -> int:
        """How many stems it is for."""
        return len(self.b4)

    def __call__(self, levels: NDArray[np.floating]) -> Floats:
        """Chances in [0, 1] for every frame.

        Args:
            levels: ``(stems + 1, n, FINE_BANDS)`` dB, the sum of all stems last. Before the first
                frame it is silent, after the last one it stays as it is.

        Returns:
            ``(stems, n)`` float32.
        """
        n = levels.shape[1]
        if not n:
            return np.empty((self.stems, 0), np.float32)
        frames = prepared(levels).transpose(1, 0, 2).reshape(n, -1)
        silence = np.full((PAST, frames.shape[1]), -1.5, np.float32)
        padded = np.concatenate([silence, frames, np.repeat(frames[-1:], _AHEAD, axis=0)])
        parts = [
            self.run(padded[start : start + _GROUP + CONTEXT]) for start in range(0, n, _GROUP)
        ]
        return np.concatenate(parts, axis=1)

    def run(self, frames: Floats) -> Floats:
        """Chances ``(stems, m - 32)`` of prepared frames ``(m, (stems + 1) * FINE_BANDS)``."""
        z = frames
        layers = ((self.w1, self.b1), (self.w2, self.b2), (self.w3, self.b3))
        for (weights, bias), dilation in zip(layers, DILATIONS, strict=True):
            count = len(z) - (KERNEL - 1) * dilation
            width = z.shape[1]
            out = np.repeat(bias[None], count, axis=0)
            for tap in range(KERNEL):
                begin = tap * dilation
                out += z[begin : begin + count] @ weights[tap * width : (tap + 1) * width]
            z = np.maximum(out, 0)
        logits = z @ self.w4 + self.b4
        return np.asarray((1 / (1 + np.exp(-np.clip(logits, -30, 30)))).T, np.float32)

    def to_arrays(self) -> dict[str, NDArray[np.float16]]:
        """By name, as they are stored: in float16 the chances differ by less than 0.01."""
        return {name: getattr(self, name).astype(np.float16) for name in _ARRAYS}

    @classmethod
    def from_arrays(cls, data: Mapping[str, NDArray[Any]], stems: int) -> Picker:
        """The inverse of :meth:`to_arrays`.

        Raises:
            ModelFormatError: something is missing, is not finite, or sizes do not fit.
        """
        missing = [name for name in _ARRAYS if name not in data]
        if missing:
            raise ModelFormatError(f"the picker's {', '.join(missing)} is missing")
        arrays = {name: np.asarray(data[name], np.float32) for name in _ARRAYS}
        hidden = len(arrays["b1"]) if arrays["b1"].ndim else 0
        inputs = (stems + 1) * FINE_BANDS
        wanted = {
            "w1": (KERNEL * inputs, hidden), "b1": (hidden,),
            "w2": (KERNEL * hidden, hidden), "b2": (hidden,),
            "w3": (KERNEL * hidden, hidden), "b3": (hidden,),
            "w4": (hidden, stems), "b4": (stems,),
        }  # fmt: skip
        for name, array in arrays.items():
            if array.shape != wanted[name] or not np.isfinite(array).all():
                raise ModelFormatError(
                    f"the picker's {name} should be finite numbers {wanted[name]}, got"
                    f" {array.shape}; tune the model again"
                )
        return cls(**arrays)


def find_peaks(chances: Floats) -> NDArray[np.intp]:
    """Frames where one stem's chances ``(n,)`` peak, in rising order.

    A peak is above what came in the 25 ms before it, and not below the 10 ms after it: a stream
    knows it by then.
    """
    if not len(chances):
        return np.empty(0, np.intp)
    padded = np.pad(chances, (APART, LATER), constant_values=-1.0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, APART + 1 + LATER)
    earlier = windows[:, :APART].max(axis=1) < chances
    later = windows[:, APART + 1 :].max(axis=1) <= chances
    return np.flatnonzero(earlier & later & (chances >= _LEAST))


def moments(chances: Floats, frames: NDArray[np.intp]) -> NDArray[np.float64]:
    """When exactly, in frames: the centre of one stem's chances ``(n,)`` around each peak."""
    around = frames[:, None] + np.arange(-LATER, LATER + 1)
    inside = (around >= 0) & (around < len(chances))
    weights = chances[np.clip(around, 0, max(0, len(chances) - 1))] * inside
    return np.asarray((weights * around).sum(axis=1) / weights.sum(axis=1), np.float64)
