# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses on the waves of any network: the paper's, and ours for networks without masks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lars_plugin.networks.shared.constants import SCALE_FLOOR
from lars_plugin.training.networks.losses import paper_loss

__all__ = ["sdr_loss", "wave_loss"]


def wave_loss(
    network: nn.Module, stems: Tensor, rest: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Equation 1 of LARS 2.0 for a batch, and its SDR per stem for the log.

    Mixtures are scaled to one level (RMS 1) first, so loud excerpts do not dominate the batch.
    Within a mixture the stems keep their levels, as in the paper.

    Args:
        network: ``(B, C, L)`` to ``(B, S, C, L)``, in training mode.
        stems: references ``(B, S, C, L)`` float32, L at least 8192.
        rest: what else is in the mixture ``(B, C, L)``, or None.

    Returns:
        The scalar loss and the SDR in dB ``(S,)``, detached, averaged over sounding examples;
        NaN where a stem sounds in none.
    """
    result, stems, _ = _levelled(network, stems, rest)
    with torch.autocast(stems.device.type, enabled=False):
        loss = paper_loss(result, stems)
    return loss, _scores(result, stems, 1e-3)


def sdr_loss(
    network: nn.Module,
    stems: Tensor,
    abs_weight: float,
    log_weight: float,
    floor_power: float,
    silent_power: float,
    rest: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The terms of :func:`~lars_plugin.training.networks.losses.band_loss`, of waves instead of
    spectra.

    For networks that map to spectra directly, whose error is known only after the inverse
    transform. By Parseval's theorem the logarithmic term is the same; the absolute one is of
    samples instead of bins.

    Args:
        network: ``(B, C, L)`` to ``(B, S, C, L)``, in training mode.
        stems: references ``(B, S, C, L)`` float32.
        abs_weight: weight of the absolute term.
        log_weight: weight of the logarithmic term.
        floor_power: its floor, against the mixture's power.
        silent_power: the floor of silent stems, likewise.
        rest: what else is in the mixture ``(B, C, L)``, or None.

    Returns:
        The scalar loss and the SDR in dB ``(S,)``, detached; NaN where a stem sounds in none.
    """
    result, stems, mixture = _levelled(network, stems, rest)
    off = result - stems
    power = mixture.square().sum((1, 2))[:, None]
    energy = stems.square().sum((2, 3))
    sounding = energy > floor_power * power + 1e-3
    floor = torch.where(sounding, floor_power, silent_power) * power + 1e-3
    whole = mixture.abs().sum((1, 2))[:, None] + 1.0
    terms = abs_weight * off.abs().sum((2, 3)) / (stems.abs().sum((2, 3)) + 0.15 * whole)
    if log_weight:
        error = off.square().sum((2, 3))
        terms = terms + log_weight * torch.log10((error + floor) / (energy + floor))
    weight = torch.where(sounding, 1.0, 0.2)
    loss = (terms * weight / weight.mean()).mean()
    return loss, _scores(result, stems, floor_power)


def _levelled(
    network: nn.Module, stems: Tensor, rest: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates, references and mixture, scaled so that mixtures have RMS 1."""
    mixture = stems.sum(1) if rest is None else stems.sum(1) + rest
    scale = mixture.square().mean(dim=(1, 2), keepdim=True).sqrt() + SCALE_FLOOR
    mixture = mixture / scale
    return network(mixture).float(), stems / scale[:, None], mixture


@torch.no_grad()
def _scores(result: Tensor, stems: Tensor, quietest: float) -> Tensor:
    """SDR in dB ``(S,)`` over the examples in which a stem's power exceeds ``quietest``."""
    error = (result - stems).square().mean(dim=(2, 3))
    energy = stems.square().mean(dim=(2, 3))
    sounding = energy > quietest
    ratio = 10 * torch.log10(energy.clamp_min(1e-9) / error.clamp_min(1e-9))
    return (ratio * sounding).sum(0) / sounding.sum(0)
