# SPDX-License-Identifier: GPL-3.0-or-later
"""MDX23C: the network of the published drum separation models ("TFC-TDF v3").

Axes: B batch, S stems, C audio channels, L samples, T frames, F bins below ``dim_f``,
N subbands, W bins per subband (``F / N``), D features. Feature maps are ``(B, D, T, W)``.

The spectrogram's real and imaginary parts are channels; its bins are cut into N subbands that
become channels too. A U-Net of residual blocks runs on that grid: 3 x 3 convolutions (TFC,
time-frequency convolutions) with two linear layers over the whole frequency axis between them
(TDF, time-distributed fully connected; Choi et al. 2020, "Investigating U-Nets with various
intermediate blocks for spectrogram-based singing voice separation"). Its output is multiplied
by the first layer's, put beside the mixture and mapped to the spectrogram of every stem.

Attribute names are those of the published state dicts, which load unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.errors import InputError
from lars_plugin.networks.mdx23c.config import MDX23CConfig
from lars_plugin.networks.shared.stft import STFT

__all__ = ["MDX23C", "MDX23CConfig"]


def _norm(name: str, features: int) -> nn.Module:
    if name == "BatchNorm":
        return nn.BatchNorm2d(features)
    if name == "InstanceNorm":
        return nn.InstanceNorm2d(features, affine=True)
    groups = int(name.removeprefix("GroupNorm"))
    if features % groups:
        raise InputError(f"MDX23C: {features} features cannot be normalised in {groups} groups")
    return nn.GroupNorm(groups, features)


def _act(name: str) -> nn.Module:
    if name == "gelu":
        return nn.GELU()
    if name == "relu":
        return nn.ReLU()
    return nn.ELU(float(name.removeprefix("elu") or 1))


class _Block(nn.Module):
    """Residual block: convolution, frequency layers, convolution. ``(B, D, T, W)``."""

    def __init__(self, config: MDX23CConfig, inputs: int, features: int, width: int) -> None:
        super().__init__()
        hidden = width // config.bottleneck_factor
        if hidden < 1:
            raise InputError(
                f"MDX23C: bottleneck_factor {config.bottleneck_factor} leaves none of {width} bins"
            )
        self.tfc1 = nn.Sequential(
            _norm(config.norm, inputs),
            _act(config.act),
            nn.Conv2d(inputs, features, 3, padding=1, bias=False),
        )
        self.tdf = nn.Sequential(
            _norm(config.norm, features),
            _act(config.act),
            nn.Linear(width, hidden, bias=False),
            _norm(config.norm, features),
            _act(config.act),
            nn.Linear(hidden, width, bias=False),
        )
        self.tfc2 = nn.Sequential(
            _norm(config.norm, features),
            _act(config.act),
            nn.Conv2d(features, features, 3, padding=1, bias=False),
        )
        self.shortcut = nn.Conv2d(inputs, features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.tfc1(x)
        out: Tensor = self.tfc2(y + self.tdf(y)) + self.shortcut(x)
        return out


class _Blocks(nn.Module):
    """The blocks of one scale and direction."""

    def __init__(self, config: MDX23CConfig, inputs: int, features: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                _Block(config, features if index else inputs, features, width)
                for index in range(config.num_blocks_per_scale)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(x)
        return out


class _Rescale(nn.Module):
    """One step down or up: norm, activation, strided or transposed convolution."""

    def __init__(self, config: MDX23CConfig, inputs: int, outputs: int, *, up: bool) -> None:
        super().__init__()
        kind = nn.ConvTranspose2d if up else nn.Conv2d
        self.conv = nn.Sequential(
            _norm(config.norm, inputs),
            _act(config.act),
            kind(inputs, outputs, config.scale, stride=config.scale, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class _Encoder(nn.Module):
    """Blocks, then a step down; returns both (skip, smaller)."""

    def __init__(self, config: MDX23CConfig, features: int, width: int) -> None:
        super().__init__()
        self.tfc_tdf = _Blocks(config, features, features, width)
        self.downscale = _Rescale(config, features, features + config.growth, up=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.tfc_tdf(x)
        return skip, self.downscale(skip)


class _Decoder(nn.Module):
    """A step up, the skip put beside it, then blocks."""

    def __init__(self, config: MDX23CConfig, features: int, width: int) -> None:
        super().__init__()
        self.upscale = _Rescale(config, features + config.growth, features, up=True)
        self.tfc_tdf = _Blocks(config, 2 * features, features, width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        out: Tensor = self.tfc_tdf(torch.cat([self.upscale(x), skip], dim=1))
        return out


class MDX23C(nn.Module):
    """Waves in, stems out: ``(B, C, L)`` to ``(B, S, C, L)`` float32.

    Args:
        config: the shape.
        portable: compute the STFT through convolutions, for export.

    Raises:
        InputError: in :meth:`forward`, when ``1 + L // hop_length`` frames cannot be scaled
            down evenly.
    """

    def __init__(self, config: MDX23CConfig, *, portable: bool = False) -> None:
        super().__init__()
        self.config = config
        self.stft = STFT(config.n_fft, config.hop_length, portable=portable)
        bands = 2 * config.audio_channels * config.num_subbands  # channels of the mixture
        features, width = config.num_channels, config.dim_f // config.num_subbands
        self.first_conv = nn.Conv2d(bands, features, 1, bias=False)
        encoders, decoders = [], []
        for _ in range(config.num_scales):
            encoders.append(_Encoder(config, features, width))
            decoders.append(_Decoder(config, features, width))
            features, width = features + config.growth, width // config.scale[1]
        self.encoder_blocks = nn.ModuleList(encoders)
        self.bottleneck_block = _Blocks(config, features, features, width)
        self.decoder_blocks = nn.ModuleList(reversed(decoders))
        self.final_conv = nn.Sequential(
            nn.Conv2d(config.num_channels + bands, config.num_channels, 1, bias=False),
            _act(config.act),
            nn.Conv2d(config.num_channels, config.stems * bands, 1, bias=False),
        )

    def forward(self, wave: Tensor) -> Tensor:
        config = self.config
        batch, channels, length = wave.shape
        spec = self.stft(wave)[..., : config.dim_f, :]
        frames = spec.shape[2]
        # While a graph is traced, sizes are tensors and there is nothing to check.
        if isinstance(frames, int) and frames % config.frame_multiple:
            raise InputError(
                f"MDX23C: {length} samples are {frames} frames, "
                f"which must be divisible by {config.frame_multiple}"
            )
        subbands, width = config.num_subbands, config.dim_f // config.num_subbands
        # (B, C, T, F, 2) to (B, C * 2 * N, T, W)
        x = spec.permute(0, 1, 4, 2, 3).reshape(batch, channels * 2, frames, subbands, width)
        x = x.permute(0, 1, 3, 2, 4).reshape(batch, channels * 2 * subbands, frames, width)
        x = self._unet(x).float()
        # (B, S * C * 2 * N, T, W) to (B, S * C, T, F, 2), and silence in the bins above
        outputs = config.stems * channels
        x = x.reshape(batch, outputs * 2, subbands, frames, width).permute(0, 1, 3, 2, 4)
        x = x.reshape(batch, outputs, 2, frames, config.dim_f).permute(0, 1, 3, 4, 2)
        x = functional.pad(x, (0, 0, 0, config.n_fft // 2 + 1 - config.dim_f))
        return self.stft.inverse(x, length).reshape(batch, config.stems, channels, length)

    def _unet(self, mixture: Tensor) -> Tensor:
        """Subbands of the mixture ``(B, 4N, T, W)`` to those of all stems ``(B, S * 4N, T, W)``."""
        first = self.first_conv(mixture)
        x, skips = first, []
        for encode in self.encoder_blocks:
            skip, x = encode(x)
            skips.append(skip)
        x = self.bottleneck_block(x)
        for decode in self.decoder_blocks:
            x = decode(x, skips.pop())
        out: Tensor = self.final_conv(torch.cat([mixture, x * first], dim=1))
        return out
