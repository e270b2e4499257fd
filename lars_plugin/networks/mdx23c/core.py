# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of an MDX23C as a PyTorch module; the module ``prepost`` has the rest."""

from __future__ import annotations

from torch import Tensor, nn

from lars_plugin.networks.mdx23c.network import MDX23C

__all__ = ["UNetCore"]


class UNetCore(nn.Module):
    """Subbands of the mixture to those of all stems; see ``MDX23C``."""

    def __init__(self, network: MDX23C) -> None:
        super().__init__()
        self.network = network

    def forward(self, mixture: Tensor) -> Tensor:
        return self.network._unet(mixture)
