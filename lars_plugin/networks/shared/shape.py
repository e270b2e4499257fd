# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration of every network can say; without PyTorch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from lars_plugin.errors import InputError
from lars_plugin.model import Chunking, Convention, ModelConfig

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["OWN_ENTRIES", "Shape", "check_fields", "check_number", "check_whole"]

# Fields of a shape that a model's own entries say, not its settings under ``network``.
OWN_ENTRIES = ("stems", "audio_channels", "sample_rate")


@dataclass(frozen=True)
class Shape:
    """Base of the dataclass, frozen too, that configures a network.

    Its fields are the settings under ``network`` in a model's configuration, and ``stems``,
    ``audio_channels`` and, where the network must know it, ``sample_rate``, which the model's own
    entries say.
    """

    # How the field's programs cut audio for such a network.
    field_convention: ClassVar[Convention] = "msst"

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
        known = cls._known_settings(config)
        return cls(**{key: own[key] for key in own if key in known}, **config.network)

    @classmethod
    def _known_settings(cls, config: ModelConfig) -> list[str]:
        """Names of the fields, after a check that a configuration names no others."""
        known = [one.name for one in fields(cls)]
        options = [key for key in known if key not in OWN_ENTRIES]
        unknown = [str(key) for key in config.network if key not in options]
        if unknown:
            raise InputError(
                f"unsupported option network.{unknown[0]}; supported: {', '.join(sorted(options))}"
            )
        return known

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


def check_whole(name: str, value: object, least: int | None = 1) -> int:
    """The value, which must be a whole number.

    Args:
        name: of the setting, for the error.
        value: from a file, so of any type.
        least: the least that is allowed; None: any.

    Raises:
        InputError: it is something else, or less.
    """
    if isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least):
        return value
    at_least = "" if least is None else f" of at least {least}"
    raise InputError(f"{name} must be a whole number{at_least}, got {value!r}")


def check_number(name: str, value: object) -> float:
    """The value, which must be a finite number.

    Args:
        name: of the setting, for the error.
        value: from a file, so of any type.

    Raises:
        InputError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, got {value!r}")
    return value


def check_fields(shape: Shape, title: str, least: Mapping[str, int | None]) -> None:
    """Check that the fields of a shape are what their annotations say.

    Fields of other types than ``bool``, ``float``, ``int``, ``int | None`` and ``int | bool`` are
    left out.

    Args:
        shape: a dataclass whose module has annotations as text.
        title: of the network, for errors.
        least: the least of whole numbers, where it is not 1; None: any.

    Raises:
        InputError: one is not.
    """
    for one in fields(shape):
        value, name = getattr(shape, one.name), f"{title}: {one.name}"
        if one.type == "bool":
            if not isinstance(value, bool):
                raise InputError(f"{name} must be true or false, got {value!r}")
        elif one.type == "float":
            check_number(name, value)
        elif one.type == "int | bool":
            check_whole(name, int(value) if isinstance(value, bool) else value, least=0)
        elif one.type == "int" or (one.type == "int | None" and value is not None):
            check_whole(name, value, least.get(one.name, 1))
