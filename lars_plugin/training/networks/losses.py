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
from torch import Tensor
from torch.nn import functional

from lars_plugin.networks.shared.bands import masks_from
from lars_plugin.networks.shared.constants import SCALE_FLOOR

__all__ = ["MaskNetwork", "band_loss", "paper_loss"]


Sums = tuple[Tensor, Tensor, Tensor, Tensor]


class MaskNetwork(Protocol):
    """A network that gives its spectrogram and the outputs that make its masks."""

    @property
    def stft(self) -> Callable[[Tensor], Any]:
        """Waves ``(B, C, L)`` to spectrograms ``(B, C, T, F + 1, 2)``."""
        ...

    def band_outputs(self, spec: Tensor) -> list[Tensor]:
        """See :meth:`~lars_plugin.networks.shared.bands.BandNetwork.mask_outputs`."""
        ...


def band_sums(out: Tensor, mix: Tensor, wanted: Tensor) -> Sums:
    """Sums over one run of bands, ``(S, B)`` each: |D|^2, |D|, |S|^2, |S|.

    Args:
        out: network output ``(bands, 2, S, C, width, B, T)``.
        mix: mixture ``(2, bands, C, width, B, T)``; the first axis is (re, im).
        wanted: references ``(2, bands, S, C, width, B, T)``.
    """
    real, imag = masks_from(out)
    a, b = mix[0][:, None], mix[1][:, None]
    off = (real * a - imag * b - wanted[0]).square() + (real * b + imag * a - wanted[1]).square()
    power = wanted[0].square() + wanted[1].square()
    axes = (0, 2, 3, 5)
    return (
        off.sum(axes),
        (off + 1e-7).sqrt().sum(axes),
        power.sum(axes),
        power.sqrt().sum(axes),
    )


def band_loss(
    network: MaskNetwork,
    stems: Tensor,
    abs_weight: float,
    log_weight: float,
    band_sums: Callable[[Tensor, Tensor, Tensor], Sums] = band_sums,
    floor_power: float = 2e-4,
    silent_power: float = 1e-3,
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

    For a silent stem both terms have a fifth of the weight, and t is silent_power |X|^2, higher.
    Most excerpts have no crash. At full weight, or if the faintest leakage is punished, the
    network learns that there is never one before it learns to recognise one.

    Args:
        network: in training mode.
        stems: references ``(B, S, C, L)`` float32.
        abs_weight: weight of the first term.
        log_weight: weight of the second term.
        band_sums: a compiled :func:`band_sums`, perhaps.
        floor_power: t, as a ratio of powers.
        silent_power: t of silent stems, likewise.

    Returns:
        The scalar loss and the SDR in dB ``(S,)``, detached, averaged over sounding examples.
    """
    batch, count, channels, length = stems.shape
    mixture = stems.sum(1)
    scale = mixture.square().mean(dim=(1, 2)).sqrt() + SCALE_FLOOR
    stems = stems / scale[:, None, None, None]
    spec = network.stft(mixture / scale[:, None, None])
    with torch.no_grad():
        target = network.stft(stems.reshape(batch, count * channels, length))
        target = target.unflatten(1, (count, channels))
        mix = spec.permute(4, 3, 1, 0, 2)  # (2, F, C, B, T)
    sums: list[Tensor] = []
    start = 0
    for out in network.band_outputs(spec):
        bands, width = out.shape[0], out.shape[4]
        bins = slice(start, start + bands * width)
        with torch.no_grad():
            # Into the order the outputs come in: (2, bands, S, C, width, B, T).
            wanted = target[:, :, :, :, bins].unflatten(4, (bands, width))
            wanted = wanted.permute(6, 4, 1, 2, 5, 0, 3).contiguous()
            given = mix[:, bins].unflatten(1, (bands, width)).transpose(2, 3).contiguous()
        parts = band_sums(out, given, wanted)
        sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else list(parts)
        start += bands * width
    error, abs_error, energy, magnitude = sums
    with torch.no_grad():
        loudness = mix.square().sum(0)
        # The constants matter for silent mixtures only, where everything else is zero.
        power = loudness.sum((0, 1, 3))
        mix_magnitude = loudness.sqrt().sum((0, 1, 3)) + 1e3
        sounding = energy > floor_power * power + 1e-3
        floor = torch.where(sounding, floor_power, silent_power) * power + 1e-3
        ratio = 10 * torch.log10(energy.clamp_min(1e-9) / error.clamp_min(1e-9))
        score = (ratio * sounding).sum(1) / sounding.sum(1)
        weight = torch.where(sounding, 1.0, 0.2)
        weight = weight / weight.mean()
    terms = abs_weight * abs_error / (magnitude + 0.15 * mix_magnitude)
    if log_weight:
        terms = terms + log_weight * torch.log10((error + floor) / (energy + floor))
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
