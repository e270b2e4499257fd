# SPDX-License-Identifier: GPL-3.0-or-later
"""Cascades and ensembles of models that are given by name, by folder or loaded."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence

from lars_plugin.composites import auto, composite
from lars_plugin.model import AnyModel

__all__ = ["AutoEnsemble", "Cascade", "Ensemble", "ModelSource"]

# A name of the zoo, a model folder, or a loaded model.
ModelSource = str | os.PathLike[str] | AnyModel


class Cascade(composite.Cascade):
    """A music model whose drum stem goes to a drum model.

    The result holds the music model's other stems, then those of the drum model.

    Args:
        music: a model with a stem ``drums``, or one of whole songs that gives each drum, whose sum
            is taken: a name of the zoo, a folder, or a loaded model.
        drums: what separates that stem: likewise.
        name: what to call it; made of the names of the two for None.
        fuse: run both on each chunk where their chunks, rates and channels agree. The drum
            stage then hears the music stage's stem of that chunk alone, not the mean over the
            chunks that overlap there; False composes the streams, which is the same as running
            one separator after the other.
        device: for names and folders: see :func:`~lars_plugin.zoo.load.load_model`.
        precision: likewise.
        backend: likewise.

    Raises:
        InputError: the music model has no drum stem, both have a stem of one name, or the drum
            model cannot take the music model's channels.
        ModelError: a model cannot be loaded.
    """

    def __init__(
        self,
        music: ModelSource = "mdx23c-music",
        drums: ModelSource = "mdx23c-small",
        *,
        name: str | None = None,
        fuse: bool = True,
        device: str = "auto",
        precision: str = "float32",
        backend: str | None = None,
    ) -> None:
        first, second = _loaded((music, drums), device, precision, backend)
        super().__init__(first, second, name=name, fuse=fuse)


class Ensemble(composite.Ensemble):
    """Several models as one: for each stem the weighted mean of those that give it.

    Where one of them gives ``cymbals`` and another ride and crash, the result has cymbals, and
    ride and crash of the others are added up. A stem that only some models have is made of
    those. Models may differ in chunks and in rate; the first one's rate is the ensemble's.

    Args:
        models: at least one: names of the zoo, folders, or loaded models.
        weights: stem to weights by model name: positive or 0, divided by their sum. Only these
            stems are given. ``{"kick": {"a": 1}}`` takes the kick from ``a``. None: every
            model's stems, each model counting alike.
        name: what to call it; the models' names joined with ``+`` for None.
        device: for names and folders: see :func:`~lars_plugin.zoo.load.load_model`.
        precision: likewise.
        backend: likewise.

    Raises:
        InputError: no models, weights that name another model or a stem which that model does
            not give, channels that differ, or cymbals with and without the hi-hat.
        ModelError: a model cannot be loaded.
    """

    def __init__(
        self,
        models: Sequence[ModelSource],
        weights: Mapping[str, Mapping[str, float]] | None = None,
        *,
        name: str | None = None,
        device: str = "auto",
        precision: str = "float32",
        backend: str | None = None,
    ) -> None:
        super().__init__(_loaded(models, device, precision, backend), weights, name=name)


class AutoEnsemble(auto.AutoEnsemble):
    """Several models as one, each stem blended by how well each model seems to have done.

    That is estimated without references, window by window. Where one of them gives ``cymbals`` and
    another ride and crash, the result has cymbals.

    Args:
        models: two or more, of one rate and with the same stems: names of the zoo, folders, or
            loaded models.
        name: what to call it; ``auto:`` and the models' names for None.
        device: for names and folders: see :func:`~lars_plugin.zoo.load.load_model`.
        precision: likewise.
        backend: likewise.

    Raises:
        InputError: fewer than two models, or models whose stems, rates or channels differ.
        ModelError: a model cannot be loaded.
    """

    def __init__(
        self,
        models: Sequence[ModelSource],
        *,
        name: str | None = None,
        device: str = "auto",
        precision: str = "float32",
        backend: str | None = None,
    ) -> None:
        super().__init__(_loaded(models, device, precision, backend), name=name)


def _loaded(
    models: Sequence[ModelSource], device: str, precision: str, backend: str | None
) -> tuple[AnyModel, ...]:
    # Not at the top: loading a name may make a composite, so `load` imports this module.
    from lars_plugin.zoo.load import load_model

    load = functools.partial(load_model, device=device, precision=precision, backend=backend)
    return tuple(model if isinstance(model, AnyModel) else load(model) for model in models)
