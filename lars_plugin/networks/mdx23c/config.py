# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of an MDX23C; without PyTorch, which a converted network does not need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lars_plugin.errors import InputError
from lars_plugin.model import Chunking
from lars_plugin.networks.shared.shape import Shape, check_fields, check_whole

__all__ = ["MDX23CConfig"]

_NORM = re.compile(r"BatchNorm|InstanceNorm|GroupNorm[1-9]\d*")
# Where the field's YAML files keep the settings that have the same name here.
_FIELD_KEYS = {
    "audio": ("n_fft", "hop_length", "dim_f"),
    "model": (
        *("num_channels", "growth", "num_scales", "scale", "num_blocks_per_scale"),
        *("num_subbands", "bottleneck_factor", "norm", "act"),
    ),
}
_ACT = re.compile(r"gelu|relu|elu(\d+(\.\d+)?)?")


@dataclass(frozen=True)
class MDX23CConfig(Shape):
    """Shape of an :class:`MDX23C`; the defaults are the published six-stem drum model's.

    Attributes:
        stems: number of outputs.
        audio_channels: channels of the mixture.
        n_fft: STFT window in samples.
        hop_length: STFT hop in samples.
        dim_f: bins that are kept, from 0 Hz up; those above are silent in the stems.
        num_channels: features at the finest scale.
        growth: features added at each scale.
        num_scales: how often the grid is scaled down.
        scale: factors of one scaling, (time, frequency).
        num_blocks_per_scale: residual blocks per scale and direction.
        num_subbands: groups of neighbouring bins that become channels.
        bottleneck_factor: width of the frequency layers' bottleneck: bins divided by this.
        norm: ``BatchNorm``, ``InstanceNorm`` or ``GroupNorm<groups>``.
        act: ``gelu``, ``relu`` or ``elu<alpha>``.

    Raises:
        InputError: values that make no network.
    """

    stems: int = 6
    audio_channels: int = 2
    n_fft: int = 2048
    hop_length: int = 512
    dim_f: int = 1024
    num_channels: int = 128
    growth: int = 128
    num_scales: int = 5
    scale: tuple[int, int] = (2, 2)
    num_blocks_per_scale: int = 2
    num_subbands: int = 4
    bottleneck_factor: int = 4
    norm: str = "InstanceNorm"
    act: str = "gelu"

    def __post_init__(self) -> None:
        check_fields(self, "MDX23C", {"growth": 0, "num_scales": 0})
        if not isinstance(self.scale, (list, tuple)) or len(self.scale) != 2:
            raise InputError(f"MDX23C: scale must be (time, frequency), got {self.scale!r}")
        for factor in self.scale:
            check_whole("MDX23C: scale", factor)
        if self.dim_f > self.n_fft // 2 + 1:
            raise InputError(f"MDX23C: dim_f {self.dim_f} has more bins than n_fft {self.n_fft}")
        rows = self.num_subbands * self.scale[1] ** self.num_scales
        if self.dim_f % rows:
            raise InputError(
                f"MDX23C: dim_f must be divisible by subbands and scales ({rows}), got {self.dim_f}"
            )
        if not _NORM.fullmatch(str(self.norm)):
            raise InputError(
                f"MDX23C: norm must be BatchNorm, InstanceNorm or GroupNorm<n>, got {self.norm!r}"
            )
        if not _ACT.fullmatch(str(self.act)):
            raise InputError(f"MDX23C: act must be gelu, relu or elu<alpha>, got {self.act!r}")

    @property
    def frame_multiple(self) -> int:
        """The number of frames, ``1 + L // hop_length``, must be divisible by this."""
        return int(self.scale[0] ** self.num_scales)

    def check_chunking(self, chunking: Chunking) -> None:
        super().check_chunking(chunking)
        frames = 1 + chunking.chunk_size // self.hop_length
        if frames % self.frame_multiple:
            raise InputError(
                f"chunk_size {chunking.chunk_size} makes {frames} frames, "
                f"which must be divisible by {self.frame_multiple}"
            )

    def whole_length(self, samples: int) -> int:
        frames = 1 - (-samples // self.hop_length)  # the last hop counts, however short
        frames += -frames % self.frame_multiple
        return (frames - 1) * self.hop_length

    @classmethod
    def from_field(cls, field: Mapping[str, Any]) -> MDX23CConfig:
        """Read what the field's YAML files hold: ``audio``, ``model`` and ``training``.

        A model with a ``training.target_instrument`` has that one stem.

        Raises:
            InputError: a key is missing or a value makes no network.
        """
        settings: dict[str, Any] = {}
        for section, keys in _FIELD_KEYS.items():
            found = field.get(section)
            for key in keys:
                if not isinstance(found, Mapping) or found.get(key) is None:
                    raise InputError(f"no configuration of an MDX23C: {section}.{key} is missing")
                settings[key] = found[key]
        if not isinstance(settings["scale"], (list, tuple)):
            raise InputError(f"MDX23C: model.scale must be a list, got {settings['scale']!r}")
        settings["scale"] = tuple(settings["scale"])
        training = field.get("training")
        training = training if isinstance(training, Mapping) else {}
        instruments = training.get("instruments")
        if not isinstance(instruments, (list, tuple)) or not instruments:
            raise InputError("no configuration of an MDX23C: training.instruments is missing")
        return cls(
            stems=1 if training.get("target_instrument") else len(instruments),
            audio_channels=field["audio"].get("num_channels", 2),
            **settings,
        )
