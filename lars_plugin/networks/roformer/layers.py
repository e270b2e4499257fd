# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a RoFormer. Attribute names are those of the field's state dicts.

Axes: N sequences, P positions, D features (``dim``), H heads, E features of a head, B batch,
T frames, K bands, W values of a band (bins, channels, and their real and imaginary parts).

Dropout, which the published models were trained with, has no weights and no part in inference:
identities keep its places, because the field counts them in the names of weights.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.roformer.config import RoFormerConfig

__all__ = ["BandSplit", "MaskEstimator", "RMSNorm", "Transformer"]

_jit: Any = torch.jit  # which ships no types
# Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding", section 3.2.
_THETA = 10000.0
# What queries and keys of unit length are multiplied by in linear attention.
_LINEAR_SCALE = 8.0
_FEEDFORWARD_FACTOR = 4
# (even, odd) times it is (-odd, even).
_SWAP = ((0, 1), (-1, 0))


class RMSNorm(nn.Module):
    """Vectors of equal length, in every dimension weighted (Zhang and Sennrich 2019)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = features**0.5
        self.gamma = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional.normalize(x, dim=-1) * (self.scale * self.gamma)
        return out


class _Rotary(nn.Module):
    """Turns pairs of neighbouring features by angles that grow with the position."""

    freqs: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        exponents = torch.arange(0, features, 2).float() / features
        # Every attention layer of a published file has them, so they are loaded like weights.
        self.register_buffer("freqs", 1.0 / _THETA**exponents)

    def table(self, positions: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines ``(P, E / 2)`` for all positions."""
        places = torch.arange(positions, device=self.freqs.device, dtype=self.freqs.dtype)
        angles = places[:, None] * self.freqs
        return angles.cos(), angles.sin()

    @staticmethod
    def turn(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        """``(N, H, P, E)`` turned."""
        if _jit.is_tracing() or x.device.type == "mps":
            # Where there are no complex numbers. A converted network must not take every second
            # feature: OpenVINO then keeps what it is taken from, in each layer anew.
            swap = torch.tensor(np.kron(np.eye(int(x.shape[-1]) // 2), _SWAP), dtype=x.dtype)
            cos, sin = (torch.stack((half, half), -1).flatten(-2) for half in table)
            return (x * cos + (x @ swap.to(x.device)) * sin).to(x.dtype)
        pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        cos, sin = (half.float() for half in table)
        turned = torch.view_as_real(pairs * torch.complex(cos, sin))
        return turned.flatten(-2).to(x.dtype)


class _Attention(nn.Module):
    """Softmax attention with rotary positions and a gate for each head, ``(N, P, D)``."""

    def __init__(self, config: RoFormerConfig) -> None:
        super().__init__()
        inner = config.heads * config.dim_head
        self.heads = config.heads
        self.rotary_embed = _Rotary(config.dim_head)
        self.norm = RMSNorm(config.dim)
        self.to_qkv = nn.Linear(config.dim, 3 * inner, bias=False)
        self.to_gates = nn.Linear(config.dim, config.heads)
        self.to_out = nn.Sequential(nn.Linear(inner, config.dim, bias=False), nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        # (N, P, 3 * H * E) to three of (N, H, P, E)
        query, key, value = (
            self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        )
        table = self.rotary_embed.table(x.shape[1])
        query, key = self.rotary_embed.turn(query, table), self.rotary_embed.turn(key, table)
        heard = functional.scaled_dot_product_attention(query, key, value)
        gates = self.to_gates(x).sigmoid()  # (N, P, H)
        heard = heard.transpose(1, 2) * gates[..., None]
        out: Tensor = self.to_out(heard.flatten(-2))
        return out


class _LinearAttention(nn.Module):
    """Attention between features instead of positions, ``(N, P, D)``.

    El-Nouby et al. 2021, "XCiT: cross-covariance image transformers". The cost grows with the
    number of positions, not with the square of it.
    """

    def __init__(self, config: RoFormerConfig) -> None:
        super().__init__()
        inner = config.heads * config.dim_head
        self.heads = config.heads
        self.norm = RMSNorm(config.dim)
        self.to_qkv = nn.Sequential(nn.Linear(config.dim, 3 * inner, bias=False))
        self.temperature = nn.Parameter(torch.ones(config.heads, 1, 1))
        self.to_out = nn.Sequential(nn.Identity(), nn.Linear(inner, config.dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.to_qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 4, 1).unbind()  # (N, H, E, P) each
        query = functional.normalize(query, dim=-1) * (_LINEAR_SCALE * self.temperature.exp())
        likeness = query @ functional.normalize(key, dim=-1).transpose(-1, -2)  # (N, H, E, E)
        heard = likeness.softmax(dim=-1) @ value
        out: Tensor = self.to_out(heard.permute(0, 3, 1, 2).flatten(-2))
        return out


class _FeedForward(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        inner = _FEEDFORWARD_FACTOR * features
        self.net = nn.Sequential(
            RMSNorm(features),
            nn.Linear(features, inner),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(inner, features),
            nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class Transformer(nn.Module):
    """Layers of attention and feed-forward networks with residual connections, ``(N, P, D)``."""

    def __init__(self, config: RoFormerConfig, depth: int, *, linear: bool = False) -> None:
        super().__init__()
        attention = _LinearAttention if linear else _Attention
        self.layers = nn.ModuleList(
            nn.ModuleList([attention(config), _FeedForward(config.dim)]) for _ in range(depth)
        )
        self.norm = RMSNorm(config.dim) if config.normed_blocks else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            attention, feed_forward = cast(nn.ModuleList, layer)
            x = attention(x) + x
            x = feed_forward(x) + x
        out: Tensor = self.norm(x)
        return out


class BandSplit(nn.Module):
    """The values of each band to its features: ``(B, T, W)`` each to ``(B, T, K, D)``."""

    def __init__(self, features: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.to_features = nn.ModuleList(
            nn.Sequential(RMSNorm(width), nn.Linear(width, features)) for width in widths
        )

    def forward(self, bands: list[Tensor]) -> Tensor:
        split = zip(bands, self.to_features, strict=True)
        return torch.stack([network(band) for band, network in split], dim=-2)


class MaskEstimator(nn.Module):
    """The masks of a stem: ``(B, T, K, D)`` to those of all bands, one after the other."""

    def __init__(self, config: RoFormerConfig, widths: tuple[int, ...]) -> None:
        super().__init__()
        hidden = config.dim * config.mlp_expansion_factor
        self.to_freqs = nn.ModuleList()
        for width in widths:
            sizes = [config.dim, *[hidden] * (config.mask_layers - 1), 2 * width]
            layers: list[nn.Module] = []
            for inputs, outputs in pairwise(sizes):
                layers += [nn.Linear(inputs, outputs), nn.Tanh()]
            # After the last layer a gate (GLU): half of its outputs gates the other half.
            self.to_freqs.append(nn.Sequential(nn.Sequential(*layers[:-1]), nn.GLU(dim=-1)))

    def forward(self, x: Tensor) -> Tensor:
        bands = zip(x.unbind(dim=-2), self.to_freqs, strict=True)
        return torch.cat([network(band) for band, network in bands], dim=-1)
