# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of a RoFormer as a PyTorch module; the module ``prepost`` has the rest."""

from __future__ import annotations

from torch import Tensor, nn

from lars_plugin.networks.roformer.network import RoFormer

__all__ = ["MaskCore"]


class MaskCore(nn.Module):
    """Spectra ``(1, T, F * C * 2)`` to the masks of all bands, ``(1, S, T, n)``."""

    def __init__(self, network: RoFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, spec: Tensor) -> Tensor:
        return self.network.masks(spec)
