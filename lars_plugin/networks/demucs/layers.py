# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of the U-Nets of Hybrid Demucs, and their residual branches.

Défossez: Hybrid Spectrogram and Waveform Source Separation, MDX workshop 2021. Written anew from
the published layout, so that the published checkpoints load by name.

Axes: B batch, D features, F bins, T positions in time. Spectral halves are ``(B, D, F, T)``, the
wave's halves ``(B, D, T)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Bands", "Decoder", "Encoder", "Residual", "Scale", "unflatten"]

_HEADS = 4  # of the attention in residual branches
_DECAYS = 4  # distances that each of these heads weighs
_LSTM_FRAME = 200  # positions that an LSTM sees at once
_ITSELF = -100.0  # score of a position for itself: no share


class Scale(nn.Module):
    """A factor for each feature, on the axis before the last, or on the last one."""

    def __init__(self, features: int, *, last: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((features,), 1e-3))
        self._last = last

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.scale if self._last else self.scale[:, None])


class _Lstm(nn.Module):
    """``(B, D, T)`` to the same: two LSTM layers in both directions, beside what came in.

    What is longer than a frame is cut into frames that overlap by half; of each the middle counts.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, features, num_layers=2, bidirectional=True)
        self.linear = nn.Linear(2 * features, features)

    def forward(self, x: Tensor) -> Tensor:
        batch, features, length = x.shape
        if length <= _LSTM_FRAME:
            return x + self._run(x)
        step = _LSTM_FRAME // 2
        count = -(-length // step)
        padded = functional.pad(x, (0, (count - 1) * step + _LSTM_FRAME - length))
        frames = padded.unfold(-1, _LSTM_FRAME, step)  # (B, D, count, frame)
        rows = frames.permute(0, 2, 1, 3).reshape(batch * count, features, _LSTM_FRAME)
        seen = self._run(rows).reshape(batch, count, features, _LSTM_FRAME)
        edge = step // 2
        # The first frame also has its own beginning.
        middles = seen[..., edge : edge + step].permute(0, 2, 1, 3).flatten(2)
        return x + torch.cat([seen[:, 0, :, :edge], middles], dim=-1)[..., :length]

    def _run(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(self.lstm(x.permute(2, 0, 1))[0])
        return out.permute(1, 2, 0)


class _LocalAttention(nn.Module):
    """``(B, D, T)`` to the same: attention whose scores fall with the distance."""

    def __init__(self, features: int) -> None:
        super().__init__()
        if features % _HEADS:
            raise ValueError(f"{features} features of a branch do not make {_HEADS} heads")
        self.content = nn.Conv1d(features, features, 1)
        self.query = nn.Conv1d(features, features, 1)
        self.key = nn.Conv1d(features, features, 1)
        self.query_decay = nn.Conv1d(features, _HEADS * _DECAYS, 1)
        self.proj = nn.Conv1d(features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, features, length = x.shape
        heads = (batch, _HEADS, -1, length)
        queries, keys = self.query(x).reshape(heads), self.key(x).reshape(heads)
        content = self.content(x).reshape(heads)
        # (B, heads, key, query)
        scores = keys.transpose(2, 3) @ queries / math.sqrt(features // _HEADS)
        places = torch.arange(length, device=x.device, dtype=x.dtype)
        distance = (places[:, None] - places[None, :]).abs()
        # All decays of a head are multiples of one distance: one factor for each query.
        steps = torch.arange(1, _DECAYS + 1, device=x.device, dtype=x.dtype)
        decay = torch.sigmoid(self.query_decay(x).reshape(heads)) / 2
        slope = (decay * steps[:, None]).sum(dim=2) / math.sqrt(_DECAYS)
        scores = scores - distance * slope[:, :, None, :]
        itself = torch.eye(length, device=x.device, dtype=torch.bool)
        weights = torch.softmax(scores.masked_fill(itself, _ITSELF), dim=2)
        out: Tensor = self.proj((content @ weights).reshape(batch, features, length))
        return x + out


class Residual(nn.Module):
    """A residual branch of few features: ``(B, D, T)`` to the same."""

    def __init__(
        self, features: int, compress: float, depth: int, *, lstm: bool, attention: bool
    ) -> None:
        super().__init__()
        hidden = int(features / compress)
        self.layers = nn.ModuleList()
        for index in range(abs(depth)):
            dilation = 2**index if depth > 0 else 1
            parts: list[nn.Module] = [
                nn.Conv1d(features, hidden, 3, dilation=dilation, padding=dilation),
                nn.GroupNorm(1, hidden),
                nn.GELU(),
                *([_Lstm(hidden)] if lstm else []),
                *([_LocalAttention(hidden)] if attention else []),
                nn.Conv1d(hidden, 2 * features, 1),
                nn.GroupNorm(1, 2 * features),
                nn.GLU(dim=1),
                Scale(features),
            ]
            self.layers.append(nn.Sequential(*parts))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


def _beside(residual: nn.Module | None, x: Tensor) -> Tensor:
    """A branch over time; of a spectrum, each bin is seen for itself."""
    if residual is None:
        return x
    if x.dim() == 3:
        out: Tensor = residual(x)
        return out
    batch, features, bins, length = x.shape
    rows = x.permute(0, 2, 1, 3).reshape(batch * bins, features, length)
    rows = residual(rows)
    seen: Tensor = rows.reshape(batch, bins, features, length).permute(0, 2, 1, 3)
    return seen


def unflatten(x: Tensor, axis: int, sizes: tuple[int, ...]) -> Tensor:
    """One axis as several; -1 is what is left. PyTorch's own has no types."""
    out: Tensor = x.unflatten(axis, sizes)  # type: ignore[no-untyped-call]
    return out


