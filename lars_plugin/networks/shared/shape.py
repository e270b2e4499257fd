# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration of every network can say; without PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lars_plugin.errors import InputError
from lars_plugin.model import Chunking, ModelConfig

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["OWN_ENTRIES", "Shape"]

# Fields of a shape that a model's own entries say, not its settings under ``network``.
OWN_ENTRIES = ("stems", "audio_channels", "sample_rate")


class Shape:
    """Base of the frozen dataclass that configures a network.

    Its fields are the settings under ``network`` in a model's configuration, and ``stems``,
    ``audio_channels`` and, where the network must know it, ``sample_rate``, which the model's own
    entries say.
    """

    if TYPE_CHECKING:  # a field of the subclass

        @property
        def hop_length(self) -> int: ...

    @classmethod
    def of(cls, config: ModelConfig) -> Self:
        """The shape that a model's configuration describes.

        Raises:
            TypeError, ValueError, InputError: settings that make no network.
        """
        values = (len(config.stems), config.channels, config.sample_rate)
        own = dict(zip(OWN_ENTRIES, values, strict=True))
        known = getattr(cls, "__dataclass_fields__", {})
        return cls(**{key: own[key] for key in own if key in known}, **config.network)

    def check_chunking(self, chunking: Chunking) -> None:
        """Whether a network of this shape can run with these chunks.

        Raises:
            InputError: it cannot.
        """
        if chunking.convention == "demucs-short":
            raise InputError(
                "chunks of the convention demucs-short end with a recording, which this network"
                " cannot take: use demucs"
            )

    def default_chunking(self) -> Chunking:
        """The chunks that a model which was trained here is published with."""
        # About six seconds at a hop of 512, a whole number of frames after every downscaling.
        return Chunking(chunk_size=511 * self.hop_length, overlap=2, convention="msst")

    def whole_length(self, samples: int) -> int:
        """The least number of samples, from ``samples`` up, that the network takes in one pass."""
        return samples
