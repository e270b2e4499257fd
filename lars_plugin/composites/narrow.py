# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of some of their stems, where their networks can leave out the work for the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from lars_plugin.model import AnyModel, Backend, Model, Wave

__all__ = ["narrowed"]


@runtime_checkable
class _Divisible(Protocol):
    def only(self, stems: tuple[int, ...]) -> Backend | None:
        """The backend for these stems alone, in this order; None where that spares nothing."""
        ...


class _Among:
    """A backend for some stems as one for all: the others are silent."""

    def __init__(self, backend: Backend, kept: tuple[int, ...], count: int) -> None:
        self._backend, self._kept, self._count = backend, list(kept), count

    @property
    def name(self) -> str:
        return self._backend.name

    def __call__(self, batch: Wave) -> Wave:
        result = np.zeros((len(batch), self._count, *batch.shape[1:]), np.float32)
        result[:, self._kept] = self._backend(batch)
        return result


def narrowed(model: AnyModel, stems: Sequence[str]) -> AnyModel:
    """The model without the work for other stems, or the same if that spares nothing.

    The configuration is the same, because what a network is not shown goes to all stems alike: so
    each sample of these stems is that of all, but for rounding in OpenVINO. The others are silent.

    Args:
        model: no composite.
        stems: names of its stems, one or more.
    """
    names = model.config.stems
    kept = tuple(index for index, stem in enumerate(names) if stem in stems)
    if len(kept) == len(names) or not isinstance(model.backend, _Divisible):
        return model
    backend = model.backend.only(kept)
    return model if backend is None else Model(model.config, _Among(backend, kept, len(names)))
