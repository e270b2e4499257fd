# SPDX-License-Identifier: GPL-3.0-or-later
"""A very small network: features of a stroke in, the probability that it is an articulation out.

Training is in :mod:`lars_plugin.training.midi.fit_scorer`, with PyTorch. This is one formula in
NumPy: transcription needs no PyTorch, and the call takes microseconds in a live stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import ModelFormatError

__all__ = ["Scorer"]

Floats = NDArray[np.float64]

_ARRAYS = ("mean", "scale", "inner", "bias", "outer", "offset")


@dataclass(frozen=True)
class Scorer:
    """``sigmoid(outer . tanh(inner @ standardised + bias) + offset)``.

    Attributes:
        mean, scale: ``(features,)``; standardised is ``(x - mean) * scale``.
        inner: ``(hidden, features)``.
        bias, outer: ``(hidden,)``.
        offset: a number.
    """

    mean: Floats
    scale: Floats
    inner: Floats
    bias: Floats
    outer: Floats
    offset: Floats

    def __call__(self, features: NDArray[np.floating]) -> Floats:
        """Probabilities ``(m,)`` for features ``(m, n)``."""
        z = np.clip((features - self.mean) * self.scale, -4, 4)
        logits = np.tanh(z @ self.inner.T + self.bias) @ self.outer + self.offset
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -40, 40))))

    def to_arrays(self) -> dict[str, Floats]:
        """By name, float64."""
        return {name: np.asarray(getattr(self, name), np.float64) for name in _ARRAYS}

    @classmethod
    def from_arrays(cls, data: Mapping[str, NDArray[Any]], features: int) -> Scorer:
        """The inverse of :meth:`to_arrays`.

        Raises:
            ModelFormatError: something is missing, is not finite, or sizes do not fit.
        """
        missing = [name for name in _ARRAYS if name not in data]
        if missing:
            raise ModelFormatError(f"a scorer's {', '.join(missing)} is missing")
        arrays = {name: np.asarray(data[name], np.float64) for name in _ARRAYS}
        hidden = len(arrays["bias"]) if arrays["bias"].ndim else 0
        wanted = {
            "mean": (features,),
            "scale": (features,),
            "inner": (hidden, features),
            "bias": (hidden,),
            "outer": (hidden,),
            "offset": (),
        }
        for name, array in arrays.items():
            if array.shape != wanted[name] or not np.isfinite(array).all():
                raise ModelFormatError(
                    f"a scorer's {name} should be finite numbers {wanted[name]}, got"
                    f" {array.shape}; tune the model again"
                )
        return cls(**arrays)
