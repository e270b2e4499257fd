# SPDX-License-Identifier: GPL-3.0-or-later
"""Muon for convolutions and linear layers, AdamW for everything else, as one optimizer.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") replaces the
momentum of a matrix by the nearest matrix with orthonormal rows or columns: every direction is
learnt at the same rate, rare ones too. A few Newton-Schulz steps come close enough. Updates are
scaled to the size that AdamW's have (Liu et al. 2025, "Muon is scalable for LLM training",
section 2.2), so one rate and one weight decay serve both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

__all__ = ["Muon", "make_optimizer", "orthogonalised"]

# Five steps of this quintic bring singular values from 0.001 .. 1 to 0.7 .. 1.2.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_STEPS = 5
# An AdamW update has about this root mean square, in units of the rate.
_RMS = 0.2


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix with the singular vectors of this one ``(m, n)`` and singular values of about 1."""
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
        matrices: weights of two dimensions or more; all but the first are taken as one.
        rest: what AdamW updates.
        lr: of both.
        weight_decay: of both.
        betas: of AdamW.
        momentum: of Muon, with Nesterov's look ahead.
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
        """One step; a closure computes the loss and the gradients first, as for AdamW."""
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
    """``adamw``, or ``muon`` for the weights of convolutions and linear layers.

    What splits the spectrum into bands and what makes masks stays with AdamW, like the first and
    the last layer of any network.
    """
    betas = (0.9, 0.98)
    if name != "muon":
        return torch.optim.AdamW(
            network.parameters(), lr=lr, weight_decay=weight_decay, betas=betas
        )
    kinds = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    matrices = [one.weight for one in network.modules() if isinstance(one, kinds)]
    chosen = {id(one) for one in matrices}
    rest = [one for one in network.parameters() if id(one) not in chosen]
    return Muon(matrices, rest, lr=lr, weight_decay=weight_decay, betas=betas)
