# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of test engines that are processes: ``lars serve --models-from engine_models``."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import ModelFormatError
from lars_plugin.model import Chunking, Model, Refinement
from lars_plugin.testing import FailingModel, IdentityModel, NaNModel, SlowModel
from tests.models import SHARES, chunked, live

HOPS = Chunking(16, 1, "causal")


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


class _Hops:
    """A causal network that has nothing to remember."""

    name = "hops"

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([batch] * 6, axis=1)

    def initial_state(self) -> object:
        return ()

    def step(self, hops: NDArray[np.float32], state: object) -> tuple[NDArray[np.float32], object]:
        return np.stack([hops] * 6), state


class _Quits:
    """Raises what is no Exception, once."""

    name = "quits"

    def __init__(self) -> None:
        self._runs = 0

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self._runs += 1
        if self._runs == 3:
            raise SystemExit("a library wants to leave")
        return np.stack([batch] * 6, axis=1)


def fitted() -> Model:
    """Refined for minutes in a hundred thousand small steps."""
    model = chunked()
    fit = Refinement(window=8192, n_fft=1026, components=2, iterations=100_000)
    return Model(dataclasses.replace(model.config, refinement=fit), model.backend)


def slow_to_load() -> Model:
    time.sleep(8)
    return chunked()


def windowed() -> Model:
    """Its windows are as long as those of real models, their fit is next to nothing."""
    model = IdentityModel(chunk_size=8192, shares=SHARES)
    fit = Refinement(window=800_000, n_fft=2046, components=1, iterations=1)
    return Model(dataclasses.replace(model.config, refinement=fit), model.backend)


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
    "hops": lambda: Model(dataclasses.replace(live().config, chunking=HOPS), _Hops()),
    "long": lambda: IdentityModel(chunk_size=1 << 21),
    "windowed": windowed,
    "quits": lambda: Model(live().config, _Quits()),
    "fitted": fitted,
    "slow-to-load": slow_to_load,
    "one-long-run": lambda: SlowModel(8, chunked()),
    "heavy": lambda: SlowModel(0.02, live()),
    "slow": lambda: SlowModel(0.05, live()),
    "slow-chunked": lambda: SlowModel(0.02, chunked()),
    "nan-chunked": lambda: NaNModel(3, chunked()),
    "raises-chunked": lambda: FailingModel(3, chunked()),
}
