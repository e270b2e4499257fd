# SPDX-License-Identifier: GPL-3.0-or-later
"""The transformer between the U-Nets of HT-Demucs: attention within each half and across.

Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation, ICASSP 2023.

Axes: B batch, N positions (of the spectrum, T times F; of the wave, T), D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.errors import InputError
from lars_plugin.networks.demucs.config import HTDemucsConfig
from lars_plugin.networks.demucs.layers import Scale, unflatten

__all__ = ["CrossTransformer"]


class _Attention(nn.Module):
    """``(B, N, D)`` asks ``(B, M, D)``. Names and layout are those of PyTorch's own."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * features, features))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * features))
        self.out_proj = nn.Linear(features, features)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, query: Tensor, source: Tensor) -> Tensor:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            self._split(functional.linear(x, weight, bias))
            for x, weight, bias in zip((query, source, source), weights, biases, strict=True)
        )
        seen = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        batch, places, features = x.shape
        return x.reshape(batch, places, self._heads, features // self._heads).transpose(1, 2)


class _GroupNorm(nn.GroupNorm):
    """Over all positions and the features of a group: ``(B, N, D)``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def _norm(groups: int, features: int) -> nn.Module:
    return _GroupNorm(int(groups), features) if groups else nn.LayerNorm(features)


class _Layer(nn.Module):
    """Attention, then a feed-forward layer, each beside what came in."""

    def __init__(self, config: HTDemucsConfig, *, across: bool) -> None:
        super().__init__()
        features = config.transformer_channels
        hidden = int(features * config.t_hidden_scale)
        self._across, self._first = across, config.t_norm_first
        self._act = functional.gelu if config.t_gelu else functional.relu
        attention = _Attention(features, config.t_heads)
        if across:
            self.cross_attn = attention
            self.norm3 = _norm(config.t_group_norm, features)
        else:
            self.self_attn = attention
        self.linear1 = nn.Linear(features, hidden)
        self.linear2 = nn.Linear(hidden, features)
        self.norm1 = _norm(config.t_group_norm, features)
        self.norm2 = _norm(config.t_group_norm, features)
        scaled = config.t_layer_scale
        self.gamma_1 = Scale(features, last=True) if scaled else nn.Identity()
        self.gamma_2 = Scale(features, last=True) if scaled else nn.Identity()
        self.norm_out: nn.Module | None = None
        if config.t_norm_first and config.t_norm_out:
            self.norm_out = _GroupNorm(int(config.t_norm_out), features)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """``(B, N, D)`` to the same; ``other`` ``(B, M, D)``: the other half, for one across."""
        if not self._first:
            source = x if other is None else other
            x = self.norm1(x + self.gamma_1(self._attend(x, source)))
            y: Tensor = self.norm2(x + self.gamma_2(self._feed(x)))
            return y
        query = self.norm1(x)
        source = query if other is None else self.norm2(other)
        x = x + self.gamma_1(self._attend(query, source))
        before = self.norm3 if self._across else self.norm2
        x = x + self.gamma_2(self._feed(before(x)))
        return x if self.norm_out is None else self.norm_out(x)

    def _attend(self, query: Tensor, source: Tensor) -> Tensor:
        attention = self.cross_attn if self._across else self.self_attn
        out: Tensor = attention(query, source)
        return out

    def _feed(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear2(self._act(self.linear1(x)))
        return out


class _Positions(nn.Module):
    """Stored positions, ``scaled``: they are three times what is stored."""

    _FACTOR = 3.0

    def __init__(self, count: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(count, features)

    def forward(self, length: int) -> Tensor:
        if length > self.embedding.num_embeddings:
            raise InputError(
                f"this network has {self.embedding.num_embeddings} positions, its input needs"
                f" {length}: give it less at once"
            )
        return self.embedding.weight[:length] * self._FACTOR


class CrossTransformer(nn.Module):
    """Both halves, ``(B, D, F, T)`` and ``(B, D, T')``, to the same."""

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__()
        features = config.transformer_channels
        self._config = config
        if config.t_emb == "scaled":
            self.position_embeddings = _Positions(config.t_max_positions, features)
        self.norm_in, self.norm_in_t = self._norm_before(), self._norm_before()
        # Layers across are the odd ones, or the even ones.
        across = [index % 2 != int(config.t_cross_first) for index in range(config.t_layers)]
        self.layers = nn.ModuleList(_Layer(config, across=one) for one in across)
        self.layers_t = nn.ModuleList(_Layer(config, across=one) for one in across)
        self._are_across = across

    def _norm_before(self) -> nn.Module:
        config = self._config
        if not (config.t_norm_in or config.t_norm_in_group):
            return nn.Identity()
        groups = 0 if config.t_norm_in else config.t_norm_in_group
        return _norm(groups, config.transformer_channels)

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        bins = x.shape[2]
        weight = self._config.t_weight_pos_embed
        x = x.permute(0, 3, 2, 1)  # (B, T, F, D)
        places = _plane(x.shape[1], bins, x.shape[3], self._config.t_max_period, x.device)
        x = self.norm_in(x.flatten(1, 2)) + weight * places
        xt = xt.transpose(1, 2)
        xt = self.norm_in_t(xt) + weight * self._line(xt.shape[1], xt.shape[2], xt.device)
        for own, own_t, across in zip(self.layers, self.layers_t, self._are_across, strict=True):
            x, xt = (own(x, xt), own_t(xt, x)) if across else (own(x), own_t(xt))
        x = unflatten(x, 1, (-1, bins)).permute(0, 3, 2, 1)
        return x, xt.transpose(1, 2)

    def _line(self, length: int, features: int, device: torch.device) -> Tensor:
        """Positions of the wave's half, ``(T, D)``."""
        config = self._config
        if config.t_emb == "scaled":
            stored: Tensor = self.position_embeddings(length)
            return stored
        places = torch.arange(length, device=device, dtype=torch.float32)
        if config.t_emb == "cape" and config.t_cape_mean_normalize:
            places = places - places.mean()
        half = features // 2
        exponents = torch.arange(half, device=device) / (half - 1)
        phases = places[:, None] / (config.t_max_period**exponents)
        return torch.cat([phases.cos(), phases.sin()], dim=1)


def _plane(frames: int, bins: int, features: int, period: float, device: torch.device) -> Tensor:
    """Positions of the spectrum, ``(T * F, D)``: half of the features tell time, half the bin."""
    half = features // 2
    rates = torch.exp(torch.arange(0, half, 2, device=device) * (-math.log(period) / half))

    def waves(count: int) -> Tensor:
        phases = torch.arange(count, device=device)[:, None] * rates
        return torch.stack([phases.sin(), phases.cos()], dim=2).flatten(1)  # alternating

    in_time = waves(frames)[:, None].expand(frames, bins, half)
    in_frequency = waves(bins)[None].expand(frames, bins, half)
    return torch.cat([in_time, in_frequency], dim=2).flatten(0, 1)
