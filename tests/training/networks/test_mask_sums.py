# SPDX-License-Identifier: GPL-3.0-or-later
"""The sums over masks that losses are made of."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from lars_plugin.networks.bandunet.network import BandUNet, BandUNetConfig
from lars_plugin.networks.livenet.network import LiveNet, LiveNetConfig
from lars_plugin.networks.shared.bands import masks_from
from lars_plugin.training.networks import mask_sums
from lars_plugin.training.networks.losses import band_loss
from lars_plugin.training.networks.mask_sums import (
    Kernels,
    MaskSums,
    Plan,
    band_gradient,
    band_sums,
    frames_last,
)
from lars_plugin.training.networks.pointwise import use_matrix_products
from tests.models import QUICK_BANDUNET


@pytest.mark.parametrize("levels", [False, True])
def test_the_gradient_is_that_of_the_sums(levels: bool) -> None:
    torch.manual_seed(0)
    shape = 2, 6, 2, 3, 2, 10
    out = torch.randn(shape, requires_grad=True)
    bias = torch.randn(*shape[:4], 1, 1)
    mix, wanted = torch.randn(2, *shape[2:]), torch.randn(shape) / 3
    weights = torch.rand(3, 6, 2)
    error, magnitude, _, _, level = band_sums(out, bias, mix, wanted, levels)
    total = (weights[0] * error + weights[1] * magnitude + weights[2] * level).sum()
    (expected,) = torch.autograd.grad(total, out)
    by = weights[0], weights[1], weights[2] if levels else None
    result = band_gradient(out.detach(), bias, mix, wanted, *by)
    torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)


def test_chunks_of_any_size_give_the_same_loss_and_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    network = BandUNet(BandUNetConfig(**QUICK_BANDUNET))
    stems = torch.randn(4, 6, 2, 5000) * (torch.rand(4, 6, 1, 1) + 0.1)
    results = []
    for size in (1, 1 << 13, 1 << 24):
        monkeypatch.setattr(mask_sums, "_CHUNK", size)
        network.zero_grad()
        loss, _ = band_loss(network, stems, 0.3, 1.0, level_weight=0.2)
        loss.backward()  # type: ignore[no-untyped-call]
        grads = [one.grad for one in network.parameters() if one.grad is not None]
        results.append([loss.detach(), *grads])
    assert len(results[0]) == 1 + len(list(network.parameters()))
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def plain_sums(
    plan: Plan, features: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]
) -> Tensor:
    """What :class:`MaskSums` computes, for autograd, with all masks in memory."""
    batch, stems, channels, _, frames = plan.target.shape
    cells = frames // 4
    total = torch.zeros(5, stems, batch)
    band = start = 0

    def pooled(energy: Tensor) -> Tensor:
        return energy[..., : 4 * cells].reshape(*energy.shape[:-1], cells, 4).sum(-1)

    for (count, width), weight, bias in zip(plan.groups, weights, biases, strict=True):
        out = weight @ features[band : band + count].flatten(2) + bias
        real, imag = masks_from(out.reshape(count, 2, stems, channels, width, batch, frames))
        bins = slice(2 * start, 2 * (start + count * width))
        mix = plan.mix[:, :, bins].reshape(batch, channels, count, width, 2, frames)
        a, b = mix.permute(4, 2, 1, 3, 0, 5)[:, :, None]
        wanted = plan.target[:, :, :, bins]
        wanted = wanted.reshape(batch, stems, channels, count, width, 2, frames)
        x, y = wanted.permute(5, 3, 1, 2, 4, 0, 6)
        p, q = real * a - imag * b, real * b + imag * a
        off, power = (p - x).square() + (q - y).square(), x.square() + y.square()
        parts = off, (off + 1e-7).sqrt(), power, power.sqrt()
        sums = [one.sum((0, 2, 3, 5)) for one in parts]
        whole = pooled((a.square() + b.square())[:, 0].sum((1, 2)))
        floor = 1e-3 * (whole + whole.mean(2, keepdim=True)) + 1e-6 if cells else whole
        ours, theirs = (pooled(one.sum((2, 3))) for one in (p.square() + q.square(), power))
        levels = torch.log10((ours + floor[:, None]) / (theirs + floor[:, None])).abs()
        total = total + torch.stack([*sums, levels.sum((0, 3)) * plan.levels])
        band, start = band + count, start + count * width
    return total


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize(
    ("batch", "stems", "channels", "frames", "groups", "levels"),
    [
        (1, 6, 2, 10, [(3, 2), (2, 3), (1, 7)], True),
        (3, 7, 1, 3, [(1, 1), (4, 2)], True),
        (5, 6, 2, 17, [(2, 1)], True),
        (2, 1, 2, 4, [(2, 5)], False),
        (1, 6, 2, 1, [(2, 5)], True),
    ],
)
def test_sums_over_all_masks_and_their_gradients_are_those_of_the_plain_formula(
    batch: int,
    stems: int,
    channels: int,
    frames: int,
    groups: list[tuple[int, int]],
    levels: bool,
    silent: bool,
) -> None:
    torch.manual_seed(0)
    bins = sum(count * width for count, width in groups)
    target = torch.randn(batch, stems, channels, 2 * bins, frames)
    target[:, 1:2] = 0
    if silent:
        target *= 0
    features = torch.randn(sum(count for count, _ in groups), 5, batch, frames)
    rows = [(count, 2 * stems * channels * width) for count, width in groups]
    weights = [torch.randn(*row, 5) for row in rows]
    biases = [torch.randn(*row, 1) for row in rows]
    given = [one.requires_grad_() for one in (features, *weights, *biases)]
    plan = Plan(target.sum(1), target, groups, Kernels(), levels)
    sums: Tensor = MaskSums.apply(plan, *given)  # type: ignore[no-untyped-call]
    expected = plain_sums(plan, features, weights, biases)
    torch.testing.assert_close(sums, expected, rtol=1e-4, atol=1e-5)
    # The energies of references have no gradient.
    by = torch.rand(5, stems, batch)
    results = (torch.autograd.grad((by * one).sum(), given) for one in (sums, expected))
    for mine, plain in zip(*results, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))
        assert silent or mine.abs().max() > 0 or stems == 1


@pytest.mark.parametrize("name", ["recompile_limit", "cache_size_limit"])
def test_enough_programs_are_allowed_under_the_name_that_pytorch_has(name: str) -> None:
    for before, after in ((8, 32), (64, 64)):
        settings = SimpleNamespace(**{name: before})
        mask_sums._allow_programs(settings)
        assert vars(settings) == {name: after}


def test_spectra_with_frames_last_are_those_of_the_network() -> None:
    stft = BandUNet(BandUNetConfig(**QUICK_BANDUNET)).stft
    waves = torch.randn(3, 5000)
    spec = stft(waves[None])[0, :, :, :-1]  # (3, T, F, 2)
    expected = spec.permute(0, 2, 3, 1).flatten(1, 2)
    torch.testing.assert_close(frames_last(stft, waves), expected)


def test_the_error_of_levels_is_least_at_the_right_level() -> None:
    torch.manual_seed(0)
    out = torch.zeros(2, 6, 2, 3, 1, 40)
    mix = torch.randn(2, 2, 3, 1, 40)
    none = torch.zeros(2, 6, 2, 3, 1, 1)
    # Equal masks of 1/6 each: the first stem is as loud as that, or 10 dB louder or softer.
    wanted = (mix / 6)[:, None].repeat(1, 6, 1, 1, 1, 1)
    right = band_sums(out, none, mix, wanted, True)[4][0].item()
    louder = band_sums(out, none, mix, wanted * 10**0.5, True)[4][0].item()
    softer = band_sums(out, none, mix, wanted * 10**-0.5, True)[4][0].item()
    assert right < 1e-3 * min(louder, softer)
    # The floor, 30 dB below the mixture, counts a little: 10 cells of 10 dB each.
    assert louder == pytest.approx(10, rel=0.1)
    assert softer == pytest.approx(10, rel=0.25)


def test_live_networks_have_the_same_loss() -> None:
    torch.manual_seed(0)
    network = LiveNet(LiveNetConfig())
    loss, score = band_loss(network, torch.randn(1, 6, 2, 8192), 0.3, 1.0, level_weight=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert score.shape == (6,)


def test_matrix_products_are_the_same_as_convolutions() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 6, 1), nn.Conv2d(6, 4, 3))
    x = torch.randn(2, 8, 9, 7).to(memory_format=torch.channels_last)
    expected = network(x)
    use_matrix_products(network)
    torch.testing.assert_close(network(x), expected)
