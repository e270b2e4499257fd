# SPDX-License-Identifier: GPL-3.0-or-later
"""Sums over all masks, without ever holding all masks.

The masks of a batch are 200 MB, and so are the references. Written out, read, copied into another
order and kept for the gradient they cost a step more than half of what the network costs. So
:class:`MaskSums` makes them one band and a few examples at a time, in the processor's cache, sums
up what the loss needs, and forgets them. For the gradient it makes them again, which is one small
matrix product.

Axes: B batch, S stems, C audio channels, T frames, F bins (Nyquist dropped), W bins of a band, K
bands, H features. Frames come last: in this order nothing has to be transposed, and every inner
loop is long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Kernels", "MaskSums", "Plan", "frames_last"]

# Numbers of a chunk of masks; with its gradient it fits a core's cache. Graphics cards want more.
_CHUNK = 1 << 18
_CHUNK_ELSEWHERE = 1 << 24

# Programs that torch.compile may make of one function, at the least.
_PROGRAMS = 32

# Frames whose energies are compared together, 46 ms.
_CELL = 4
# An energy of a cell counts where it is less than this below the mixture's, there and on average.
_LEVEL_FLOOR = 1e-3

Sums = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def band_sums(out: Tensor, bias: Tensor, mix: Tensor, wanted: Tensor, levels: bool) -> Sums:
    """Sums over one band, ``(S, B)`` each: |D|^2, |D|, |S|^2, |S|, and the error of levels.

    D is the error. The error of levels is the sum over cells of :data:`_CELL` frames of
    ``|log10((e + f) / (r + f))|``: e and r are the energies of estimate and reference, f is 30 dB
    below the mixture's energy. Unlike D it does not reward an estimate that is too quiet because
    it is unsure.

    Args:
        out: logits of the real parts, then imaginary parts ``(2, S, C, W, B, T)``.
        bias: is added to them ``(2, S, C, W, 1, 1)``.
        mix: mixture ``(2, C, W, B, T)``; the first axis is (re, im).
        wanted: references ``(2, S, C, W, B, T)``.
        levels: whether the last sum is wanted; it is 0 otherwise.
    """
    real, imag = _masks(out, bias)
    a, b = mix[0], mix[1]
    axes = (0, 1, 3)
    error, magnitude, energy, size = [], [], [], []
    for index, (p, q) in enumerate(zip(real, imag, strict=True)):
        x, y = wanted[0, index], wanted[1, index]
        off = (p * a - q * b - x).square() + (p * b + q * a - y).square()
        power = x.square() + y.square()
        error.append(off.sum(axes))
        magnitude.append((off + 1e-7).sqrt().sum(axes))
        energy.append(power.sum(axes))
        size.append(power.sqrt().sum(axes))
    sums = [torch.stack(parts) for parts in (error, magnitude, energy, size)]
    if levels:
        ours, theirs, floor = _cells(real, imag, a, b, wanted)
        level = torch.log10((ours + floor) / (theirs + floor)).abs().sum(2)
    else:
        level = torch.zeros_like(sums[0])
    return sums[0], sums[1], sums[2], sums[3], level


def band_gradient(
    out: Tensor,
    bias: Tensor,
    mix: Tensor,
    wanted: Tensor,
    by_error: Tensor,
    by_magnitude: Tensor,
    by_level: Tensor | None,
) -> Tensor:
    """Gradient with respect to ``out``, of the same shape, of a weighted :func:`band_sums`.

    Args:
        out: as there.
        bias: as there.
        mix: as there.
        wanted: as there.
        by_error: weights ``(S, B)`` of |D|^2.
        by_magnitude: of |D|.
        by_level: of the error of levels, or None.
    """
    real, imag = _masks(out, bias)
    a, b = mix[0], mix[1]
    slopes = None
    if by_level is not None:
        ours, theirs, floor = _cells(real, imag, a, b, wanted)
        sign = torch.sign(ours - theirs) / (ours + floor)
        slopes = (0.8685889638 * by_level[:, :, None] * sign)[..., None]  # 2 / ln 10
        slopes = slopes.expand(-1, -1, -1, _CELL).flatten(2)
        slopes = torch.nn.functional.pad(slopes, (0, a.shape[3] - slopes.shape[2]))
        loudness = a.square() + b.square()
    to_real, to_imag = [], []
    for index, (p, q) in enumerate(zip(real, imag, strict=True)):
        dx = p * a - q * b - wanted[0, index]
        dy = p * b + q * a - wanted[1, index]
        size = (dx.square() + dy.square() + 1e-7).rsqrt()
        weight = 2 * by_error[index][:, None] + by_magnitude[index][:, None] * size
        dx, dy = dx * weight, dy * weight
        dp, dq = dx * a + dy * b, dy * a - dx * b
        if slopes is not None:
            slope = slopes[index] * loudness
            dp, dq = dp + slope * p, dq + slope * q
        to_real.append(dp)
        to_imag.append(dq)
    inner = sum(d * p for d, p in zip(to_real, real, strict=True))
    mean = sum(to_imag) / len(to_imag)
    return torch.stack(
        [
            torch.stack([p * (d - inner) for d, p in zip(to_real, real, strict=True)]),
            torch.stack([d - mean for d in to_imag]),
        ]
    )


def _masks(out: Tensor, bias: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """``networks.shared.bands.masks_from``, stem by stem: so one loop computes all of it."""
    logits = [one.float() + more for one, more in zip(out[0], bias[0], strict=True)]
    top = logits[0]
    for one in logits[1:]:
        top = torch.maximum(top, one)
    powers = [(one - top).exp() for one in logits]
    scale = 1 / sum(powers)
    parts = [one.float() + more for one, more in zip(out[1], bias[1], strict=True)]
    mean = sum(parts) / len(parts)
    return [one * scale for one in powers], [one - mean for one in parts]


def _cells(
    real: list[Tensor], imag: list[Tensor], a: Tensor, b: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Energies of cells ``(S, B, cells)``, estimated and wanted, and their floor ``(B, cells)``."""
    loudness = a.square() + b.square()
    whole = _pooled(loudness.sum((0, 1)))
    floor = _LEVEL_FLOOR * (whole + whole.mean(1, keepdim=True)) + 1e-6
    ours = torch.stack(
        [((p * p + q * q) * loudness).sum((0, 1)) for p, q in zip(real, imag, strict=True)]
    )
    theirs = wanted.square().sum((0, 2, 3))
    return _pooled(ours), _pooled(theirs), floor


