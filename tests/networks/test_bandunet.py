# SPDX-License-Identifier: GPL-3.0-or-later
"""BandUNet: what holds by construction, whatever the weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lars_plugin.networks.bandunet.network import BandUNet, BandUNetConfig
from lars_plugin.networks.shared.bands import levels_of
from tests.models import SMALL_BANDUNET

SMALL = BandUNetConfig(**SMALL_BANDUNET)


@pytest.mark.parametrize("length", [129, 1000, 4096, 5001])
def test_stems_sum_to_the_mixture_for_any_length(length: int) -> None:
    torch.manual_seed(length)
    network = BandUNet(SMALL).eval()
    wave = torch.randn(2, 2, length)
    with torch.inference_mode():
        stems = network(wave)
    assert stems.shape == (2, 6, 2, length)
    torch.testing.assert_close(stems.sum(1), wave, atol=1e-5, rtol=0)


def test_silence_gives_silence() -> None:
    with torch.inference_mode():
        stems = BandUNet(SMALL).eval()(torch.zeros(1, 2, 2000))
    assert not stems.any()


def test_level_passes_through() -> None:
    torch.manual_seed(0)
    network = BandUNet(SMALL).eval()
    wave = torch.randn(1, 2, 2000)
    with torch.inference_mode():
        torch.testing.assert_close(network(wave * 0.1), network(wave) * 0.1, atol=1e-4, rtol=1e-2)


def test_examples_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    network = BandUNet(SMALL).eval()
    wave = torch.randn(3, 2, 2000)
    with torch.inference_mode():
        torch.testing.assert_close(network(wave)[1:2], network(wave[1:2]), atol=1e-5, rtol=1e-4)


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="band_widths sum"):
        BandUNetConfig(n_fft=512)
    with pytest.raises(ValueError, match="divisible"):
        BandUNetConfig(n_fft=12, band_widths=(2, 2, 2), features=(4, 4))


def test_levels_are_magnitudes_of_left_right_middle_and_side() -> None:
    left, right = torch.tensor([0.3, 0.4]), torch.tensor([-0.3, 0.4])
    levels = levels_of(torch.stack([left, right]))
    want = torch.tensor([0.5, 0.5, 0.8 / 2**0.5, 0.6 / 2**0.5]) ** 0.3
    torch.testing.assert_close(levels, want - 1e-8**0.15)
    assert not levels_of(torch.zeros(5, 2, 2)).any()
    assert levels_of(torch.ones(5, 1, 2)).shape == (5, 1)


def test_a_network_with_levels_hears_what_stands_at_the_side() -> None:
    torch.manual_seed(0)
    network = BandUNet(replace(SMALL, levels=True)).eval()
    wave = torch.randn(1, 2, 2000)
    with torch.inference_mode():
        stems = network(wave)
        torch.testing.assert_close(stems.sum(1), wave, atol=1e-5, rtol=0)
        assert not network(torch.zeros(1, 2, 2000)).any()
        for weight in network.embed:
            weight[:, : weight.shape[1] // 2] = 0  # what is complex
        # Turned over, the right channel has the same magnitudes, but middle and side change places.
        turned = network(wave * torch.tensor([[1.0], [-1.0]]))
        assert (network(wave) - turned * torch.tensor([[1.0], [-1.0]])).abs().max() > 1e-3
