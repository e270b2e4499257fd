# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the network that names articulations (:mod:`lars_plugin.midi.scorer`).

PyTorch has the gradient, the loss and L-BFGS. scikit-learn's ``MLPClassifier`` would need an
extra that tuning does not need, and its penalty depends on the number of examples.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lars_plugin.midi.scorer import Scorer

__all__ = ["fit_scorer"]


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
        labels: ``(m,)`` whether each is of the articulation.
        hidden: units.
        decay: weight of the penalty on ``inner`` and ``outer``.
        weight: of those that are, against 1 for the others.
        steps: of L-BFGS at most.
        seed: of the first weights.
    """
    count = features.shape[1]
    mean = features.mean(axis=0, dtype=np.float64)
    scale = 1 / np.maximum(features.std(axis=0, dtype=np.float64), 1e-3)
    x = torch.from_numpy(np.clip((features - mean) * scale, -4, 4))
    y = torch.from_numpy(labels.astype(np.float64))
    share = 1 + (weight - 1) * y
    share /= share.sum()

    generator = torch.Generator().manual_seed(seed)

    def first(spread: float, *shape: int) -> torch.Tensor:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        return (spread * drawn).requires_grad_()

    inner, bias = first(0.5 / count**0.5, hidden, count), first(0.1, hidden)
    outer, offset = first(0.1, hidden), first(0.1)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = torch.tanh(x @ inner.T + bias) @ outer + offset
        errors = nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
        penalty = inner.square().sum() + outer.square().sum()
        total: torch.Tensor = share @ errors + decay / 2 * penalty
        total.backward()  # type: ignore[no-untyped-call]
        return total

    weights = (inner, bias, outer, offset)
    optimiser = torch.optim.LBFGS(
        weights,
        max_iter=steps,
        tolerance_grad=1e-6,
        history_size=10,
        line_search_fn="strong_wolfe",
    )
    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Scorer(mean, scale, *(one.detach().numpy().copy() for one in weights))
