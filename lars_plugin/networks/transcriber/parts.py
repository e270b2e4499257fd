# SPDX-License-Identifier: GPL-3.0-or-later
"""A transcriber in the parts that are run one by one; what runs them takes and gives arrays.

The convolutions hear a few frames around each, so a long recording goes through them piece by
piece. The memory hears a recording as a whole, or a stream frame by frame.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lars_plugin.networks.transcriber.network import Transcriber

__all__ = ["Decide", "Follow", "Listen", "parts_of"]

Parts = Mapping[str, nn.Module]


class Listen(nn.Module):
    """Levels ``(1, frames, bands)`` to the maps of the convolutions, ``(1, frames, width)``."""

    def __init__(self, network: Transcriber) -> None:
        super().__init__()
        self.network = network

    def forward(self, levels: Tensor) -> Tensor:
        return self.network.listen(levels)


class Decide(nn.Module):
    """From there to chances ``(1, frames, 17)``, velocities ``(1, frames, 5)`` in [0, 1] and shares
    ``(1, frames, 7, level_bands)`` that sum to 1 over the stems."""

    def __init__(self, network: Transcriber) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        onsets, velocities, shares = self.network.decide(features)
        return onsets.sigmoid(), velocities.clamp(0, 1), shares.softmax(2)


class Follow(nn.Module):
    """The same for the next frames of a stream, without the shares: takes the memory
    ``(layers, 1, hidden)``, zeros at first, and returns the new one last."""

    def __init__(self, network: Transcriber) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        onsets, velocities, _, memory = self.network.follow(features, memory)
        return onsets.sigmoid(), velocities.clamp(0, 1), memory


def parts_of(network: Transcriber) -> Parts:
    """By name: ``listen``, ``decide``, and for a causal network ``follow``."""
    parts: dict[str, nn.Module] = {"listen": Listen(network), "decide": Decide(network)}
    if network.config.causal:
        parts["follow"] = Follow(network)
    return parts
