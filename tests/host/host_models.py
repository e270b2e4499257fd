# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of the hosts' engine: ``lars serve --models-from host_models``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.model import Chunking, Model
from lars_plugin.testing import SlowModel
from lars_plugin.zoo.checkpoints import build_network
from tests.models import SHARES, SMALL_BANDUNET, config, live

__all__ = ["MODELS", "SHARES", "live", "tiny"]


def tiny() -> Model:
    """A real network, small and with random weights that are the same everywhere."""
    described = config(chunking=Chunking(1024, 2, "msst"), network=SMALL_BANDUNET, weights=None)
    network = build_network(described).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(5)
    for key, value in network.state_dict().items():
        if value.is_floating_point() and not key.endswith("running_var"):
            value.copy_(0.2 * torch.randn(value.shape, generator=generator))
    return Model(described, TorchBackend(network))


MODELS: dict[str, Callable[[], Model]] = {
    "live": live,
    "tiny": tiny,
    "slow": lambda: SlowModel(0.05, live()),
}
