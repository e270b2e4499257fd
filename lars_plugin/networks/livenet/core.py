# SPDX-License-Identifier: GPL-3.0-or-later
"""One hop of a LiveNet as a graph of few, plain operators: what other runtimes are given.

From the spectrum of one frame to the spectra of its stems, with all that the past leaves behind as
inputs and outputs. Equal to ``LiveNet.step`` without its Fourier transforms, to float rounding.
Batch norms are folded into weights. What is different for each band is a grouped convolution over
the bands laid out as channels, or a product for each band, because runtimes are slow at batches of
products with a single row.

Axes: B batch (1), S stems, C channels, F bins, K bands, D features, R recurrent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.livenet.network import Block, LiveNet, State
from lars_plugin.networks.livenet.step import affine, fold
from lars_plugin.networks.shared.band_shapes import level_count
from lars_plugin.networks.shared.constants import (
    BIN_POWER_FLOOR,
    COMPRESSION,
    LEVEL_EXPONENT,
    LEVEL_OF_SILENCE,
    QUIETEST,
)

__all__ = ["LiveCore"]


def _fixed(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value.detach().clone().contiguous(), requires_grad=False)


class _Convolution(nn.Module):
    """A convolution with its batch norm folded in, and what it is followed by: SiLU."""

    def __init__(
        self, layer: nn.Module, norm: nn.Module, *, dilation: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        convolution, batch_norm = cast(nn.Conv2d, layer), cast(nn.BatchNorm2d, norm)
        self.up = isinstance(layer, nn.ConvTranspose2d)
        if self.up:
            scale, shift = affine(batch_norm)
            weight = convolution.weight * scale[None, :, None, None]
        else:
            weight, shift = fold(convolution.weight, batch_norm)
        self.weight, self.shift = _fixed(weight), _fixed(shift)
        self.stride = cast(tuple[int, int], convolution.stride)
        self.dilation, self.padding = (dilation, 1), (0, padding)

    def forward(self, x: Tensor) -> Tensor:
        if self.up:
            x = functional.conv_transpose2d(x, self.weight, self.shift, self.stride)
        else:
            x = functional.conv2d(
                x, self.weight, self.shift, self.stride, self.padding, self.dilation
            )
        return functional.silu(x)


class _Block(nn.Module):
    """``livenet.Block`` for one frame: ``(1, D, 1, K)`` and its past ``(1, D, past, K)``."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.first = _Convolution(
            block.first, block.first_norm, dilation=block.past // 2, padding=1
        )
        scale, shift = affine(block.norm)
        self.squeeze, self.squeeze_bias = _fixed(block.squeeze.weight), _fixed(block.squeeze.bias)
        self.expand = _fixed(block.expand.weight)
        self.scale = _fixed(scale[:, None, None])
        self.shift = _fixed((scale[:, None] * block.expand.bias + shift[:, None])[:, None])
        self.second = _Convolution(block.second, block.second_norm, padding=1)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        heard = torch.cat([past, x], dim=2)
        y = self.first(heard)
        hidden = functional.silu(functional.linear(y, self.squeeze, self.squeeze_bias))
        # The norm's scale before the product: after it, it would make a weight per feature.
        y = y + functional.linear(hidden * self.scale, self.expand) + self.shift
        return x + self.second(y), heard[:, :, 1:]


# Bands with at least so many outputs get a product of their own.
_WIDE = 240