def _norm(groups: int, features: int) -> nn.Module:
    return nn.GroupNorm(groups, features) if groups else nn.Identity()


class Encoder(nn.Module):
    """One level on the way there: fewer bins, or fewer positions in time.

    Args:
        inputs, outputs: features.
        kernel, stride, padding: along the axis that shrinks.
        freq: whether that is frequency.
        bare: whether the convolution is all there is.
        groups: of the norms; 0 for none.
        context: neighbours that the gated convolution sees; None for no such convolution.
        residual: the branch, or None.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        padding: int,
        *,
        freq: bool,
        bare: bool = False,
        groups: int = 0,
        context: int | None = 0,
        residual: Residual | None = None,
    ) -> None:
        super().__init__()
        self.freq, self.bare = freq, bare
        self.kernel, self.stride, self.padding = kernel, stride, padding
        if freq:
            self.conv: nn.Module = nn.Conv2d(
                inputs, outputs, (kernel, 1), (stride, 1), (padding, 0)
            )
        else:
            self.conv = nn.Conv1d(inputs, outputs, kernel, stride, padding)
        self.dconv = residual
        self.rewrite: nn.Module | None = None
        if bare:
            return
        self.norm1 = _norm(groups, outputs)
        if context is not None:
            kind = nn.Conv2d if freq else nn.Conv1d
            self.rewrite = kind(outputs, 2 * outputs, 1 + 2 * context, 1, context)
            self.norm2 = _norm(groups, 2 * outputs)

    def forward(self, x: Tensor, joined: Tensor | None = None) -> Tensor:
        """``joined``: the wave's half, where the two halves become one."""
        if not self.freq:
            if x.dim() == 4:
                x = x.flatten(1, 2)  # one bin is left
            x = functional.pad(x, (0, -x.shape[-1] % self.stride))
        y: Tensor = self.conv(x)
        if self.bare:
            return y
        if joined is not None:
            y = y + (joined[:, :, None] if joined.dim() < y.dim() else joined)
        y = _beside(self.dconv, functional.gelu(self.norm1(y)))
        if self.rewrite is not None:
            y = functional.glu(self.norm2(self.rewrite(y)), dim=1)
        return y


