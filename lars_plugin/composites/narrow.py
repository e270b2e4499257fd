# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of some of their stems, where their networks can leave out the work for the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from lars_plugin.model import AnyModel, Backend, Model

__all__ = ["narrowed"]


@runtime_checkable
class _Divisible(Protocol):
    def only(self, stems: tuple[int, ...]) -> Backend | None:
        """The backend for these stems alone, in this order; None where that spares nothing."""
        ...


def narrowed(model: AnyModel, stems: Sequence[str]) -> AnyModel:
    """The model with these stems alone, or the same if its network computes all of them at once.

    Args:
        model: no composite.
        stems: names of its stems; the result has them in the model's order.
    """
    config = model.config
    kept = tuple(index for index, stem in enumerate(config.stems) if stem in stems)
    if len(kept) == len(config.stems) or not isinstance(model.backend, _Divisible):
        return model
    backend = model.backend.only(kept)
    if backend is None:
        return model
    names = tuple(config.stems[index] for index in kept)
    return Model(dataclasses.replace(config, stems=names), backend)
