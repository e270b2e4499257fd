# SPDX-License-Identifier: GPL-3.0-or-later
"""Models for the benchmarks of the bridge: ``lars serve --models-from bridge_models``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lars_plugin.backends import Model
from lars_plugin.testing import IdentityModel
from lars_plugin.zoo import list_models, load_model
from lars_plugin.zoo.config import Chunking


def _live(size: int) -> Model:
    """One chunk per block of the same size: the least that a live model can do."""
    return IdentityModel(chunking=Chunking(size, overlap=1, convention="live"))


MODELS: dict[str, Callable[[], Model]] = {
    **{f"identity-{size}": partial(_live, size) for size in (128, 256, 512, 1024)},
    "identity": partial(IdentityModel, chunk_size=4096),
    **{config.name: partial(load_model, config.name, device="cpu") for config in list_models()},
}
