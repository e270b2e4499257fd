# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of an HT-Demucs as a PyTorch module; the module ``prepost`` has the rest."""

from __future__ import annotations

from torch import Tensor, nn

from lars_plugin.networks.demucs.network import HTDemucs

__all__ = ["HybridCore"]


class HybridCore(nn.Module):
    """Both halves, normalised, ``(1, D, F, T)`` and ``(1, C, L)``, to those of all stems."""

    def __init__(self, network: HTDemucs) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        return self.network._run(x, xt)
