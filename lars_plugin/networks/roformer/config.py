# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of a BS-RoFormer and a Mel-Band RoFormer; without PyTorch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from lars_plugin.errors import InputError
from lars_plugin.model import SAMPLE_RATE, Chunking
from lars_plugin.networks.roformer.bands import Bands, adjacent_bands, bands_per_bin, mel_bands
from lars_plugin.networks.roformer.field import field_settings
from lars_plugin.networks.shared.shape import Shape, check_fields, check_whole

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BSRoFormerConfig", "MelRoFormerConfig", "RoFormerConfig"]


@dataclass(frozen=True)
class RoFormerConfig(Shape):
    """What both kinds have in common.

    Attributes:
        stems: number of outputs.
        audio_channels: channels of the mixture, 1 or 2.
        n_fft: STFT window in samples.
        hop_length: STFT hop in samples, at most half of ``n_fft``.
        dim: features of a band in a frame.
        depth: how often attention over time and attention over bands follow each other.
        time_transformer_depth: layers of each transformer over time.
        freq_transformer_depth: layers of each transformer over bands.
        linear_transformer_depth: layers of a linear transformer over all frames and bands before
            each of those over time; 0 for none.
        dim_head: features of an attention head, even.
        heads: attention heads.
        mask_estimator_depth: of the networks that estimate masks; see ``mask_layers``.
        mlp_expansion_factor: their hidden features are ``dim`` times this.
        skip_connection: whether the input of each step over time has the results of all earlier
            steps over bands added.
        zero_dc: whether the bin at 0 Hz is silent in the stems.

    Raises:
        InputError: values that make no network.
    """

    title: ClassVar[str] = "RoFormer"  # for people
    # What the field's code takes where a file says nothing, and we do not.
    _field_defaults: ClassVar[dict[str, Any]] = {
        "hop_length": 512,
        "time_transformer_depth": 2,
        "freq_transformer_depth": 2,
        "mlp_expansion_factor": 4,
    }

    stems: int = 4
    audio_channels: int = 2
    n_fft: int = 2048
    hop_length: int = 441
    dim: int = 384
    depth: int = 6
    time_transformer_depth: int = 1
    freq_transformer_depth: int = 1
    linear_transformer_depth: int = 0
    dim_head: int = 64
    heads: int = 8
    mask_estimator_depth: int = 2
    mlp_expansion_factor: int = 4
    skip_connection: bool = False
    zero_dc: bool = True

    def __post_init__(self) -> None:
        check_fields(self, self.title, {"linear_transformer_depth": 0})
        if self.audio_channels > 2:
            raise self._wrong(f"audio_channels must be 1 or 2, got {self.audio_channels}")
        if self.dim_head % 2:
            raise self._wrong(f"dim_head must be even, got {self.dim_head}")
        if self.n_fft % 2 or self.hop_length > self.n_fft // 2:
            raise self._wrong(
                f"n_fft must be even and hop_length at most half of it, got {self.n_fft} and"
                f" {self.hop_length}"
            )

    def _wrong(self, text: str) -> InputError:
        return InputError(f"{self.title}: {text}")

    @property
    def bins(self) -> int:
        """Bins of a spectrum."""
        return self.n_fft // 2 + 1

    @property
    def bands(self) -> Bands:
        """The bins of each band, from low to high."""
        raise NotImplementedError

    @property
    def normed_blocks(self) -> bool:
        """Whether each transformer ends with a norm; otherwise one stands before the masks."""
        raise NotImplementedError

    @property
    def mask_layers(self) -> int:
        """Linear layers of a network that estimates masks."""
        raise NotImplementedError

    def check_chunking(self, chunking: Chunking) -> None:
        super().check_chunking(chunking)
        if chunking.chunk_size <= self.n_fft // 2:
            raise InputError(
                f"chunk_size {chunking.chunk_size} must be more than half of n_fft {self.n_fft}"
            )

    def whole_length(self, samples: int) -> int:
        return max(samples, self.n_fft // 2 + 1)

    @classmethod
    def from_field(cls, field: Mapping[str, Any]) -> Self:
        """Read what the field's YAML files hold: ``audio``, ``model`` and ``training``.

        What only training or the choice of an attention kernel needs is left out.

        Raises:
            InputError: a key is missing, a value makes no network, or an option is not supported.
        """
        known = [one.name for one in fields(cls)]
        return cls(**field_settings(cls.title, field, known, cls._field_defaults))


@dataclass(frozen=True)
class BSRoFormerConfig(RoFormerConfig):
    """Shape of a :class:`~.network.BSRoFormer`; the defaults are ZFTurbo's four-stem model's.

    Attributes:
        freqs_per_bands: bins of each band, from 0 Hz up; they sum to ``n_fft // 2 + 1``.
    """

    title: ClassVar[str] = "BS-RoFormer"

    depth: int = 8
    mlp_expansion_factor: int = 2
    freqs_per_bands: tuple[int, ...] = (
        *(2,) * 24,
        *(4,) * 12,
        *(12,) * 8,
        *(24,) * 8,
        *(48,) * 8,
        *(128, 129),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = self.freqs_per_bands
        if not isinstance(widths, tuple) or len(widths) < 2:
            raise self._wrong(f"freqs_per_bands must be a list of two or more, got {widths!r}")
        for width in widths:
            check_whole(f"{self.title}: freqs_per_bands", width)
        if sum(widths) != self.bins:
            raise self._wrong(
                f"freqs_per_bands must sum to n_fft / 2 + 1 = {self.bins}, got {sum(widths)}"
            )

    @property
    def bands(self) -> Bands:
        return adjacent_bands(self.freqs_per_bands)

    @property
    def normed_blocks(self) -> bool:
        return False

    @property
    def mask_layers(self) -> int:
        return self.mask_estimator_depth


@dataclass(frozen=True)
class MelRoFormerConfig(RoFormerConfig):
    """Shape of a :class:`~.network.MelRoFormer`; the defaults are the field's four-stem model's.

    Attributes:
        num_bands: overlapping bands with equal distances in mel.
        sample_rate: in Hz, which the bands depend on.
    """

    title: ClassVar[str] = "Mel-Band RoFormer"
    _field_defaults: ClassVar[dict[str, Any]] = {
        **RoFormerConfig._field_defaults,
        "mask_estimator_depth": 1,
    }

    num_bands: int = 60
    sample_rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        super().__post_init__()
        bands = self.bands
        if any(first >= end for first, end in bands) or not bands_per_bin(bands, self.bins).all():
            raise self._wrong(
                f"num_bands {self.num_bands} do not cover the {self.bins} bins, at least one each"
            )

    @property
    def bands(self) -> Bands:
        return _mel_bands(self.num_bands, self.n_fft, self.sample_rate)

    @property
    def normed_blocks(self) -> bool:
        return True

    @property
    def mask_layers(self) -> int:
        return self.mask_estimator_depth + 1  # here only the hidden layers are counted


_mel_bands = functools.lru_cache(16)(mel_bands)