class Decoder(nn.Module):
    """One level on the way back.

    Args:
        inputs, outputs: features.
        kernel, stride, padding: along the axis that grows.
        freq: whether that is frequency.
        last: whether nothing follows: no activation.
        bare: whether the convolution is all there is.
        groups: of the norms; 0 for none.
        context: neighbours that the gated convolution sees; None for no such convolution.
        across: whether it also sees neighbouring bins.
        residual: the branch, or None.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        padding: int,
        *,
        freq: bool,
        last: bool,
        bare: bool = False,
        groups: int = 0,
        context: int | None = 1,
        across: bool = True,
        residual: Residual | None = None,
    ) -> None:
        super().__init__()
        self.freq, self.bare, self.last = freq, bare, last
        self.kernel, self.stride, self.padding, self.inputs = kernel, stride, padding, inputs
        if freq:
            self.conv_tr: nn.Module = nn.ConvTranspose2d(inputs, outputs, (kernel, 1), (stride, 1))
        else:
            self.conv_tr = nn.ConvTranspose1d(inputs, outputs, kernel, stride)
        self.norm2 = _norm(groups, outputs)
        self.dconv = residual
        self.rewrite: nn.Module | None = None
        if bare or context is None:
            return
        width = 1 + 2 * context
        if not freq:
            self.rewrite = nn.Conv1d(inputs, 2 * inputs, width, 1, context)
        elif across:
            self.rewrite = nn.Conv2d(inputs, 2 * inputs, width, 1, context)
        else:
            self.rewrite = nn.Conv2d(inputs, 2 * inputs, (1, width), 1, (0, context))
        self.norm1 = _norm(groups, 2 * inputs)

    def forward(self, x: Tensor, skip: Tensor | None, length: int) -> tuple[Tensor, Tensor]:
        """What goes on, and what it was before the convolution, which the wave's half starts with.

        Args:
            x: from the level before.
            skip: what went past that level; None if ``bare``.
            length: positions in time that came in on the way there.
        """
        y = self.widen(x, skip)
        z = self.norm2(self.conv_tr(y))
        if not self.freq:
            z = z[..., self.padding : self.padding + length]
        elif self.padding:
            z = z[..., self.padding : -self.padding, :]
        return (z if self.last else functional.gelu(z)), y

    def widen(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """All but the last convolution."""
        if self.freq and x.dim() == 3:
            x = x.reshape(x.shape[0], self.inputs, -1, x.shape[-1])
        if skip is None:
            return x
        x = x + skip
        if self.rewrite is not None:
            x = functional.glu(self.norm1(self.rewrite(x)), dim=1)
        return _beside(self.dconv, x)


class Bands(nn.Module):
    """A level whose bands of frequency have weights of their own, joined without a seam.

    Args:
        layers: one for each band, low to high: all :class:`Encoder` or all :class:`Decoder`.
        shares: the ends of all bands but the last, as shares of the frequencies.
    """

    def __init__(self, layers: Sequence[Encoder | Decoder], shares: Sequence[float]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._shares = tuple(shares)
        if isinstance(layers[0], Encoder):
            for layer in layers:  # the edges get their zeros here
                assert isinstance(layer.conv, nn.Conv2d)
                layer.conv.padding = (0, 0)

    def forward(self, x: Tensor, skip: Tensor | None = None, *_: object) -> Any:
        """As the level itself is called."""
        if isinstance(self.layers[0], Encoder):
            return self._encoded(x)
        assert skip is not None
        return self._decoded(x, skip)

    def _encoded(self, x: Tensor) -> Tensor:
        first = self.layers[0]
        assert isinstance(first, Encoder)
        kernel, stride, padding = first.kernel, first.stride, first.padding
        bins = int(x.shape[2])  # a tensor, where the network is traced
        padded = functional.pad(x, (0, 0, padding, padding))
        start = 0  # in padded bins
        parts = []
        for layer, share in zip(self.layers, (*self._shares, 1.0), strict=True):
            end = bins + 2 * padding
            if share != 1:
                # Whole steps of the convolution, the nearest number of them.
                steps = round((round(bins * share) + padding - start - kernel) / stride + 1)
                end = start + (steps - 1) * stride + kernel
            parts.append(layer(padded[:, :, start:end]))
            start = end - kernel + stride
        return torch.cat(parts, dim=2)

    def _decoded(self, x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        first = self.layers[0]
        assert isinstance(first, Decoder)
        bins, stride, padding = int(x.shape[2]), first.stride, first.padding
        start = 0
        parts: list[Tensor] = []
        for layer, share in zip(self.layers, (*self._shares, 1.0), strict=True):
            assert isinstance(layer, Decoder)
            end = bins if share == 1 else round(bins * share)
            wide = layer.widen(x[:, :, start:end], skip[:, :, start:end])
            part = layer.norm2(layer.conv_tr(wide))
            if parts:
                # Where two bands meet both add to the same bins; the bias counts once.
                bias = layer.conv_tr.bias.reshape(1, -1, 1, 1)  # type: ignore[operator]
                seam = parts[-1][:, :, -stride:] + (part[:, :, :stride] - bias)
                parts[-1] = parts[-1][:, :, :-stride]
                parts += [seam, part[:, :, stride:]]
            else:
                parts.append(part)
            start = end
        whole = torch.cat(parts, dim=2)[:, :, padding:-padding]
        return (whole if first.last else functional.gelu(whole)), whole
