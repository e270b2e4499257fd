# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses.

:func:`band_loss` trains networks between a band split and masks (``networks/shared/bands.py``). It
works on the spectrogram that the masks are applied to, one run of bands at a time. By Parseval's
theorem an error energy there is (for a Hann window at 75 % overlap) the wave's error energy up to a
constant, and leaving out the inverse transforms makes a step on a CPU several times cheaper.

:func:`paper_loss` is the loss of LARS 2.0 (equation 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.shared.constants import SCALE_FLOOR
from lars_plugin.training.networks.mask_sums import Kernels, MaskSums, Plan, frames_last

__all__ = ["MaskNetwork", "band_loss", "paper_loss"]

_PLAIN = Kernels()


class MaskNetwork(Protocol):
    """A :class:`~lars_plugin.networks.shared.bands.BandNetwork` with its trunk."""

    groups: list[tuple[int, int]]
    masks: nn.ParameterList
    mask_bias: nn.ParameterList

    @property
    def stft(self) -> Callable[[Tensor], Any]:
        """Waves ``(B, C, L)`` to spectrograms ``(B, C, T, F + 1, 2)``."""
        ...

    def _trunk(self, spec: Tensor) -> Tensor:
        """Spectrograms to features ``(K, head, B * T')``, T' >= T."""
        ...


def band_loss(
    network: MaskNetwork,
    stems: Tensor,
    abs_weight: float,
    log_weight: float,
    kernels: Kernels = _PLAIN,
    floor_power: float = 2e-4,
    silent_power: float = 1e-3,
    level_weight: float = 0.0,
    rest: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss of a batch, and its SDR per stem for the log.

    With D the error, S the reference and X the mixture, summed over channels, bins and frames,
    each stem of each example has the same weight (else loud stems dominate and quiet ones lag):

    - ``abs_weight * sum |D| / (sum |S| + 0.15 sum |X|)``: bounded, so a stem that is
      not learnt yet does no harm, and silent stems have a scale too. Alone it leaves rare stems
      at silence: an absolute error is least at the median, which is zero;
    - ``log_weight * log10((|D|^2 + t) / (|S|^2 + t))``, t = floor_power |X|^2: the SDR itself, in
      units of 10 dB, which is best at the mean. Alone it stalls at the start, so the caller
      raises its weight slowly. The floor is below a quiet hi-hat (30 dB under the mixture);
      otherwise finding the hi-hat would gain nothing.

    - ``level_weight * mean |log10((e + f) / (r + f))|`` over bands and cells of 46 ms, e and r the
      energies there (:func:`~lars_plugin.training.networks.mask_sums.band_sums`): an error of
      10 dB costs 1. Both terms above are least for an estimate that is too quiet where the network
      is unsure; this one is not.

    For a silent stem all terms have a fifth of the weight, and t is silent_power |X|^2, higher.
    Most excerpts have no crash. At full weight, or if the faintest leakage is punished, the
    network learns that there is never one before it learns to recognise one.

    Args:
        network: in training mode.
        stems: references ``(B, S, C, L)`` float32.
        abs_weight: weight of the first term.
        log_weight: weight of the second term.
        kernels: compiled ones, perhaps.
        floor_power: t, as a ratio of powers.
        silent_power: t of silent stems, likewise.
        level_weight: weight of the third term.
        rest: what else is in the mixture and belongs to no stem ``(B, C, L)``, or None.

    Returns:
        The scalar loss and the SDR in dB ``(S,)``, detached, averaged over sounding examples.
    """
    batch, count, channels, _ = stems.shape
    mixture = stems.sum(1) if rest is None else stems.sum(1) + rest
    scale = mixture.square().mean(dim=(1, 2)).sqrt() + SCALE_FLOOR
    stems = stems / scale[:, None, None, None]
    with torch.no_grad():
        spec = network.stft(mixture / scale[:, None, None])
        target = frames_last(network.stft, stems.flatten(0, 2))
        target = target.view(batch, count, channels, *target.shape[1:])
        mix = spec[..., :-1, :].flatten(3).transpose(2, 3).contiguous()  # (B, C, 2 F, T)
    features = network._trunk(spec)
    features = features.reshape(*features.shape[:2], batch, -1)[..., : spec.shape[2]]
    kind = stems.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    plan = Plan(mix, target, network.groups, kernels, bool(level_weight), dtype)
    sums = MaskSums.apply(plan, features, *network.masks, *network.mask_bias)  # type: ignore[no-untyped-call]
    error, abs_error, energy, magnitude, level = sums
    with torch.no_grad():
        loudness = mix.view(batch, channels, -1, 2, mix.shape[3]).square().sum(3)
        # The constants matter for silent mixtures only, where everything else is zero.
        power = loudness.sum((1, 2, 3))
        mix_magnitude = loudness.sqrt().sum((1, 2, 3)) + 1e3
        sounding = energy > floor_power * power + 1e-3
        floor = torch.where(sounding, floor_power, silent_power) * power + 1e-3
        ratio = 10 * torch.log10(energy.clamp_min(1e-9) / error.clamp_min(1e-9))
        score = (ratio * sounding).sum(1) / sounding.sum(1)
        weight = torch.where(sounding, 1.0, 0.2)
        weight = weight / weight.mean()
    terms = abs_weight * abs_error / (magnitude + 0.15 * mix_magnitude)
    if log_weight:
        terms = terms + log_weight * torch.log10((error + floor) / (energy + floor))
    if level_weight:
        terms = terms + level_weight * level / plan.cells
    return (weight * terms).mean(), score


def paper_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """LARS 2.0, equation 1: L1 on waves plus L1 on STFT magnitudes at 4096 and 8192.

    Args:
        estimate: ``(B, S, C, L)``; L at least 8192.
        reference: the same shape.
    """
    loss = functional.l1_loss(estimate, reference)
    flat = torch.cat([estimate, reference]).flatten(0, 2)
    for n_fft in (4096, 8192):
        window = torch.hann_window(n_fft, device=flat.device)
        spec = torch.stft(flat, n_fft, n_fft // 4, window=window, return_complex=True).abs()
        result, wanted = spec.chunk(2)
        loss = loss + functional.l1_loss(result, wanted)
    return loss
