# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's loss on the waves of any network: one more forward pass beside the band loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lars_plugin.training.losses import paper_loss

__all__ = ["wave_loss"]


def wave_loss(network: nn.Module, stems: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 1 of LARS 2.0 for a batch, and its SDR per stem for the log.

    Mixtures are brought to one level (RMS 1) first, so loud excerpts do not rule the batch;
    between the stems of a mixture nothing is evened out, which is the paper's choice.

    Args:
        network: ``(B, C, L)`` to ``(B, S, C, L)``, in training mode.
        stems: references ``(B, S, C, L)`` float32, L at least 8192.

    Returns:
        The scalar loss and the SDR in dB ``(S,)``, detached, averaged over sounding examples;
        NaN where a stem sounds in none.
    """
    mixture = stems.sum(1)
    scale = mixture.square().mean(dim=(1, 2), keepdim=True).sqrt() + 1e-5
    stems = stems / scale[:, None]
    made = network(mixture / scale).float()
    with torch.autocast(stems.device.type, enabled=False):
        loss = paper_loss(made, stems)
    with torch.no_grad():
        error = (made - stems).square().mean(dim=(2, 3))
        energy = stems.square().mean(dim=(2, 3))
        sounding = energy > 1e-3
        ratio = 10 * torch.log10(energy.clamp_min(1e-9) / error.clamp_min(1e-9))
        score = (ratio * sounding).sum(0) / sounding.sum(0)
    return loss, score
