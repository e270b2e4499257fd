# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of the hosts' engine: ``lars serve --models-from host_models``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.model import Chunking, Model, ModelConfig
from lars_plugin.testing import STEMS, IdentityModel, SlowModel
from lars_plugin.zoo.checkpoints import build_network

LIVE = Chunking(512, overlap=4, convention="live", lookahead=64, fade=32)
SHARES = [1, 0.5, 0.25, 0.125, 2, 4]


def live() -> Model:
    return IdentityModel(chunking=LIVE, shares=SHARES)


def tiny() -> Model:
    """A real network, small and with random weights that are the same everywhere."""
    config = ModelConfig(
        name="tiny",
        stems=STEMS,
        chunking=Chunking(1024, 2, "msst"),
        architecture="bandunet",
        network={
            "n_fft": 256,
            "hop_length": 64,
            "head": 8,
            "dilations": (1, 2),
            "band_widths": (*(2,) * 16, *(4,) * 8, *(8,) * 8),
            "features": (8, 12, 16),
        },
    )
    network = build_network(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(5)
    for key, value in network.state_dict().items():
        if value.is_floating_point() and not key.endswith("running_var"):
            value.copy_(0.2 * torch.randn(value.shape, generator=generator))
    return Model(config, TorchBackend(network))


MODELS: dict[str, Callable[[], Model]] = {
    "live": live,
    "tiny": tiny,
    "slow": lambda: SlowModel(0.05, live()),
}