class _PerBand(nn.Module):
    """A matrix of its own for each band: ``(1, sum of inputs)`` to ``(bands, outputs)`` per run.

    Args:
        weights: ``(bands, outputs, inputs)`` for each run of equally wide bands.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.shapes = [tuple(weight.shape) for weight in weights]
        self.weights = nn.ParameterList()
        for weight in weights:
            if weight.shape[1] >= _WIDE:
                self.weights.extend(_fixed(band) for band in weight)
            else:
                self.weights.append(_fixed(weight.reshape(-1, weight.shape[2], 1, 1)))

    def forward(self, x: Tensor) -> list[Tensor]:
        results, start = [], 0
        waiting = iter(self.weights)
        for bands, outputs, inputs in self.shapes:
            part = x[:, start : start + bands * inputs]
            if outputs >= _WIDE:
                rows = torch.split(part, inputs, dim=1)
                results.append(torch.cat([functional.linear(row, next(waiting)) for row in rows]))
            else:
                part = part.reshape(1, -1, 1, 1)
                part = functional.conv2d(part, next(waiting), groups=bands)
                results.append(part.reshape(bands, outputs))
            start += bands * inputs
        return results


class LiveCore(nn.Module):
    """See the module's description; one stream, one frame at a time.

    Complex numbers lie in planes, and the state in one vector, level, recurrent and past one after
    the other: runtimes take microseconds for every tensor that goes in or out.

    Args:
        network: in eval mode, float32; its weights are read now, later changes are not seen.
    """

    def __init__(self, network: LiveNet) -> None:
        super().__init__()
        config = network.config
        self.stems, self.channels = config.stems, config.audio_channels
        self.levels = level_count(config.audio_channels) if config.levels else 0
        self.groups = network.groups
        self.fade = network.fade
        # Where masks are held, they are applied outside, to each frame.
        self.masks_only = network.holds
        self.power_scale = float(2 / network.stft.window.square().sum())
        self.embed = _PerBand([self._in_planes(weight) for weight in network.embed])
        self.position = _fixed(network.position)
        self.masks = _PerBand(list(network.masks))
        self.mask_bias = nn.ParameterList(_fixed(bias[:, :, 0]) for bias in network.mask_bias)

        def blocks(modules: Sequence[nn.Module]) -> nn.ModuleList:
            return nn.ModuleList(_Block(cast(Block, module)) for module in modules)

        def convolutions(modules: Sequence[nn.Module]) -> nn.ModuleList:
            pairs = [cast(nn.Sequential, module) for module in modules]
            return nn.ModuleList(_Convolution(pair[0], pair[1]) for pair in pairs)

        self.encoder = blocks(list(network.encoder))
        self.down = convolutions(list(network.down))
        self.bottom = blocks(list(network.bottom))
        # From coarse to fine, the order they run in.
        self.up = convolutions(list(network.up)[::-1])
        self.decoder = blocks(list(network.decoder)[::-1])
        self.enter, self.leave = network.enter, network.leave
        gates = cast(list[Tensor], network.recurrent.all_weights[0])
        self.from_input, self.from_state, self.input_bias, self.state_bias = map(_fixed, gates)
        self.hidden = _Convolution(network.hidden[0], network.hidden[1])
        level, recurrent, *past = self._parts(network.initial_state(), network.holds)
        self.shapes = [tuple(part.shape) for part in (level, recurrent, *past)]

    @staticmethod
    def _parts(state: State, holds: bool) -> list[Tensor]:
        """What of a ``LiveNet``'s state this graph needs: all but samples and held masks."""
        return [state[1], state[2][0], *(state[4:-2] if holds else state[4:])]

    @classmethod
    def pack(cls, state: State, holds: bool = False) -> Tensor:
        """That part of a state as one vector ``(1, N)``; ``holds`` as of the network."""
        return torch.cat([part.reshape(1, -1) for part in cls._parts(state, holds)], dim=1)

    def _in_planes(self, weight: Tensor) -> Tensor:
        """``(bands, (2 C + E) * width, D)`` to ``(bands, D, (2 C + E) * width)``, bins last."""
        bands, inputs, features = weight.shape
        per_bin = 2 * self.channels + self.levels
        own = inputs // per_bin * 2 * self.channels
        parts = weight[:, :own].reshape(bands, -1, self.channels, 2, features)
        planes = parts.permute(0, 4, 3, 2, 1).reshape(bands, features, -1)
        if not self.levels:
            return planes
        levels = weight[:, own:].reshape(bands, -1, self.levels, features)
        return torch.cat([planes, levels.permute(0, 3, 2, 1).reshape(bands, features, -1)], dim=2)

    def forward(self, spec: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The spectra of the stems, or their masks where those are held, and the new state.

        Args:
            spec: ``(2, C, F + 1)``, real and imaginary part of the mixture's frame.
            state: ``(1, N)``, see :meth:`pack`.

        Returns:
            Stems, or masks, ``(2, S, C, F + 1)`` and the state.
        """
        parts = torch.split(state, [math.prod(shape) for shape in self.shapes], dim=1)
        level, recurrent, *past = [
            part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)
        ]
        level = self._level(spec, level)
        x = self._split(spec[..., :-1] * torch.exp(level * -0.5))
        entry, skips, kept = x, [], []
        waiting = iter(past)
        for encode, halve in zip(self.encoder, self.down, strict=True):
            x, heard = encode(x, next(waiting))
            kept.append(heard)
            skips.append(x)
            x = halve(x)
        for bottom in self.bottom:
            x, heard = bottom(x, next(waiting))
            kept.append(heard)
        recurrent = self._recur(self.enter(x.reshape(1, -1)), recurrent)
        x = x + self.leave(recurrent).reshape(x.shape)
        for double, decode, skip in zip(self.up, self.decoder, reversed(skips), strict=True):
            x, heard = decode(double(x) + skip, next(waiting))
            kept.append(heard)
        x = self.hidden(torch.cat([x, entry], dim=1))
        stems = self._apply_masks(x[0, :, 0].t().reshape(1, -1), spec)
        state = torch.cat([part.reshape(1, -1) for part in (level, recurrent, *kept)], dim=1)
        return stems, state

    def _level(self, spec: Tensor, level: Tensor) -> Tensor:
        """``LiveNet.running_level`` for one frame, in nepers of power."""
        power = spec.square().mean().reshape(1, 1) * self.power_scale
        loudest = torch.maximum(level, (power + QUIETEST).log() + self.fade) - self.fade
        return loudest.clamp_min(math.log(QUIETEST))

    def _split(self, x: Tensor) -> Tensor:
        """Bins ``(2, C, F)`` to features ``(1, D, 1, K)``."""
        power = x[:1].square() + x[1:].square()
        seen = (x * (power + BIN_POWER_FLOOR) ** COMPRESSION).flatten(0, 1)  # (2 * C, F)
        if self.levels:
            if self.channels == 2:
                both = torch.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], dim=1)
                power = torch.cat([power, both.square().sum(0, keepdim=True) / 2], dim=1)
            levels = (power[0] + BIN_POWER_FLOOR) ** LEVEL_EXPONENT - LEVEL_OF_SILENCE
            seen = torch.cat([seen, levels])
        features, bands = self.position.shape[1], self.position.shape[3]
        # Band by band, each in planes of its own.
        parts = []
        for part, (count, width) in zip(
            torch.split(seen, [count * width for count, width in self.groups], dim=1),
            self.groups,
            strict=True,
        ):
            part = part.reshape(-1, count, width).transpose(0, 1)
            parts.append(part.reshape(1, -1))
        embedded = torch.cat(self.embed(torch.cat(parts, dim=1)))
        return embedded.t().reshape(1, features, 1, bands) + self.position

    def _recur(self, x: Tensor, state: Tensor) -> Tensor:
        """A gated recurrent unit, as PyTorch defines it."""
        width = state.shape[1]
        new = functional.linear(x, self.from_input, self.input_bias)
        old = functional.linear(state, self.from_state, self.state_bias)
        reset = torch.sigmoid(new[:, :width] + old[:, :width])
        keep = torch.sigmoid(new[:, width : 2 * width] + old[:, width : 2 * width])
        found = torch.tanh(new[:, 2 * width :] + reset * old[:, 2 * width :])
        return found + keep * (state - found)

    def _apply_masks(self, features: Tensor, spec: Tensor) -> Tensor:
        """Features ``(1, K * head)``, mixture ``(2, C, F + 1)`` to stems ``(2, S, C, F + 1)``."""
        stems, channels = self.stems, self.channels
        parts = []
        for out, bias, (count, width) in zip(
            self.masks(features), self.mask_bias, self.groups, strict=True
        ):
            # (bands, 2, S, C, width) to (2, S, C, bins)
            out = (out + bias).reshape(count, 2 * stems * channels, width).transpose(0, 1)
            parts.append(out.reshape(2, stems, channels, count * width))
        masks = torch.cat([*parts, parts[-1][..., -1:]], dim=-1)  # Nyquist: its neighbour's
        real = torch.softmax(masks[0], dim=0)
        imag = masks[1] - masks[1].mean(dim=0, keepdim=True)
        if self.masks_only:
            return torch.stack([real, imag])
        a, b = spec[0], spec[1]
        return torch.stack([real * a - imag * b, real * b + imag * a])
