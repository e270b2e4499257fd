# SPDX-License-Identifier: GPL-3.0-or-later
"""What our own networks have in common: a band split in front, complex masks behind.

Axes: B batch, S stems, C audio channels, L samples, T frames, F bins (Nyquist dropped),
K bands, D features. Feature maps are ``(B, D, T, K)`` in channels-last memory order.

- A band split (after Luo and Yu 2023, "Music source separation with band-split RNN",
  section III-A): each band of bins gets a linear map of its own. Bands are 2 bins wide below
  700 Hz and about 50 wide at the top, so the frequency axis shrinks from about 1,000 bins to
  64 roughly pitch-spaced bands. Kick and toms keep their resolution, cymbals cost little.
- Complex masks per stem and audio channel whose sum over the stems is exactly one: a softmax
  (competition, as in a Wiener filter) plus a complex correction that sums to zero. So the
  stems add up to the mixture by construction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lars_plugin.networks.shared.band_shapes import band_groups, level_count
from lars_plugin.networks.shared.constants import (
    BIN_POWER_FLOOR,
    COMPRESSION,
    LEVEL_EXPONENT,
    LEVEL_OF_SILENCE,
)

__all__ = [
    "BandNetwork",
    "apply_masks",
    "compressed",
    "levels_of",
    "masks_from",
]


def levels_of(spec: Tensor) -> Tensor:
    """Compressed magnitudes ``(..., E)`` of bins ``(..., C, 2)``: of each channel and, of two
    channels, of their middle and side (E = 4).

    Phases of noise are random, so no linear map of complex bins knows how loud a band is. And the
    side tells at once what does not stand in the middle. Silence is 0.
    """
    power = spec.square().sum(-1)
    if spec.shape[-2] == 2:
        left, right = spec[..., 0, :], spec[..., 1, :]
        both = torch.stack([left + right, left - right], dim=-2).square().sum(-1) / 2
        power = torch.cat([power, both], dim=-1)
    levels: Tensor = (power + BIN_POWER_FLOOR) ** LEVEL_EXPONENT - LEVEL_OF_SILENCE
    return levels


def compressed(spec: Tensor) -> Tensor:
    """Bins ``(..., 2)`` with their magnitudes to the power 0.3: cymbals 40 dB below the kick stay
    visible."""
    return spec * (spec.square().sum(-1, keepdim=True) + BIN_POWER_FLOOR) ** COMPRESSION


def masks_from(out: Tensor) -> tuple[Tensor, Tensor]:
    """Network output ``(bands, 2, S, ...)`` to masks (real, imaginary) ``(bands, S, ...)``.

    Over S the real parts sum to 1 and the imaginary ones to 0.
    """
    out = out.float()
    imag = out[:, 1]
    return torch.softmax(out[:, 0], dim=1), imag - imag.mean(dim=1, keepdim=True)


def apply_masks(spec: Tensor, outputs: Sequence[Tensor], stems: int) -> Tensor:
    """Stems ``(B, S, C, T, F + 1, 2)`` of a mixture ``(B, C, T, F + 1, 2)``.

    Args:
        spec: the mixture's spectrogram.
        outputs: what :func:`masks_from` makes masks of, for each run of bands, low to high:
            ``(bands, 2, S, C, width, B, T)``.
        stems: S.
    """
    batch, channels, frames = spec.shape[:3]
    parts = []
    for out in outputs:
        real, imag = masks_from(out)
        # (bands, S, C, width, B, T) to (B, S, C, T, bins)
        shape = (batch, stems, channels, frames, real.shape[0] * real.shape[3])
        real = real.permute(4, 1, 2, 5, 0, 3).reshape(shape)
        imag = imag.permute(4, 1, 2, 5, 0, 3).reshape(shape)
        parts.append(torch.stack([real, imag], dim=-1))
    mask = torch.cat([*parts, parts[-1][..., -1:, :]], dim=-2)  # Nyquist: its neighbour's
    a, b = spec[:, None, ..., 0], spec[:, None, ..., 1]
    real, imag = mask[..., 0], mask[..., 1]
    return torch.stack([real * a - imag * b, real * b + imag * a], dim=-1)


class BandNetwork(nn.Module):
    """Base of a network between a band split and masks; a subclass has the trunk.

    Args:
        stems: number of outputs.
        audio_channels: channels of the mixture.
        band_widths: bins per band, low to high.
        features: feature channels after the band split.
        levels: whether bins come with :func:`levels_of` beside them.
        head: feature channels before the masks.
    """

    def __init__(
        self,
        *,
        stems: int,
        audio_channels: int,
        band_widths: Sequence[int],
        features: int,
        head: int,
        levels: bool,
    ) -> None:
        super().__init__()
        self.stems = stems
        self.audio_channels = audio_channels
        self.groups = band_groups(band_widths)
        self.head = head
        self.levels = levels
        per_bin = 2 * audio_channels
        if levels:
            per_bin += level_count(audio_channels)
        self.embed = nn.ParameterList(
            nn.Parameter(torch.randn(n, w * per_bin, features) * (w * per_bin) ** -0.5)
            for n, w in self.groups
        )
        self.position = nn.Parameter(torch.zeros(1, features, 1, len(band_widths)))
        # Per bin: (real logit, imaginary part) x stems x channels.
        outputs = 2 * stems * audio_channels
        self.masks = nn.ParameterList(
            nn.Parameter(torch.randn(n, outputs * w, head) * 0.1 * head**-0.5)
            for n, w in self.groups
        )
        self.mask_bias = nn.ParameterList(
            nn.Parameter(torch.zeros(n, outputs * w, 1)) for n, w in self.groups
        )

    def split_bands(self, spec: Tensor) -> Tensor:
        """Bins ``(B, T, F, C, 2)`` to features ``(B, D, T, K)``.

        In a band's input, all its complex bins come before all its levels.
        """
        batch, frames = spec.shape[:2]
        seen = [compressed(spec).flatten(3)]
        if self.levels:
            seen.append(levels_of(spec))
        parts, start = [], 0
        for weight, (count, width) in zip(self.embed, self.groups, strict=True):
            span = slice(start, start + count * width)
            bins = [one[:, :, span].reshape(batch * frames, count, -1) for one in seen]
            parts.append(torch.bmm(torch.cat(bins, dim=2).transpose(0, 1), weight))
            start += count * width
        x = torch.cat(parts).reshape(-1, batch, frames, self.embed[0].shape[2])
        x = x.permute(1, 3, 2, 0) + self.position  # (B, D, T, K)
        return x.contiguous(memory_format=torch.channels_last)

    def mask_outputs(self, features: Tensor, batch: int, channels: int) -> list[Tensor]:
        """What :func:`masks_from` makes masks of, for each run of equally wide bands.

        Args:
            features: ``(K, head, B * T)``.
            batch: B.
            channels: C.

        Returns:
            Low to high, ``(bands, 2, S, C, width, B, T)`` each. In this order of axes nothing
            the size of all masks is ever transposed, which in training costs more than the
            network itself.
        """
        frames = features.shape[2] // batch
        result, start = [], 0
        for weight, bias, (count, width) in zip(
            self.masks, self.mask_bias, self.groups, strict=True
        ):
            out = torch.baddbmm(bias, weight, features[start : start + count])
            result.append(out.reshape(count, 2, self.stems, channels, width, batch, frames))
            start += count
        return result
