# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a LiveNet; without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from lars_plugin.errors import InputError
from lars_plugin.model import SAMPLE_RATE, Chunking
from lars_plugin.networks.shared.band_shapes import check_bands
from lars_plugin.networks.shared.shape import Shape, check_whole

__all__ = ["LiveNetConfig"]


@dataclass(frozen=True)
class LiveNetConfig(Shape):
    """Shape of a :class:`LiveNet`.

    Attributes:
        stems: number of outputs.
        audio_channels: channels of the mixture.
        n_fft: analysis window in samples.
        hop_length: samples from frame to frame.
        synthesis: synthesis window in samples: the algorithmic latency.
        hold: frames for which masks are held: the network looks at each ``hold``-th frame only, so
            that hops can be short at the cost of long ones.
        band_widths: bins per band, low to high; they sum to ``n_fft // 2``.
        features: feature channels per scale, finest first.
        dilations: time dilation of the blocks at each scale.
        bottom: time dilations of the blocks at the coarsest scale.
        recurrent: width of the recurrent layer.
        tdf_factor: the frequency layers' bottleneck is the band count divided by this.
        head: width of the hidden layer before the masks.
        memory: seconds in which the running level falls by a factor e (in power).
        levels: whether the network is given magnitudes beside complex bins.
        sample_rate: Hz, of the model.
    """

    stems: int = 6
    audio_channels: int = 2
    n_fft: int = 2016
    hop_length: int = 504
    synthesis: int = 1008
    hold: int = 1
    band_widths: tuple[int, ...] = (
        *(2,) * 16,
        *(4,) * 8,
        *(6,) * 8,
        *(10,) * 8,
        *(20,) * 8,
        *(34,) * 8,
        *(48,) * 8,
    )
    features: tuple[int, ...] = (40, 56, 72, 96)
    dilations: tuple[int, ...] = (1, 2, 4)
    bottom: tuple[int, ...] = (1, 2, 4, 8)
    recurrent: int = 256
    tdf_factor: int = 2
    head: int = 48
    memory: float = 4.0
    levels: bool = False
    sample_rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        check_bands(self.band_widths, self.n_fft, len(self.features))
        if len(self.dilations) != len(self.features) - 1:
            raise ValueError("dilations must have one entry per scale but the coarsest")
        check_whole("hold", self.hold)

    @property
    def delay(self) -> int:
        """Samples by which the network's output trails its input, hop by hop."""
        return self.synthesis - self.hop_length

    def check_chunking(self, chunking: Chunking) -> None:
        if (chunking.convention, chunking.chunk_size, chunking.lookahead) != (
            "causal",
            self.hop_length,
            self.delay,
        ):
            raise InputError(
                f"a livenet of this shape needs causal chunking with chunk_size"
                f" {self.hop_length} and lookahead {self.delay}"
            )

    def default_chunking(self) -> Chunking:
        # Offline, 64 hops at a time; a live session takes them one by one.
        return Chunking(self.hop_length, 1, "causal", batch_size=64, lookahead=self.delay)
