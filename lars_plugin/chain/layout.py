# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call may look like: pedalboard's rules for arguments and array layouts, in Python.

Arrays are ``(samples,)``, ``(channels, samples)`` ("planar") or ``(samples, channels)``
("interleaved"). The smaller axis is the channels; what was seen last decides where that leaves
a choice, and where nothing was seen yet a square array is an error.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from lars_plugin.chain.errors import ArgumentTypeError, LayoutError
from lars_plugin.errors import InputError

__all__ = [
    "Layout",
    "LayoutMemory",
    "check_buffer_size",
    "check_channels",
    "check_flag",
    "check_sample_rate",
]

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """How a caller's array lies in memory.

    Attributes:
        channels: of the array; 1 for ``(samples,)``.
        dimensions: 1 or 2.
        interleaved: ``(samples, channels)`` rather than ``(channels, samples)``.
    """

    channels: int
    dimensions: int = 2
    interleaved: bool = False

    def write(self, wave: Wave) -> Wave:
        """``(channels, n)`` in this layout: new or own memory, C order, float32."""
        if self.dimensions == 1:
            wave = wave.reshape(-1)
        elif self.interleaved:
            wave = wave.T
        return np.ascontiguousarray(wave, np.float32)


class LayoutMemory:
    """Reads callers' arrays and remembers their layout for the ambiguous ones."""

    def __init__(self) -> None:
        self.last: Layout | None = None

    def read(self, array: object) -> Wave:
        """The caller's array as new memory ``(channels, n)`` float32.

        Raises:
            ArgumentTypeError: not an ``ndarray``, or neither 32-bit nor 64-bit floating point.
            LayoutError: not 1 or 2 axes, or a square array before any other.
        """
        if not isinstance(array, np.ndarray):
            raise ArgumentTypeError(
                f"audio must be a numpy array, got {type(array).__name__}; use np.asarray(...)"
            )
        if array.dtype.char not in "fd":
            raise ArgumentTypeError(
                f"audio must be 32-bit or 64-bit floating point, got {array.dtype};"
                " scale it to +-1 and convert it first"
            )
        self.last = self._detect(array.shape)
        if 0 in array.shape:
            return np.empty((self.last.channels, 0), np.float32)
        with np.errstate(over="ignore"):  # too large for float32 is Inf, found further on
            wave = np.array(array, np.float32, order="C", copy=True, subok=False)
        if wave.ndim == 1:
            return wave[np.newaxis]
        return np.ascontiguousarray(wave.T) if self.last.interleaved else wave

    def _detect(self, shape: tuple[int, ...]) -> Layout:
        if len(shape) == 1:
            return Layout(1, 1)
        if len(shape) != 2:
            raise LayoutError(f"audio must have 1 or 2 axes, got shape {shape}")
        first, second = shape
        hint = self.last.channels if self.last else None
        if first == second and first != 1:
            if self.last is None:
                raise LayoutError(
                    f"cannot tell channels from samples in shape {shape};"
                    " process an array that is not square first"
                )
            if first == 0:
                return self.last
            interleaved = self.last.interleaved
        elif hint in shape:
            interleaved = first != hint
        elif 0 in shape:  # no channels makes no sense, no samples does
            interleaved = first == 0
        else:
            interleaved = second < first
        return Layout(second if interleaved else first, 2, interleaved)


def check_sample_rate(value: SupportsFloat) -> float:
    """Hz as float.

    Raises:
        ArgumentTypeError: not a number.
        InputError: not finite and positive.
    """
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise ArgumentTypeError(f"sample_rate must be a number, got {value!r}")
    rate = float(value)
    if not (math.isfinite(rate) and rate > 0):
        raise InputError(f"sample_rate must be positive, got {rate}")
    return rate


def check_buffer_size(value: SupportsIndex) -> int:
    """Samples as int.

    Raises:
        ArgumentTypeError: not a whole number from 0 to 2**32 - 1.
        InputError: 0.
    """
    if not hasattr(value, "__index__"):
        raise ArgumentTypeError(f"buffer_size must be a whole number, got {value!r}")
    size = operator.index(value)
    if not 0 <= size < 1 << 32:
        raise ArgumentTypeError(f"buffer_size must be from 1 to 2**32 - 1, got {size}")
    if size == 0:
        raise InputError("buffer_size must be at least 1, got 0")
    return size


def check_channels(value: SupportsIndex) -> int:
    """A number of channels as int.

    Raises:
        ArgumentTypeError: not a whole number.
        InputError: less than 1.
    """
    if not hasattr(value, "__index__"):
        raise ArgumentTypeError(f"channels must be a whole number, got {value!r}")
    channels = operator.index(value)
    if channels < 1:
        raise InputError(f"channels must be at least 1, got {channels}")
    return channels


def check_flag(name: str, value: object) -> bool:
    """A truth value from a bool, a number or None, as pedalboard takes it.

    Raises:
        ArgumentTypeError: anything else, such as a string.
    """
    if value is None or hasattr(type(value), "__bool__"):
        return bool(value)
    raise ArgumentTypeError(f"{name} must be True or False, got {value!r}")
