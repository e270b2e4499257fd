# SPDX-License-Identifier: GPL-3.0-or-later
"""One hop of a LiveNet in a quarter of the time.

Live, a network sees a single frame at a time, and then most of the time goes into calling
operators rather than into arithmetic. :class:`LiveStepper` does the same sums with fewer, plainer
ones: batch norms are folded into weights once, convolutions over three frames are one matrix
product, and masks are made for all bands at once. Equal to ``LiveNet.step`` to float rounding.

Axes: D features, K bands, O output features, S stems, C channels, F bins, H hidden.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.livenet.network import Block, LiveNet, State
from lars_plugin.networks.shared.bands import compressed, levels_of

__all__ = ["LiveStepper", "affine", "fold"]


def fold(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale of the norm into a weight whose first axis is the output; and the shift."""
    scale, shift = affine(norm)
    return weight * scale.reshape(-1, *[1] * (weight.dim() - 1)), shift


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm in eval mode does: scale and shift of each feature, ``(D,)``."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


# With as few bands as this, a product is several times faster the other way round.
_NARROW = 8


class _Product:
    """``weight (O, I)`` times columns ``(I, K)`` plus a shift of each output."""

    def __init__(self, weight: Tensor, shift: Tensor, bands: int) -> None:
        self.narrow = bands <= _NARROW
        self.weight = weight.t().contiguous() if self.narrow else weight.contiguous()
        bias = shift[None].expand(bands, -1) if self.narrow else shift[:, None].expand(-1, bands)
        self.bias = bias.contiguous()

    def __call__(self, columns: Tensor) -> Tensor:
        """Columns as a view with any leading axes and K last."""
        if self.narrow:
            rows = columns.movedim(-1, 0).reshape(columns.shape[-1], -1)
            return torch.addmm(self.bias, rows, self.weight).t()
        return torch.addmm(self.bias, self.weight, columns.reshape(self.weight.shape[1], -1))


