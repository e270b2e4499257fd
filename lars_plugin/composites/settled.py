# SPDX-License-Identifier: GPL-3.0-or-later
"""Models with the overlap, batch and refinement of a preset, part by part."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

from lars_plugin.composites.composite import Composite
from lars_plugin.composites.rechunk import cut
from lars_plugin.errors import InputError
from lars_plugin.model import AnyModel, Model
from lars_plugin.pickling import remember

__all__ = ["PRESETS", "settled", "with_preset"]

PRESETS = ("fast", "balanced", "best")


def settled(
    model: AnyModel,
    preset: str | None,
    overlap: float | None,
    batch_size: int | None,
    shifts: int | None = None,
) -> AnyModel:
    """The model with the chunking and the refinement that were requested.

    Args:
        model: of any kind; parts of a composite are settled one by one.
        preset: ``fast``, ``balanced``, ``best``, or None for the model's own.
        overlap: chunks per sample; goes before the preset.
        batch_size: chunks per run; None for the model's own.
        shifts: separations whose mean counts; None for the model's own.

    Raises:
        InputError: an unknown preset, or settings that do not fit the model.
    """
    if isinstance(model, Composite):
        return model.with_parts(
            [settled(part, preset, overlap, batch_size, shifts) for part in model.parts]
        )
    config = model.config
    if preset is not None:
        if preset not in PRESETS:
            raise InputError(f"unknown preset {preset!r}; use {', '.join(PRESETS)}")
        if overlap is None:
            overlap = config.presets.get(preset, config.chunking.overlap)
    chunking = dataclasses.replace(
        config.chunking,
        overlap=config.chunking.overlap if overlap is None else overlap,
        batch_size=config.chunking.batch_size if batch_size is None else batch_size,
        shifts=config.chunking.shifts if shifts is None else shifts,
    )
    result = cut(model, chunking)
    if config.refinement is None:
        return result
    refinement = config.refinement.of_preset(preset)
    return Model(dataclasses.replace(result.config, refinement=refinement), result.backend)


def with_preset(model: AnyModel, preset: str) -> AnyModel:
    """The model with a preset of its own, whatever preset the whole has; named ``NAME@PRESET``.

    Raises:
        InputError: an unknown preset, or a composite.
    """
    if isinstance(model, Composite):
        raise InputError(
            f"{model.config.name} is made of several models: write @{preset} behind each of them"
        )
    result = settled(model, preset, None, None)
    config = result.config
    refinement = config.refinement
    if refinement is not None:
        refinement = dataclasses.replace(refinement, presets=MappingProxyType({}))
    config = dataclasses.replace(
        config,
        name=f"{config.name}@{preset}",
        presets=MappingProxyType({}),
        refinement=refinement,
    )
    return remember(Model(config, result.backend), with_preset, model, preset)
