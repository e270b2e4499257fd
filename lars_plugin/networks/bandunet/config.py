# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a BandUNet; without PyTorch, which a converted network does not need."""

from __future__ import annotations

from dataclasses import dataclass

from lars_plugin.networks.shared.band_shapes import check_bands
from lars_plugin.networks.shared.shape import Shape

__all__ = ["BandUNetConfig"]


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