class _FastBlock:
    """A ``livenet.Block`` for one frame: ``(D, K)`` and the past ``(D, past, K)``."""

    def __init__(self, block: Block) -> None:
        self.dilation = block.past // 2
        features, bands = block.first.in_channels, block.squeeze.in_features
        weight, shift = fold(block.first.weight, block.first_norm)
        self.first = _Product(weight.reshape(features, -1), shift, bands)
        scale, shift = affine(block.norm)
        self.squeeze = block.squeeze.weight.t().contiguous()
        self.squeeze_bias = block.squeeze.bias
        self.expand = block.expand.weight.t().contiguous()
        self.expand_bias = (scale[:, None] * block.expand.bias + shift[:, None]).contiguous()
        self.scale = scale[:, None].contiguous()
        weight, shift = fold(block.second.weight, block.second_norm)
        self.second = _Product(weight.reshape(features, -1), shift, bands)

    def __call__(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        heard = torch.cat([past, x[:, None]], dim=1)  # (D, past + 1, K)
        taps = functional.pad(heard[:, :: self.dilation], (1, 1))  # (D, 3, K + 2)
        # (D, 3, K, 3) to (D, 3 frames, 3 bands, K)
        columns = taps.unfold(2, 3, 1).permute(0, 1, 3, 2)
        y = functional.silu(self.first(columns), inplace=True)
        hidden = torch.addmm(self.squeeze_bias, y, self.squeeze)
        hidden = functional.silu(hidden, inplace=True).mul_(self.scale)
        y = torch.addmm(self.expand_bias, hidden, self.expand).add_(y)
        columns = functional.pad(y, (1, 1)).unfold(1, 3, 1).permute(0, 2, 1)
        y = functional.silu(self.second(columns), inplace=True)
        return y.add_(x), heard[:, 1:]


class _FastHalve:
    """``(D, K)`` to ``(O, K / 2)``: the strided convolution between scales."""

    def __init__(self, layers: nn.Sequential, bands: int) -> None:
        weight, shift = fold(cast(nn.Conv2d, layers[0]).weight, cast(nn.BatchNorm2d, layers[1]))
        self.weight = weight.reshape(weight.shape[0], -1).contiguous()  # (O, D * 2)
        self.bias = shift[:, None].expand(-1, bands // 2).contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        features, bands = x.shape
        columns = x.reshape(features, bands // 2, 2).transpose(1, 2).reshape(2 * features, -1)
        return functional.silu(torch.addmm(self.bias, self.weight, columns), inplace=True)


class _FastDouble:
    """``(D, K)`` to ``(O, 2 K)``: the transposed convolution between scales."""

    def __init__(self, layers: nn.Sequential, bands: int) -> None:
        convolution, norm = cast(nn.ConvTranspose2d, layers[0]), cast(nn.BatchNorm2d, layers[1])
        # (D, O, 1, 2) to (O, 2, D), so that one product makes both bands.
        weight, shift = fold(convolution.weight[:, :, 0].permute(1, 2, 0), norm)
        self.outputs = weight.shape[0]
        self.weight = weight.reshape(-1, weight.shape[2]).contiguous()
        self.bias = shift[:, None].repeat_interleave(2, dim=0).expand(-1, bands).contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        result = torch.addmm(self.bias, self.weight, x)  # (O * 2, K)
        result = result.reshape(self.outputs, 2, -1).transpose(1, 2).reshape(self.outputs, -1)
        return functional.silu(result, inplace=True)


class LiveStepper:
    """Steps a :class:`~lars_plugin.networks.livenet.network.LiveNet` hop by hop, one stream at a
    time.

    Args:
        network: in eval mode, float32; its weights are read now, later changes are not seen.
    """

    def __init__(self, network: LiveNet) -> None:
        with torch.no_grad():
            self._prepare(network)

    def _prepare(self, network: LiveNet) -> None:
        config = network.config
        self.config = config
        self.stft = network.stft
        self.groups = network.groups
        self.embed = list(network.embed)
        self.position = network.position[0, :, 0].t().contiguous()  # (K, D)
        # One frame is a product with a single row, which wants the outputs side by side.
        self.masks = [weight.transpose(1, 2).contiguous() for weight in network.masks]
        self.mask_bias = [bias.transpose(1, 2).contiguous() for bias in network.mask_bias]
        bands = len(config.band_widths)
        self.encoder = [_FastBlock(cast(Block, block)) for block in network.encoder]
        self.bottom = [_FastBlock(cast(Block, block)) for block in network.bottom]
        # From coarse to fine, the order they run in.
        self.decoder = [_FastBlock(cast(Block, block)) for block in reversed(network.decoder)]
        self.down, self.up = [], []
        for level, layers in enumerate(network.down):
            self.down.append(_FastHalve(cast(nn.Sequential, layers), bands >> level))
        for level, layers in reversed(list(enumerate(network.up))):
            self.up.append(_FastDouble(cast(nn.Sequential, layers), bands >> (level + 1)))
        self.enter, self.leave = network.enter, network.leave
        # Input and state weights, then their biases, as PyTorch orders them.
        self.gates = cast(list[Tensor], network.recurrent.all_weights[0])
        convolution, norm = (
            cast(nn.Conv2d, network.hidden[0]),
            cast(nn.BatchNorm2d, network.hidden[1]),
        )
        weight, shift = fold(convolution.weight, norm)
        self.hidden = weight.reshape(weight.shape[0], -1).contiguous()
        self.hidden_bias = shift[:, None].expand(-1, bands).contiguous()
        self.running_level = network.running_level

    def step(self, block: Tensor, state: State) -> tuple[Tensor, State]:
        """As ``LiveNet.step`` for one hop of one stream.

        Args:
            block: ``(1, C, hop_length)`` float32.
            state: not changed.

        Returns:
            Stems ``(1, S, C, hop_length)`` and the new state.
        """
        wave = torch.cat([state[0], block], dim=2)
        spec = self.stft.frames(wave)  # (1, C, 1, F + 1, 2)
        if self.config.hold == 1:
            x, level, recurrent, kept = self._features(spec, state)
        elif state[-1] > 0:
            x, level, recurrent = state[-2], state[1], state[2]
            kept = [*state[4:-1], state[-1] - 1]
        else:
            x, level, recurrent, kept = self._features(spec, state)
            kept += [x, torch.full((1,), float(self.config.hold - 1))]
        stems = self._apply_masks(x.transpose(1, 2), spec[0, :, 0])
        out, tail = self.stft.overlap_add(stems.flatten(0, 1)[:, None], state[3])
        shaped = out.reshape(1, self.config.stems, self.config.audio_channels, -1)
        return shaped, (wave[..., -self.stft.history :], level, recurrent, tail, *kept)

    def _features(self, spec: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Features ``(K, head, 1)``, level, recurrent, and past of each block."""
        scale, level = self.running_level(spec, state[1])
        x = spec[0, :, 0, :-1].transpose(0, 1) / scale  # (F, C, 2)
        x = self._split(x)  # (D, K)
        entry, skips, kept = x, [], []
        past = iter(state[4:])
        for encode, halve in zip(self.encoder, self.down, strict=True):
            x, heard = encode(x, next(past)[0])
            kept.append(heard[None])
            skips.append(x)
            x = halve(x)
        for bottom in self.bottom:
            x, heard = bottom(x, next(past)[0])
            kept.append(heard[None])
        recurrent = torch.gru_cell(self.enter(x.reshape(1, -1)), state[2][0], *self.gates)
        x = x + self.leave(recurrent).reshape(x.shape)
        for double, decode, skip in zip(self.up, self.decoder, reversed(skips), strict=True):
            x, heard = decode(double(x).add_(skip), next(past)[0])
            kept.append(heard[None])
        x = torch.addmm(self.hidden_bias, self.hidden, torch.cat([x, entry]))
        x = functional.silu(x, inplace=True)
        return x.t().contiguous()[:, :, None], level, recurrent[None], kept

    def _split(self, x: Tensor) -> Tensor:
        """``(F, C, 2)`` to ``(D, K)``."""
        seen = [compressed(x), levels_of(x)] if self.config.levels else [compressed(x)]
        parts, start = [], 0
        for weight, (count, width) in zip(self.embed, self.groups, strict=True):
            bins = [one[start : start + count * width].reshape(count, 1, -1) for one in seen]
            parts.append(torch.bmm(torch.cat(bins, dim=2), weight)[:, 0])
            start += count * width
        return torch.cat(parts).add_(self.position).t().contiguous()

    def _apply_masks(self, features: Tensor, mixture: Tensor) -> Tensor:
        """Features ``(K, 1, H)``, mixture ``(C, F + 1, 2)`` to stems ``(S, C, F + 1, 2)``."""
        stems, channels = self.config.stems, self.config.audio_channels
        parts, start = [], 0
        for weight, bias, (count, width) in zip(
            self.masks, self.mask_bias, self.groups, strict=True
        ):
            out = torch.baddbmm(bias, features[start : start + count], weight)
            # (bands, 2, S, C, width) to (2, S, C, bins)
            out = out.reshape(count, 2, stems, channels, width).permute(1, 2, 3, 0, 4)
            parts.append(out.reshape(2, stems, channels, count * width))
            start += count
        masks = torch.cat([*parts, parts[-1][..., -1:]], dim=-1)  # Nyquist: its neighbour's
        real = torch.softmax(masks[0], dim=0)
        imag = masks[1] - masks[1].mean(dim=0)
        return torch.view_as_real(torch.complex(real, imag) * torch.view_as_complex(mixture))
