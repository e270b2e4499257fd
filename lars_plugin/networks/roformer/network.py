# SPDX-License-Identifier: GPL-3.0-or-later
"""BS-RoFormer and Mel-Band RoFormer: masks from transformers with rotary position embeddings.

- Lu, Wang, Kong, Hung 2023, "Music source separation with band-split RoPE transformer": bands that
  stand side by side.
- Wang, Lu, Won 2023, "Mel-band RoFormer for music source separation": bands on the mel scale that
  overlap; a bin has the mean of its bands' masks.

Axes: B batch, S stems, C audio channels, L samples, T frames, F bins, K bands, D features.

The complex bins of each band become a vector. Transformers over time (each band for itself) and
over bands (each frame for itself) take turns. Complex masks for every stem are made of what they
return, and multiply the mixture's spectrum.

Attribute names are those of the field's state dicts, which load unchanged.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import cast

import torch
from torch import Tensor, nn

from lars_plugin.networks.roformer.bands import bands_per_bin
from lars_plugin.networks.roformer.config import (
    BSRoFormerConfig,
    MelRoFormerConfig,
    RoFormerConfig,
)
from lars_plugin.networks.roformer.layers import BandSplit, MaskEstimator, RMSNorm, Transformer
from lars_plugin.networks.shared.stft import STFT

__all__ = ["BSRoFormer", "MelRoFormer", "RoFormer"]


class RoFormer(nn.Module):
    """Waves in, stems out: ``(B, C, L)`` to ``(B, S, C, L)`` float32; L exceeds ``n_fft / 2``.

    Args:
        config: the shape.
        portable: compute the STFT through convolutions, for export.
    """

    band_index: Tensor
    share: Tensor

    def __init__(self, config: RoFormerConfig, *, portable: bool = False) -> None:
        super().__init__()
        self.config = config
        self.stft = STFT(config.n_fft, config.hop_length, portable=portable)
        per_bin = 2 * config.audio_channels
        self.bands = tuple((first * per_bin, end * per_bin) for first, end in config.bands)
        widths = tuple(end - first for first, end in self.bands)
        blocks = []
        for _ in range(config.depth):
            block = [
                Transformer(config, config.time_transformer_depth),
                Transformer(config, config.freq_transformer_depth),
            ]
            if config.linear_transformer_depth:
                depth = config.linear_transformer_depth
                block.insert(0, Transformer(config, depth, linear=True))
            blocks.append(nn.ModuleList(block))
        self.layers = nn.ModuleList(blocks)
        if not config.normed_blocks:
            self.final_norm = RMSNorm(config.dim)
        self.band_split = BandSplit(config.dim, widths)
        self.mask_estimators = nn.ModuleList(
            MaskEstimator(config, widths) for _ in range(config.stems)
        )
        index = torch.cat([torch.arange(*band) for band in self.bands])
        share = torch.from_numpy(1.0 / bands_per_bin(config.bands, config.bins)).float()
        self.register_buffer("band_index", index, persistent=False)
        self.register_buffer("share", share.repeat_interleave(per_bin), persistent=False)
        self._overlapping = len(index) != len(share) * per_bin

    def forward(self, wave: Tensor) -> Tensor:
        config = self.config
        batch, channels, length = wave.shape
        spec = self.stft(wave).permute(0, 2, 3, 1, 4)  # (B, T, F, C, 2)
        masks = self.masks(spec.flatten(2)).float()
        if self._overlapping:
            sums = masks.new_zeros(*masks.shape[:3], spec.shape[2] * channels * 2)
            # scatter_add: ONNX has no index_add along the last axis.
            masks = sums.scatter_add(-1, self.band_index.expand_as(masks), masks) * self.share
        # (B, S, T, F * C * 2) to (B, S, C, T, F, 2)
        masks = masks.reshape(*masks.shape[:3], config.bins, channels, 2).permute(0, 1, 4, 2, 3, 5)
        spec = spec.permute(0, 3, 1, 2, 4)[:, None]  # (B, 1, C, T, F, 2)
        real = spec[..., 0] * masks[..., 0] - spec[..., 1] * masks[..., 1]
        imaginary = spec[..., 0] * masks[..., 1] + spec[..., 1] * masks[..., 0]
        stems = torch.stack([real, imaginary], dim=-1).flatten(0, 1)  # (B * S, C, T, F, 2)
        if config.zero_dc:
            audible = torch.ones(config.bins, 1, device=stems.device)
            audible[0] = 0
            stems = stems * audible
        return self.stft.inverse(stems, length).reshape(batch, config.stems, channels, length)

    def only(self, stems: tuple[int, ...]) -> RoFormer:
        """The network with these mask estimators alone; it shares their weights and all others."""
        one = copy.copy(self)
        one._modules = dict(self._modules)
        one.mask_estimators = nn.ModuleList(self.mask_estimators[index] for index in stems)
        one.config = dataclasses.replace(self.config, stems=len(stems))
        return one

    def masks(self, spec: Tensor) -> Tensor:
        """Spectra ``(B, T, F * C * 2)`` to the masks of each band, one after the other.

        They are ``(B, S, T, n)``; n is the number of values of all bands.
        """
        x = self.band_split([spec[..., first:end] for first, end in self.bands])  # (B, T, K, D)
        batch, frames, bands, _ = x.shape
        results: list[Tensor] = []
        for block in self.layers:
            *linear, over_time, over_bands = cast(nn.ModuleList, block)
            for transformer in linear:
                x = transformer(x.flatten(1, 2)).unflatten(1, (frames, bands))
            if self.config.skip_connection:
                for result in results:
                    x = x + result
            x = over_time(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, bands))
            x = over_bands(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, frames))
            if self.config.skip_connection:
                results.append(x)
        if not self.config.normed_blocks:
            x = self.final_norm(x)
        return torch.stack([estimate(x) for estimate in self.mask_estimators], dim=1)


class BSRoFormer(RoFormer):
    """A RoFormer whose bands stand side by side."""

    def __init__(self, config: BSRoFormerConfig, *, portable: bool = False) -> None:
        super().__init__(config, portable=portable)


class MelRoFormer(RoFormer):
    """A RoFormer whose bands are triangles on the mel scale."""

    def __init__(self, config: MelRoFormerConfig, *, portable: bool = False) -> None:
        super().__init__(config, portable=portable)
