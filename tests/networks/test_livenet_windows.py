# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds a LiveNet's core needs no PyTorch, and is PyTorch's to the bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lars_plugin.networks.livenet.config import LiveNetConfig
from lars_plugin.networks.livenet.core import LiveCore
from lars_plugin.networks.livenet.prepost import LivePrePost, live_windows
from lars_plugin.networks.livenet.stft import CausalSTFT
from tests.models import livenet


@pytest.mark.parametrize(
    ("n_fft", "hop", "synthesis"),
    [(2016, 504, 1008), (512, 128, 256), (2048, 256, 1024), (960, 96, 480), (4096, 512, 1024)],
)
def test_windows_are_those_of_the_network(n_fft: int, hop: int, synthesis: int) -> None:
    bands = (n_fft // 2 // 8,) * 8
    config = dataclasses.replace(
        LiveNetConfig(), n_fft=n_fft, hop_length=hop, synthesis=synthesis, band_widths=bands
    )
    stft = CausalSTFT(n_fft, hop, synthesis)
    window, output = live_windows(config)
    np.testing.assert_array_equal(window, stft.window.numpy())
    np.testing.assert_array_equal(output, stft.output_window.numpy())


@pytest.mark.parametrize("hold", [1, 2])
@pytest.mark.parametrize("levels", [False, True])
def test_the_first_state_is_that_of_the_network_which_is_not_loaded_for_it(
    levels: bool, hold: int
) -> None:
    network = livenet(levels=levels, hold=hold)
    state = LivePrePost(network.config, lambda: pytest.fail("loaded")).initial_state()
    theirs = network.initial_state()
    np.testing.assert_array_equal(state[0], theirs[0][0].numpy())
    np.testing.assert_array_equal(state[1], theirs[3].numpy())
    np.testing.assert_array_equal(state[2], LiveCore.pack(theirs, network.holds).numpy())
