# SPDX-License-Identifier: GPL-3.0-or-later
"""What excerpts are varied by, and how to leave some of it out, which shows what it is worth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any, TypeVar

from lars_plugin.errors import InputError
from lars_plugin.training.render.records import RecordsConfig
from lars_plugin.training.render.renderer import RendererConfig

__all__ = ["AUGMENTATIONS", "BALANCES", "RECORDS", "check_augmentations", "left_out"]

Config = TypeVar("Config", bound=Any)

# Names of their own: all that makes records, and the other balances of excerpts that are drawn.
RECORDS = "records"
BALANCES = "balances"

# Fields that are something else than the probability of an augmentation.
_OTHERS = {
    "whole_kit", "pitch_semitones", "studio", "gain_db", "room_seconds", "room_db", "level_db",
    "treated",
}  # fmt: skip

AUGMENTATIONS = (
    *(field.name for field in fields(RendererConfig) if field.name not in _OTHERS),
    *(field.name for field in fields(RecordsConfig) if field.name not in _OTHERS),
    RECORDS,
    BALANCES,
)


def check_augmentations(names: Collection[str]) -> None:
    """Names of augmentations that there are.

    Raises:
        InputError: another one.
    """
    for name in names:
        if name not in AUGMENTATIONS:
            raise InputError(f"unknown augmentation {name!r}: use {', '.join(AUGMENTATIONS)}")


def left_out(config: Config, names: Collection[str]) -> Config:
    """A source's configuration without some augmentations: their probabilities are 0.

    Args:
        config: of a renderer, of records, or of full mixes; not changed.
        names: of :data:`AUGMENTATIONS`; those that it does not have make no difference.
    """
    changes = {field.name: 0.0 for field in fields(config) if field.name in names}
    result: Config = replace(config, **changes)
    return result