def _pooled(energy: Tensor) -> Tensor:
    """Energies of frames ``(..., T)`` summed over cells; frames that fill no cell are left out."""
    cells = energy.shape[-1] // _CELL
    whole = energy[..., : cells * _CELL]
    return whole.reshape(*energy.shape[:-1], cells, _CELL).sum(-1)


def _allow_programs(settings: Any) -> None:
    """Beyond a number of widths and batches torch.compile would fuse nothing: raise it."""
    # Until 2.5 PyTorch knew the older name only.
    name = "recompile_limit" if hasattr(settings, "recompile_limit") else "cache_size_limit"
    setattr(settings, name, max(getattr(settings, name), _PROGRAMS))


@dataclass(frozen=True)
class Kernels:
    """:func:`band_sums` and :func:`band_gradient`, as they are or compiled."""

    sums: Callable[..., Sums] = band_sums
    gradient: Callable[..., Tensor] = band_gradient

    @classmethod
    def compiled(cls) -> Kernels:
        """Fused by torch.compile: a program for each width of bands, minutes the first time."""
        _allow_programs(torch._dynamo.config)
        return cls(
            torch.compile(band_sums, dynamic=False), torch.compile(band_gradient, dynamic=False)
        )


@dataclass(frozen=True)
class Plan:
    """What :class:`MaskSums` goes through.

    Attributes:
        mix: mixtures ``(B, C, 2 F, T)``: real and imaginary part of each bin in turn.
        target: references ``(B, S, C, 2 F, T)``.
        groups: (bands, bins of each) of each run of equal bands, low to high.
        kernels: what to compute with.
        levels: whether the error of levels is wanted.
        dtype: of matrix products.
    """

    mix: Tensor
    target: Tensor
    groups: Sequence[tuple[int, int]]
    kernels: Kernels
    levels: bool = False
    dtype: torch.dtype = torch.float32

    @property
    def cells(self) -> int:
        """How many cells the error of levels is summed over, at least 1."""
        return max(1, sum(n for n, _ in self.groups) * (self.target.shape[4] // _CELL))

    def chunks(self) -> Iterator[tuple[int, int, int, slice, Tensor, Tensor]]:
        """Run, band of it, band of all, examples, and their part of mixture and references."""
        batch, stems, channels, _, frames = self.target.shape
        limit = _CHUNK if self.target.device.type == "cpu" else _CHUNK_ELSEWHERE
        band = start = 0
        for run, (count, width) in enumerate(self.groups):
            most = max(1, limit // (2 * stems * channels * width * frames))
            each = next(n for n in range(min(most, batch), 0, -1) if batch % n == 0)
            for index in range(count):
                bins = slice(2 * start, 2 * (start + width))
                for first in range(0, batch, each):
                    part = slice(first, first + each)
                    mix = self.mix[part, :, bins].view(each, channels, width, 2, frames)
                    wanted = self.target[part, :, :, bins]
                    wanted = wanted.view(each, stems, channels, width, 2, frames)
                    yield (
                        run,
                        index,
                        band,
                        part,
                        mix.permute(3, 1, 2, 0, 4),
                        wanted.permute(4, 1, 2, 3, 0, 5),
                    )
                start += width
                band += 1


class MaskSums(torch.autograd.Function):
    """:func:`band_sums` over all bands: ``(5, S, B)``.

    ``MaskSums.apply(plan, features, *weights, *biases)``: features ``(K, H, B, T)``, and for each
    run of bands the weights ``(bands, 2 S C W, H)`` and the biases ``(bands, 2 S C W, 1)`` that
    make masks of them (:meth:`~lars_plugin.networks.shared.bands.BandNetwork.mask_outputs`).
    """

    @staticmethod
    def forward(ctx: Any, plan: Plan, features: Tensor, *parameters: Tensor) -> Tensor:
        ctx.plan = plan
        ctx.save_for_backward(features, *parameters)
        stems, batch = plan.target.shape[1], plan.target.shape[0]
        result = plan.target.new_zeros(5, stems, batch)
        with torch.autocast(features.device.type, enabled=False):
            for _, _, _, part, out, bias, mix, wanted, _ in _outputs(plan, features, parameters):
                sums = plan.kernels.sums(out, bias, mix, wanted, plan.levels)
                for kept, one in zip(result, sums, strict=True):
                    kept[:, part] += one
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        features, *parameters = ctx.saved_tensors
        error, magnitude, _, _, level = grads[0]
        to_features = torch.zeros_like(features, dtype=plan.dtype)
        to_parameters = [torch.zeros_like(one, dtype=torch.float32) for one in parameters]
        runs = len(plan.groups)
        with torch.autocast(features.device.type, enabled=False):
            for run, index, band, part, out, bias, mix, wanted, heard in _outputs(
                plan, features, parameters
            ):
                by = error[:, part], magnitude[:, part], level[:, part] if plan.levels else None
                grad = plan.kernels.gradient(out, bias, mix, wanted, *by)
                rows = grad.reshape(parameters[run].shape[1], -1)
                to_parameters[runs + run][index, :, 0] += rows.sum(1)
                rows = rows.to(plan.dtype)
                to_parameters[run][index] += rows @ heard.T
                back = parameters[run][index].to(plan.dtype).T @ rows
                to_features[band, :, part] = back.view(len(back), -1, features.shape[3])
        return None, to_features.to(features.dtype), *to_parameters


def _outputs(
    plan: Plan, features: Tensor, parameters: Sequence[Tensor]
) -> Iterator[tuple[int, int, int, slice, Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """The chunks with what masks are made of ``(2, S, C, W, B, T)``, its bias and features."""
    runs = len(plan.groups)
    stems, channels, frames = plan.target.shape[1], plan.target.shape[2], plan.target.shape[4]
    features = features.to(plan.dtype)
    weights = [one.to(plan.dtype) for one in parameters[:runs]]
    biases = parameters[runs:]
    for run, index, band, part, mix, wanted in plan.chunks():
        heard = features[band, :, part].flatten(1)
        shape = 2, stems, channels, plan.groups[run][1]
        out = (weights[run][index] @ heard).view(*shape, -1, frames)
        yield run, index, band, part, out, biases[run][index].view(*shape, 1, 1), mix, wanted, heard


def frames_last(stft: Callable[[Tensor], Tensor], waves: Tensor) -> Tensor:
    """Spectra ``(N, 2 F, T)`` of waves ``(N, L)``: parts of each bin in turn, without Nyquist.

    One wave at a time: its frames, six times its size, then stay in the cache.

    Args:
        stft: waves ``(B, C, L)`` to spectrograms ``(B, C, T, F + 1, 2)``.
        waves: N of them.
    """
    result = None
    for index, wave in enumerate(waves):
        spec = stft(wave[None, None])[0, 0].flatten(1)[:, :-2]
        if result is None:
            result = spec.new_empty(len(waves), spec.shape[1], spec.shape[0])
        result[index].copy_(spec.T)
    assert result is not None
    return result
