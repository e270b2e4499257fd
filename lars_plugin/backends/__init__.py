# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a network on chunks, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends.recipes import made_again, recipe_of

if TYPE_CHECKING:
    # The zoo loads models and so imports this package.
    from lars_plugin.zoo.config import ModelConfig

__all__ = ["Backend", "CausalBackend", "Model"]


class Backend(Protocol):
    """A network ready to run.

    ``backend(batch)`` takes ``(batch, channels, samples)`` float32, which it must not change,
    and returns new memory ``(batch, stems, channels, samples)`` float32. It raises
    :class:`~lars_plugin.errors.EngineError` when the machine fails it. NaN and Inf in its result
    are the caller's to find.

    A backend may have an attribute ``instant = True``, a promise that it is arithmetic which never
    waits and takes microseconds; the engine of the bridge then runs it in its network thread. No
    network does.
    """

    @property
    def name(self) -> str:
        """What runs where, for people: "torch cpu float32"."""
        ...

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]: ...


@runtime_checkable
class CausalBackend(Backend, Protocol):
    """A network that goes on where it stopped, hop by hop.

    Called like any backend it sees a whole recording, its delay removed. The state is explicit:
    what comes out of one step goes into the next, and nothing else is remembered.
    """

    def initial_state(self) -> Any:
        """The state before the first sample."""
        ...

    def step(self, hops: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Stems of the next hops.

        Args:
            hops: ``(channels, n * hop_length)`` float32, n >= 1; not changed.
            state: of the step before; not changed.

        Returns:
            New memory ``(stems, channels, n * hop_length)``, later by the network's delay, and
            the state for the next step.

        Raises:
            EngineError: the machine fails.
        """
        ...


@dataclass(frozen=True)
class Model:
    """A configuration with a backend that runs its network: all that separation needs.

    Pickling one stores how it was loaded, and unpickling loads it again; see
    :mod:`lars_plugin.backends.recipes`. Copies share the network, which never changes.
    """

    config: ModelConfig
    backend: Backend

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        recipe = recipe_of(self)
        return super().__reduce_ex__(protocol) if recipe is None else (made_again, (recipe,))

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: object) -> Model:
        return self
