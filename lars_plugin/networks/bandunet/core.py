# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of a BandUNet as a PyTorch module; the module ``prepost`` has the rest.

Axes: S stems, C audio channels, T frames, D features, n bands of W bins in a run of equal bands,
K bands in all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lars_plugin.networks.bandunet.network import BandUNet

__all__ = ["BandCore"]


class BandCore(nn.Module):
    """Bins ``(n, T, inputs of a band)`` for each run of bands to what masks are made of.

    Returns ``(n, 2 * S * C * W, T)`` for each run: logits of the real parts, then the imaginary
    parts. That these sum to zero over the stems is in the weights here.
    """

    def __init__(self, network: BandUNet) -> None:
        super().__init__()
        self.network = network
        stems = network.stems
        with torch.no_grad():
            weights = [_balanced(weight, stems) for weight in network.masks]
            biases = [_balanced(bias, stems) for bias in network.mask_bias]
        self.weights = nn.ParameterList(nn.Parameter(w, requires_grad=False) for w in weights)
        self.biases = nn.ParameterList(nn.Parameter(b, requires_grad=False) for b in biases)

    def forward(self, *bins: Tensor) -> tuple[Tensor, ...]:
        network = self.network
        parts = [torch.bmm(one, weight) for one, weight in zip(bins, network.embed, strict=True)]
        x = torch.cat(parts)[:, None].permute(1, 3, 2, 0) + network.position  # (1, D, T, K)
        x = network.unet(x.contiguous(memory_format=torch.channels_last))
        x = x[0].permute(2, 0, 1).contiguous()  # (K, head, T)
        outputs, start = [], 0
        for weight, bias, (count, _) in zip(self.weights, self.biases, network.groups, strict=True):
            outputs.append(torch.matmul(weight, x[start : start + count]) + bias)
            start += count
        return tuple(outputs)


def _balanced(rows: Tensor, stems: int) -> Tensor:
    """Weights or biases ``(n, 2 * S * C * W, ...)`` whose second half has no mean over S."""
    split = rows.detach().reshape(rows.shape[0], 2, stems, -1, rows.shape[2]).clone()
    split[:, 1] -= split[:, 1].mean(dim=1, keepdim=True)
    return split.reshape(rows.shape)
