# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a network on chunks, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    # The zoo loads models and so imports this package.
    from lars_plugin.zoo.config import ModelConfig

__all__ = ["Backend", "Model"]


class Backend(Protocol):
    """A network ready to run.

    ``backend(batch)`` takes ``(batch, channels, samples)`` float32, which it must not change,
    and returns new memory ``(batch, stems, channels, samples)`` float32. It raises
    :class:`~lars_plugin.errors.EngineError` when the machine fails it. NaN and Inf in its result
    are the caller's to find.
    """

    @property
    def name(self) -> str:
        """What runs where, for people: "torch cpu float32"."""
        ...

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Model:
    """A configuration with a backend that runs its network: all that separation needs."""

    config: ModelConfig
    backend: Backend
