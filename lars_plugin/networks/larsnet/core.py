# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of a LarsNet as a PyTorch module; the module ``prepost`` has the rest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lars_plugin.networks.larsnet.network import LarsNet

__all__ = ["UNetsCore"]


class UNetsCore(nn.Module):
    """Magnitudes ``(1, C, bins, frames)`` to all stems' masks, ``(1, S * C, bins, frames)``."""

    def __init__(self, network: LarsNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, magnitudes: Tensor) -> Tensor:
        networks = (self.network.get_submodule(stem) for stem in self.network.config.stems)
        return torch.cat([network(magnitudes) for network in networks], dim=1)
