# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of the hosts' engine: ``lars serve --models-from host_models``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.errors import CancelledError, ModelNotFoundError
from lars_plugin.model import Chunking, Model
from lars_plugin.testing import STEMS, SlowModel
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


_fetched = False


def absent() -> Model:
    """A model whose weights have to be downloaded first."""
    if not _fetched:
        raise ModelNotFoundError("the weights of absent are not here; run: lars models download")
    return live()


MODELS: dict[str, Callable[[], Model]] = {
    "live": live,
    "tiny": tiny,
    "slow": lambda: SlowModel(0.05, live()),
    "absent": absent,
}


# For ``lars serve --models-from``: as the zoo tells of its models, and downloads them.
OFFERS: dict[str, dict[str, object]] = {
    "live": {"purpose": "Each stem a share of the input", "stems": list(STEMS), "made_for": "live",
             "live_ms": 14.0},
    "tiny": {"purpose": "A small network", "stems": list(STEMS), "made_for": "files"},
    "slow": {"purpose": "Takes its time", "stems": list(STEMS), "made_for": "files"},
    "absent": {"purpose": "Has to be downloaded", "stems": list(STEMS), "made_for": "files",
               "bytes": 5_000_000},
}  # fmt: skip


def installed(name: str) -> bool:
    """Whether the weights are here."""
    return name != "absent" or _fetched


def fetch(name: str, progress: Callable[[int, int], bool | None]) -> Path:
    """Takes two seconds."""
    global _fetched
    for part in range(1, 41):
        if progress(part * 125_000, 5_000_000) is False:
            raise CancelledError(f"the download of {name} was cancelled")
        time.sleep(0.05)
    _fetched = True
    return Path("/nowhere/absent")
