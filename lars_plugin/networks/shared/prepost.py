# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks in two parts: a core full of convolutions, and spectrograms and masks around it.

The core is what a compiler of networks is good at; FFTs, complex numbers and transpositions are
what it is bad at. A :class:`PrePost` does those in numpy around any callable that computes the
core: the network's own PyTorch modules, or a compiled copy of them. Where the copy is there
already, PyTorch is not even imported, which is most of what a short run would have to wait for.

Networks map digital silence to digital silence, whatever their (finite) weights: masks multiply a
spectrum that is zero, and no layer after an MDX23C's product with its first layer has a bias or an
activation that moves zero. So silence is not computed.

A network with a state has a :class:`CausalPrePost`, which goes on hop by hop.

Axes: S stems, C audio channels, L samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from lars_plugin.model import Wave

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CausalPrePost", "Core", "CoreInto", "PrePost", "Shapes"]

Shapes = tuple[tuple[int, ...], ...]

# Arrays in, arrays out, float32; it changes nothing and returns memory that stays as it is.
Core = Callable[[list[Wave]], list[Wave]]

# Arrays in, and arrays that get what comes out.
CoreInto = Callable[[list[Wave], list[Wave]], None]


class PrePost(Protocol):
    """A network without its core."""

    def core(self) -> nn.Module:
        """The core with its weights, in eval mode; tensors in, one tensor or a tuple out."""
        ...

    def core_shapes(self, channels: int, samples: int) -> Shapes:
        """Shapes of the core's inputs."""
        ...

    def __call__(self, wave: Wave, core: Core, threads: int = 1) -> Wave:
        """A wave ``(C, L)`` to stems ``(S, C, L)``, new memory; any thread may call."""
        ...


class CausalPrePost(Protocol):
    """A causal network without its core. The state is arrays that nobody changes."""

    @property
    def hop(self) -> int:
        """Samples of a step."""
        ...

    @property
    def delay(self) -> int:
        """Samples by which the stems trail the input."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """``(S, C)``."""
        ...

    def core(self) -> nn.Module:
        """The core of one hop with its weights, in eval mode."""
        ...

    def core_shapes(self) -> Shapes:
        """Shapes of the core's inputs."""
        ...

    def initial_state(self) -> Any:
        """The state before the first sample."""
        ...

    def step(self, hop: Wave, state: Any, core: CoreInto) -> tuple[Wave, Any]:
        """A hop ``(C, hop)`` and the state to stems ``(S, C, hop)`` and the next state."""
        ...
