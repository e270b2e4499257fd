# SPDX-License-Identifier: GPL-3.0-or-later
"""A very small network: features of a candidate in, the probability that it is a stroke out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import ModelFormatError

__all__ = ["Scorer", "fit_scorer"]

Floats = NDArray[np.float64]

_SHAPES = {"mean": 1, "scale": 1, "inner": 2, "bias": 1, "outer": 1, "offset": 0}


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

    def to_numbers(self) -> dict[str, Any]:
        """Plain numbers for JSON, four significant digits: more would not change a hit."""

        def rounded(value: Any) -> Any:
            if isinstance(value, list):
                return [rounded(one) for one in value]
            return float(f"{value:.4g}")

        return {name: rounded(getattr(self, name).tolist()) for name in _SHAPES}

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, Any], features: int) -> Scorer:
        """The inverse of :meth:`to_numbers`.

        Raises:
            ModelFormatError: something is missing, or sizes do not fit.
        """
        try:
            arrays = {name: np.asarray(numbers[name], np.float64) for name in _SHAPES}
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFormatError(f"a scorer's numbers are broken: {error!r}") from error
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


def fit_scorer(
    features: NDArray[np.floating],
    labels: NDArray[np.bool_],
    *,
    hidden: int = 8,
    decay: float = 1e-2,
    weight: float = 1.0,
    steps: int = 250,
    seed: int = 0,
) -> Scorer:
    """Fit by maximum likelihood with a quadratic penalty; the same input gives the same result.

    Args:
        features: ``(m, n)``.
        labels: ``(m,)`` whether each is a stroke.
        hidden: units.
        decay: weight of the penalty.
        weight: of those that are strokes, against 1 for the others.
        steps: of L-BFGS at most.
        seed: of the first weights.
    """
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    count = features.shape[1]
    mean = features.mean(axis=0, dtype=np.float64)
    scale = 1 / np.maximum(features.std(axis=0, dtype=np.float64), 1e-3)
    z = np.clip((features - mean) * scale, -4, 4)
    y = labels.astype(np.float64)
    share = np.where(labels, weight, 1.0)
    share /= share.sum()

    def unpack(vector: Floats) -> tuple[Floats, Floats, Floats, float]:
        inner = vector[: hidden * count].reshape(hidden, count)
        bias, outer = vector[hidden * count : -1].reshape(2, hidden)
        return inner, bias, outer, float(vector[-1])

    def loss(vector: Floats) -> tuple[float, Floats]:
        inner, bias, outer, offset = unpack(vector)
        active = np.tanh(z @ inner.T + bias)
        logits = active @ outer + offset
        value = np.sum(share * (np.logaddexp(0, logits) - y * logits))
        slope = share * (1 / (1 + np.exp(-np.clip(logits, -40, 40))) - y)
        back = slope[:, None] * outer * (1 - active**2)
        gradient = np.concatenate(
            [(back.T @ z).ravel(), back.sum(axis=0), active.T @ slope, [slope.sum()]]
        )
        weights = np.concatenate([vector[: hidden * count], np.zeros(hidden), outer, [0.0]])
        penalty = decay * float(weights @ weights) / 2
        return float(value) + penalty, gradient + decay * weights

    start = rng.standard_normal(hidden * count + 2 * hidden + 1)
    start[: hidden * count] *= 0.5 / count**0.5
    start[hidden * count :] *= 0.1
    made = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    inner, bias, outer, offset = unpack(np.asarray(made.x, np.float64))
    return Scorer(mean, scale, inner, bias, outer, np.asarray(offset))
