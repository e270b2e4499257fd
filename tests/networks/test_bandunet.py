# SPDX-License-Identifier: GPL-3.0-or-later
"""BandUNet: what holds by construction, whatever the weights."""

from __future__ import annotations

import pytest
import torch

from lars_plugin.networks.bandunet import BandUNet, BandUNetConfig

SMALL = BandUNetConfig(
    n_fft=256,
    hop_length=64,
    band_widths=(*(4,) * 8, *(12,) * 8),
    features=(8, 12),
    dilations=(1, 2),
    head=8,
)


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
