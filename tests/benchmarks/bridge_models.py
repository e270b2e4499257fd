# SPDX-License-Identifier: GPL-3.0-or-later
"""Models for the benchmarks of the bridge: ``lars serve --models-from bridge_models``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.model import Chunking, Model, ModelConfig
from lars_plugin.testing import STEMS, IdentityModel
from lars_plugin.zoo import list_models, load_model

Wave = NDArray[np.float32]


class Shares:
    """The least that a causal network can do: an equal share of each hop for each stem."""

    name = "shares"

    def __call__(self, batch: Wave) -> Wave:
        return np.repeat(batch[:, None] * np.float32(1 / len(STEMS)), len(STEMS), axis=1)

    def initial_state(self) -> Any:
        return ()

    def step(self, hops: Wave, state: Any) -> tuple[Wave, Any]:
        return self(hops[None])[0], state


def causal(hop: int) -> Model:
    """One step per hop, as ``lars-live`` goes."""
    return Model(ModelConfig("identity", STEMS, Chunking(hop, 1, "causal")), Shares())


def chunked(size: int) -> Model:
    """One chunk per block of the same size, through the overlap-add of the chunked models."""
    return IdentityModel(chunking=Chunking(size, overlap=1, convention="live"))


SIZES = (128, 256, 512, 1024)
MODELS: dict[str, Callable[[], Model]] = {
    **{f"identity-{size}": partial(causal, size) for size in SIZES},
    **{f"identity-chunked-{size}": partial(chunked, size) for size in SIZES},
    "identity": partial(IdentityModel, chunk_size=4096),
    **{
        config.name: partial(load_model, config.name, device="cpu", backend=None)
        for config in list_models()
    },
}
