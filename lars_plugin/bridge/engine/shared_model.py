# SPDX-License-Identifier: GPL-3.0-or-later
"""A loaded model for other threads than its own: every run waits for the model's thread."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.composites.composite import Composite
from lars_plugin.model import Backend, CausalBackend, Model

__all__ = ["shared_model"]

Wave = NDArray[np.float32]


def shared_model(thread: ModelThread, model: Model, owner: Hashable = None) -> Model:
    """The thread's model, to be used from another thread like any.

    Args:
        thread: whose thread runs the networks: of a composite those of its parts.
        model: the thread's.
        owner: whose turns the runs are.
    """
    if isinstance(model, Composite) and not model.fused:
        return model.with_parts([shared_model(thread, part, owner) for part in model.parts])
    backend = model.backend
    if isinstance(backend, CausalBackend):
        return Model(model.config, _SharedCausalBackend(thread, backend, owner))
    return Model(model.config, _SharedBackend(thread, backend, owner))


class _SharedBackend:
    def __init__(self, thread: ModelThread, backend: Backend, owner: Hashable) -> None:
        self._thread = thread
        self._backend = backend
        self._owner = owner
        self._name = backend.name

    @property
    def name(self) -> str:
        """What runs where, as the model's own backend says."""
        return self._name

    def __call__(self, batch: Wave) -> Wave:
        return self._thread.run_task(
            lambda: self._thread.infer(batch, self._backend), owner=self._owner
        )


class _SharedCausalBackend(_SharedBackend):
    def __init__(self, thread: ModelThread, backend: CausalBackend, owner: Hashable) -> None:
        super().__init__(thread, backend, owner)
        self._causal = backend

    def initial_state(self) -> Any:
        """The state before the first sample."""
        return self._causal.initial_state()

    def step(self, hops: Wave, state: Any) -> tuple[Wave, Any]:
        """The next hops, run by the model's thread."""
        return self._thread.run_task(lambda: self._causal.step(hops, state), owner=self._owner)
