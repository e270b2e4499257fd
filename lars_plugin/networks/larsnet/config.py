# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a LarsNet; without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lars_plugin.errors import InputError
from lars_plugin.model import Chunking, ModelConfig
from lars_plugin.networks.shared.shape import Shape

__all__ = ["LEVELS", "LarsNetConfig"]

LEVELS = 6  # halvings of the grid, in each of the U-Nets


@dataclass(frozen=True)
class LarsNetConfig(Shape):
    """The shape of the network. The defaults are those of the published models.

    Attributes:
        stems: names, in the order of the output.
        audio_channels: of mixture and stems.
        n_fft: samples of a frame; Hann window.
        hop_length: samples from one frame to the next.
        bins: lowest bins that the networks see; those above are silent in all stems.
        frames: T of the networks; a longer input is cut, a shorter one filled up with silence.
        features: channels of the six encoder levels.
        wiener: exponent alpha: the stems' magnitudes, to this power, share out the mixture's.
            None: each stem is what its own mask leaves.

    Raises:
        ValueError: sizes that do not fit together.
    """

    stems: Sequence[str]
    audio_channels: int = 2
    n_fft: int = 4096
    hop_length: int = 1024
    bins: int = 2048
    frames: int = 512
    features: Sequence[int] = (16, 32, 64, 128, 256, 512)
    wiener: float | None = None

    def __post_init__(self) -> None:
        if len(self.features) != LEVELS:
            raise ValueError(f"LarsNet has {LEVELS} levels, got features {self.features}")
        multiple = 2**LEVELS
        if self.bins % multiple or self.frames % multiple or self.bins < 1 or self.frames < 1:
            raise ValueError(f"bins and frames must be multiples of {multiple}")
        if not self.bins <= self.n_fft // 2 + 1 or not 1 <= self.hop_length <= self.n_fft // 2:
            raise ValueError(
                f"{self.bins} bins and hop {self.hop_length} do not fit n_fft {self.n_fft}"
            )
        if self.wiener is not None and not self.wiener > 0:
            raise ValueError(f"the Wiener exponent must be above 0, got {self.wiener}")

    @classmethod
    def of(cls, config: ModelConfig) -> LarsNetConfig:
        cls._known_settings(config)
        # A network for each stem, so it needs their names.
        return cls(config.stems, config.channels, **config.network)

    def check_chunking(self, chunking: Chunking) -> None:
        super().check_chunking(chunking)
        if chunking.chunk_size <= self.n_fft:
            raise InputError(f"chunk_size must exceed n_fft, {self.n_fft}")
