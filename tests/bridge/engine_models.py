# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of test engines that are processes: ``lars serve --models-from engine_models``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends import Model
from lars_plugin.errors import ModelFormatError
from lars_plugin.testing import FailingModel, IdentityModel, NaNModel, SlowModel
from lars_plugin.zoo.config import Chunking

LIVE = Chunking(512, overlap=4, convention="live", lookahead=64, fade=32)
SHARES = [1, 0.5, 0.25, 0.125, 2, 4]


def live() -> Model:
    return IdentityModel(chunking=LIVE, shares=SHARES)


def chunked() -> Model:
    return IdentityModel(chunk_size=1024, shares=SHARES)


def broken() -> Model:
    raise ModelFormatError("this model cannot be loaded; use another one")


class _Picky:
    """Fails on chunks that hold a sample beyond 2, whoever else's chunks are in the batch."""

    name = "picky"

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if np.abs(batch).max() > 2:
            raise MemoryError("out of memory")
        return np.stack([batch] * 6, axis=1)


def picky() -> Model:
    return Model(live().config, _Picky())


FAULTY: dict[str, Callable[[], Model]] = {
    "nan": lambda: NaNModel(3, live()),
    "raises": lambda: FailingModel(3, live()),
    "out-of-memory": lambda: FailingModel(3, live(), error=MemoryError("out of memory")),
}

MODELS: dict[str, Callable[[], Model]] = {
    # Their fault comes once in a model's life, and an engine has one of each name.
    **{
        f"{name}-{fallback}": make
        for name, make in FAULTY.items()
        for fallback in ("dry", "silence")
    },
    "live": live,
    "chunked": chunked,
    "broken": broken,
    "picky": picky,
    "slow": lambda: SlowModel(0.05, live()),
    "slow-chunked": lambda: SlowModel(0.02, chunked()),
    "nan-chunked": lambda: NaNModel(3, chunked()),
    "raises-chunked": lambda: FailingModel(3, chunked()),
}
