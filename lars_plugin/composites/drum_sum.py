# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of whole songs that gives each drum, as one that gives their sum: for cascades."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lars_plugin.model import AnyModel, Backend, Model, Refinement
from lars_plugin.pickling import remember

__all__ = ["DRUMS", "ONE_DRUM", "with_drum_stem"]

DRUMS = "drums"

ONE_DRUM = ("kick", "snare", "toms", "hihat", "ride", "crash", "cymbals")


class _DrumSum:
    """Adds up some of a backend's stems; what it adds comes last."""

    def __init__(self, backend: Backend, added: list[int], kept: list[int]) -> None:
        self._backend, self._added, self._kept = backend, added, kept

    @property
    def name(self) -> str:
        return self._backend.name

    def share(self, jobs: int) -> None:
        """Leave room for so many jobs beside each other, where the backend can."""
        share = getattr(self._backend, "share", None)
        if share is not None:
            share(jobs)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        stems = self._backend(batch)
        drums = stems[:, self._added].sum(axis=1, keepdims=True)
        return np.concatenate([stems[:, self._kept], drums], axis=1)


def with_drum_stem(model: AnyModel) -> AnyModel:
    """The model, with a stem "drums" in the place of its single drums.

    Returns:
        The same model if it has that stem, has nothing beside single drums, or goes hop by hop.
    """
    stems = model.config.stems
    added = [index for index, stem in enumerate(stems) if stem in ONE_DRUM]
    kept = [index for index in range(len(stems)) if index not in added]
    causal = model.config.chunking.convention == "causal"
    if DRUMS in stems or not added or not kept or causal:
        return model
    names = (*(stems[index] for index in kept), DRUMS)
    config = dataclasses.replace(model.config, stems=names, refinement=_together(model, added))
    return remember(Model(config, _DrumSum(model.backend, added, kept)), with_drum_stem, model)


def _together(model: AnyModel, added: list[int]) -> Refinement | None:
    """The refinement, with all places of the drums for their sum."""
    settings = model.config.refinement
    if settings is None:
        return None
    counts = {stem: settings.places.get(stem, 1) for stem in model.config.stems}
    drums = sum(counts.pop(model.config.stems[index]) for index in added)

    def kept(shares: Mapping[str, float]) -> Mapping[str, float]:
        return MappingProxyType({stem: one for stem, one in shares.items() if stem in counts})

    return dataclasses.replace(
        settings,
        places=MappingProxyType({**counts, DRUMS: drums}),
        trust=kept(settings.trust),
        mono_trust=kept(settings.mono_trust),
        templates=kept(settings.templates),
        unstruck=kept(settings.unstruck),
        louder=kept(settings.louder),
    )
