# SPDX-License-Identifier: GPL-3.0-or-later
"""The sums over masks that losses are made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lars_plugin.networks.bandunet.network import BandUNet, BandUNetConfig
from lars_plugin.networks.livenet.network import LiveNet, LiveNetConfig
from lars_plugin.training.networks import mask_sums
from lars_plugin.training.networks.losses import band_loss
from lars_plugin.training.networks.mask_sums import band_gradient, band_sums, frames_last
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
