# SPDX-License-Identifier: GPL-3.0-or-later
"""Muon for convolutions and linear layers, AdamW for everything else, as one optimizer.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") replaces the
momentum of a matrix by the nearest matrix with orthonormal rows or columns: every direction is
learnt at the same rate, rare ones too. A few Newton-Schulz steps come close enough. Updates are
scaled to the size that AdamW's have (Liu et al. 2025, "Muon is scalable for LLM training",
section 2.2), so one rate and one weight decay serve both.

With the gradient G of a weight W of m rows and n columns, momentum b, rate r and weight decay d,
a step is::

    M <- b M + (1 - b) G
    N  = b M + (1 - b) G                    Nesterov's look ahead
    O  = orthogonalised(N)                  about U V^T, where N = U S V^T
    W <- (1 - r d) W - 0.2 r sqrt(max(m, n)) O

The entries of O have a root mean square of 1 / sqrt(max(m, n)), so those of the update have 0.2 r.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from lars_plugin.errors import InputError

__all__ = ["OPTIMIZERS", "Muon", "make_optimizer", "orthogonalised"]

OPTIMIZERS = ("adamw", "muon")

# Jordan et al., section "Deriving our NS coefficients": x <- a x + b x^3 + c x^5. Five steps bring
# singular values from 0.003 .. 1 to 0.68 .. 1.2, and one of 0.001 to 0.47.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_STEPS = 5
# An AdamW update has about this root mean square, in units of the rate.
_RMS = 0.2


def orthogonalised(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns, roughly, by Newton-Schulz steps.

    Args:
        matrix: ``(m, n)`` of floats, finite; not changed.

    Returns:
        ``(m, n)`` of the same type, new memory: the same singular vectors, and singular values of
        about 1 (0.68 to 1.2) wherever they exceed 0.003 of the matrix' Frobenius norm. Smaller
        ones are raised less; a matrix of zeros stays one. One with NaN or Inf becomes all NaN.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    norm: Tensor = torch.linalg.vector_norm(x)
    x = x / (norm + 1e-12)
    a, b, c = _QUINTIC
    for _ in range(_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.T


class Muon(torch.optim.AdamW):
    """AdamW whose groups with ``orthogonal=True`` are updated by Muon.

    Args:
        matrices: weights ``(m, ...)`` of two dimensions or more; all but the first are taken as
            one of n.
        rest: what AdamW updates, of any shape.
        lr: of both, 0 or more. A matrix changes by 0.2 of it, as a root mean square.
        weight_decay: of both, 0 or more; a step takes away ``lr * weight_decay`` of a weight.
        betas: of AdamW, each in [0, 1).
        momentum: of Muon, in [0, 1), with Nesterov's look ahead.

    Raises:
        InputError: a matrix of one dimension or none, or a momentum out of its range.
        ValueError: another number out of its range (from PyTorch).
    """

    def __init__(
        self,
        matrices: Sequence[Tensor],
        rest: Sequence[Tensor],
        *,
        lr: float,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.98),
        momentum: float = 0.95,
    ) -> None:
        if any(one.dim() < 2 for one in matrices):
            raise InputError("Muon updates matrices only: give AdamW what has fewer dimensions")
        if not 0 <= momentum < 1:
            raise InputError(f"momentum must be at least 0 and less than 1, got {momentum}")
        groups: list[dict[str, Any]] = [
            {"params": list(matrices), "orthogonal": True, "momentum": momentum},
            {"params": list(rest), "orthogonal": False, "momentum": 0.0},
        ]
        super().__init__(groups, lr=lr, weight_decay=weight_decay, betas=betas)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step, in place; weights without a gradient stay as they are.

        Args:
            closure: computes the loss and the gradients first, as for AdamW.

        Returns:
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        everything = self.param_groups
        for group in everything:
            if group["orthogonal"]:
                self._orthogonal_step(group)
        try:
            self.param_groups = [group for group in everything if not group["orthogonal"]]
            super().step()
        finally:
            self.param_groups = everything
        return loss

    @torch.no_grad()
    def _orthogonal_step(self, group: dict[str, Any]) -> None:
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                state["step"] = torch.zeros(())  # expected by AdamW where states are read
                state["momentum"] = torch.zeros_like(weight)
            average = state["momentum"]
            average.lerp_(weight.grad, 1 - group["momentum"])
            ahead = weight.grad.lerp(average, group["momentum"])
            update = orthogonalised(ahead.flatten(1).float()).reshape(weight.shape)
            rows, columns = weight.shape[0], weight[0].numel()
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(update, alpha=-group["lr"] * _RMS * math.sqrt(max(rows, columns)))


def make_optimizer(
    name: str, network: nn.Module, *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimizer of a network's parameters, each of them in one group.

    Args:
        name: ``adamw``, for all; or ``muon``, for the weights of convolutions and linear layers,
            and AdamW for the rest. What splits the spectrum into bands and what makes masks are
            parameters of no such layer, so they stay with AdamW, as the first and the last layer
            should.
        network: whose parameters.
        lr: rate, 0 or more.
        weight_decay: 0 or more.

    Raises:
        InputError: another name.
        ValueError: a number out of its range (from PyTorch).
    """
    betas = (0.9, 0.98)
    if name not in OPTIMIZERS:
        raise InputError(f"unknown optimizer {name!r}: use one of {', '.join(OPTIMIZERS)}")
    if name == "adamw":
        return torch.optim.AdamW(
            network.parameters(), lr=lr, weight_decay=weight_decay, betas=betas
        )
    kinds = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    matrices = [one.weight for one in network.modules() if isinstance(one, kinds)]
    chosen = {id(one) for one in matrices}
    rest = [one for one in network.parameters() if id(one) not in chosen]
    return Muon(matrices, rest, lr=lr, weight_decay=weight_decay, betas=betas)
