# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a BandUNet; without PyTorch, which a converted network does not need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lars_plugin.networks.shared.shape import Shape

__all__ = ["BandUNetConfig", "band_groups", "check_bands", "level_count"]


def band_groups(widths: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of equal width as (number of bands, width), low to high."""
    groups: list[tuple[int, int]] = []
    for width in widths:
        if groups and groups[-1][1] == width:
            groups[-1] = (groups[-1][0] + 1, width)
        else:
            groups.append((1, width))
    return groups


def level_count(audio_channels: int) -> int:
    """Levels a network may see of each bin: of each channel, and of the middle and side of two."""
    return 4 if audio_channels == 2 else audio_channels


def check_bands(widths: Sequence[int], n_fft: int, scales: int) -> None:
    """Raises ValueError unless the bands fill the spectrum and halve ``scales - 1`` times."""
    if sum(widths) != n_fft // 2:
        raise ValueError(f"band_widths sum to {sum(widths)}, but n_fft // 2 is {n_fft // 2}")
    if len(widths) % (1 << (scales - 1)):
        raise ValueError("the number of bands must be divisible by 2 per downscaling")


@dataclass(frozen=True)
class BandUNetConfig(Shape):
    """Shape of a :class:`BandUNet`.

    Attributes:
        stems: number of outputs.
        audio_channels: channels of the mixture.
        n_fft: STFT window in samples.
        hop_length: STFT hop in samples.
        band_widths: bins per band, low to high; they sum to ``n_fft // 2``. Runs of equal
            width are computed together.
        features: feature channels per scale, finest first.
        blocks: residual blocks per scale and direction.
        dilations: time dilation of each block at the bottom.
        tdf_factor: the frequency layers' bottleneck is the band count divided by this.
        head: width of the hidden layer before the masks.
        levels: whether the network is given magnitudes beside complex bins.
    """

    stems: int = 6
    audio_channels: int = 2
    n_fft: int = 2048
    hop_length: int = 512
    band_widths: tuple[int, ...] = (
        *(2,) * 16,
        *(4,) * 8,
        *(6,) * 8,
        *(10,) * 8,
        *(20,) * 8,
        *(34,) * 8,
        *(50,) * 8,
    )
    features: tuple[int, ...] = (48, 80, 112, 144)
    blocks: int = 1
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    tdf_factor: int = 2
    head: int = 64
    levels: bool = False

    def __post_init__(self) -> None:
        check_bands(self.band_widths, self.n_fft, len(self.features))
