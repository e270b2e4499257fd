# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job is to do, checked, and as the options of ``lars separate``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lars_plugin.cli.separate import add_separate_parser
from lars_plugin.errors import InputError
from lars_plugin.options import PRESET_CHOICES
from lars_plugin.zoo.registry import model_folders

__all__ = ["JobSettings", "separate_options"]

_CHANNELS = 20  # characters of a choice of channels


@dataclass(frozen=True)
class JobSettings:
    """How a file is separated; the defaults are those of ``lars separate``.

    Attributes:
        model: a name from ``lars models list``.
        preset: ``fast``, ``balanced``, ``best``, or empty for the model's own.
        channels: of files with more than two channels, as ``--channels``; or empty.
        redistribute: the stems add up to the mixture.
        residual: also what the stems leave of the mixture.

    Raises:
        InputError: an invalid setting; says which.
    """

    model: str = "lars-mini"
    preset: str = ""
    channels: str = ""
    redistribute: bool = False
    residual: bool = False

    def __post_init__(self) -> None:
        # Names only: a path would let the page open files anywhere.
        if self.model not in model_folders():
            raise InputError(f"no model {self.model!r}; choose one from the menu")
        if self.preset not in ("", *PRESET_CHOICES):
            raise InputError(f"unknown preset {self.preset!r}; use {', '.join(PRESET_CHOICES)}")
        if self.channels:
            from lars_plugin.audio.channels import check_channel_names

            check_channel_names(self.channels[:_CHANNELS])

    @classmethod
    def from_json(cls, data: object) -> JobSettings:
        """From what a page sent, or the ledger kept.

        Raises:
            InputError: not an object, an unknown field, or a value of the wrong type.
        """
        if not isinstance(data, Mapping):
            raise InputError("settings must be an object")
        known = {field.name: type(field.default) for field in fields(cls)}
        for name, value in data.items():
            if name not in known:
                raise InputError(f"unknown setting {str(name)[:40]!r}; use {', '.join(known)}")
            if type(value) is not known[name]:
                raise InputError(f"setting {name!r} must be of type {known[name].__name__}")
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """For the page and the ledger."""
        return asdict(self)


def separate_options(settings: JobSettings, source: Path, out: Path) -> argparse.Namespace:
    """The options that ``lars separate`` would have, with its defaults for all others.

    Stems are written as 32-bit float, from which every other format is made without a loss: a
    24-bit file is then the same to the bit as the one that ``lars separate`` writes.

    Args:
        settings: of the job.
        source: the recording.
        out: the job's folder, which holds nothing else.
    """
    parser = argparse.ArgumentParser()
    add_separate_parser(parser.add_subparsers(dest="command"))
    words = ["--bits", "32f", "--filename", "{stem}.{ext}", "--overwrite"]
    words += ["--out", str(out), "--model", settings.model]
    if settings.preset:
        words += ["--preset", settings.preset]
    if settings.channels:
        words += ["--channels", settings.channels]
    if settings.redistribute:
        words.append("--redistribute")
    if settings.residual:
        words.append("--residual")
    return parser.parse_args(["separate", *words, "--", str(source)])


def finite(value: object, low: float, high: float, name: str) -> float:
    """A number of a request.

    Raises:
        InputError: not a number, or out of range.
    """
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise InputError(f"{name} must be a number")
    if not low <= number <= high:
        raise InputError(f"{name} must be {low:g} to {high:g}, got {number:g}")
    return number
