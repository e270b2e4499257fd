# SPDX-License-Identifier: GPL-3.0-or-later
"""Models made of models: cascades and ensembles, which stand wherever a model can.

Here they are made of models that are loaded; :mod:`lars_plugin.zoo.composites` loads those that are
given by name.

A composite whose parts see the same chunks of the same audio is *fused*: its backend runs all
parts on a chunk, so that there is one overlap-add and nothing else in the package notices. The
others are composed as streams, each part with its own chunks, by
:mod:`lars_plugin.separation.streams.open`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.composites.drum_sum import DRUMS, with_drum_stem
from lars_plugin.composites.fused import InTurn, SideBySide, joined_names
from lars_plugin.errors import EngineError, InputError
from lars_plugin.model import STEM_NAMES, AnyModel, Backend, Chunking, Model, ModelConfig
from lars_plugin.pickling import remember

__all__ = ["Cascade", "Composite", "Ensemble"]

Wave = NDArray[np.float32]


class Composite(AnyModel, ABC):
    """A model of several parts.

    Attributes:
        config: what it gives, as of any model.
        parts: the models it is made of.
    """

    def __init__(self, config: ModelConfig, parts: Sequence[AnyModel], *, fused: bool) -> None:
        self.config: ModelConfig = config
        self.parts: tuple[AnyModel, ...] = tuple(parts)
        self._backend = self._needed(config.stems) if fused else None

    @property
    def fused(self) -> bool:
        """Whether its parts can run on one chunk; otherwise it runs as streams only."""
        return self._backend is not None

    @property
    def backend(self) -> Backend:
        """What runs all parts on one chunk.

        Raises:
            EngineError: the composite is not fused.
        """
        if self._backend is None:
            raise EngineError(
                f"the parts of {self.config.name} cut audio in different ways: it cannot run on one"
                " chunk"
            )
        return self._backend

    def needed(self, stems: Sequence[str]) -> Model:
        """The fused composite for some of its stems only.

        The configuration is the same, and so is each sample of these stems. Parts that none of
        them needs are not run. The other stems are silent or incomplete.

        Args:
            stems: names of the composite's stems, one or more.

        Raises:
            EngineError: the composite is not fused.
        """
        backend = self.backend
        return Model(
            self.config, backend if {*stems} == {*self.config.stems} else self._needed(stems)
        )

    @abstractmethod
    def _needed(self, stems: Sequence[str]) -> Backend:
        """The backend of :meth:`needed`."""

    @property
    def backend_name(self) -> str:
        """Those of the parts."""
        return joined_names(part.backend_name for part in self.parts)

    @abstractmethod
    def with_parts(self, parts: Sequence[AnyModel]) -> Composite:
        """The same of other parts, in the same order: the same models, cut in another way."""


class Cascade(Composite):
    """A music model whose drum stem goes to a drum model.

    The result holds the music model's other stems, then those of the drum model.

    Args:
        music: a model with a stem ``drums``, or one of whole songs that gives each drum, whose sum
            is taken.
        drums: what separates that stem.
        name: what to call it; made of the names of the two for None.
        fuse: run both on each chunk where their chunks, rates and channels agree. The drum
            stage then hears the music stage's stem of that chunk alone, not the mean over the
            chunks that overlap there; False composes the streams, which is the same as running
            one separator after the other.

    Raises:
        InputError: the music model has no drum stem, both have a stem of one name, or the drum
            model cannot take the music model's channels.
    """

    def __init__(
        self, music: AnyModel, drums: AnyModel, *, name: str | None = None, fuse: bool = True
    ) -> None:
        first = music if isinstance(music, Composite) else with_drum_stem(music)
        above, below = first.config, drums.config
        if DRUMS not in above.stems:
            raise InputError(
                f"a cascade needs a music model with a drum stem, but {above.name} gives"
                f" {', '.join(above.stems)}; use mdx23c-music, say"
            )
        kept = tuple(stem for stem in above.stems if stem != DRUMS)
        twice = [stem for stem in below.stems if stem in kept]
        if twice:
            raise InputError(
                f"{above.name} and {below.name} both give {', '.join(twice)}: a cascade needs a"
                " music model and a drum model"
            )
        if above.channels not in (1, below.channels):
            raise InputError(
                f"{above.name} gives {above.channels} channels, {below.name} takes"
                f" {below.channels}; use models that agree"
            )
        config = ModelConfig(
            name=name or f"cascade:{above.name},{below.name}",
            stems=(*kept, *below.stems),
            chunking=above.chunking,
            sample_rate=above.sample_rate,
            channels=above.channels,
            architecture="cascade",
            description=f"{above.name}, whose drums go to {below.name}",
            license=_licenses((first, drums)),
        )
        fused = fuse and _agree((first, drums))
        super().__init__(config, (first, drums), fused=fused)
        self._fuse = fuse
        remember(self, type(self), first, drums, name=config.name, fuse=fuse)

    @property
    def music(self) -> AnyModel:
        """The first stage."""
        return self.parts[0]

    @property
    def drums(self) -> AnyModel:
        """The second stage."""
        return self.parts[1]

    def _needed(self, stems: Sequence[str]) -> Backend:
        above, below = self.music.config, self.drums.config.stems
        inner = [stem for stem in stems if stem in below]
        outer = [stem for stem in stems if stem not in below]
        return InTurn(
            _backend_of(self.music, [*outer, DRUMS] if inner else outer),
            _backend_of(self.drums, inner) if inner else None,
            above.stems.index(DRUMS),
            (len(above.stems), len(below)),
            above.name,
        )

    def with_parts(self, parts: Sequence[AnyModel]) -> Cascade:
        first, second = parts
        return Cascade(first, second, name=self.config.name, fuse=self._fuse)


class Ensemble(Composite):
    """Several models as one: for each stem the weighted mean of those that give it.

    Where one of them gives ``cymbals`` and another ride and crash, the result has cymbals, and
    ride and crash of the others are added up. A stem that only some models have is made of
    those. Models may differ in chunks and in rate; the first one's rate is the ensemble's.

    Args:
        models: at least one.
        weights: stem to weights by model name: positive or 0, divided by their sum. Only these
            stems are given. ``{"kick": {"a": 1}}`` takes the kick from ``a``. None: every
            model's stems, each model counting alike.
        name: what to call it; the models' names joined with ``+`` for None.

    Attributes:
        mixing: of each part the factors ``(stems of the ensemble, stems of the part)``.

    Raises:
        InputError: no models, weights that name another model or a stem which that model does
            not give, channels that differ, or cymbals with and without the hi-hat.
    """

    def __init__(
        self,
        models: Sequence[AnyModel],
        weights: Mapping[str, Mapping[str, float]] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        parts = tuple(models)
        if not parts:
            raise InputError("an ensemble needs at least one model")
        configs = [part.config for part in parts]
        if len({config.name for config in configs}) < len(configs):
            raise InputError(f"an ensemble names a model twice: {_names(configs)}")
        if len({config.channels for config in configs}) > 1:
            raise InputError(f"the models of an ensemble differ in channels: {_names(configs)}")
        wanted = _even_weights(configs) if weights is None else _checked_weights(weights, configs)
        mixing = tuple(_mixing(config, wanted) for config in configs)
        slowest = max(parts, key=lambda part: part.config.chunking.chunk_size)
        config = ModelConfig(
            name=name or "+".join(config.name for config in configs),
            stems=tuple(wanted),
            chunking=slowest.config.chunking,
            sample_rate=configs[0].sample_rate,
            channels=configs[0].channels,
            architecture="ensemble",
            description=f"mean of {_names(configs)}",
            license=_licenses(parts),
        )
        self.mixing = mixing
        super().__init__(config, parts, fused=_agree(parts))
        # A copy: the caller may change its own afterwards.
        self._weights = None if weights is None else _plain(weights)
        remember(self, type(self), parts, self._weights, name=config.name)

    def _needed(self, stems: Sequence[str]) -> Backend:
        rows = [self.config.stems.index(stem) for stem in stems]
        backends, mixing, names = [], [], []
        for part, factors in zip(self.parts, self.mixing, strict=True):
            columns = np.flatnonzero(factors[rows].any(axis=0))
            if len(columns):
                used = [part.config.stems[column] for column in columns]
                backends.append(_backend_of(part, used))
                mixing.append(factors)
                names.append(part.config.name)
        return SideBySide(backends, mixing, names)

    def with_parts(self, parts: Sequence[AnyModel]) -> Ensemble:
        return Ensemble(parts, self._weights, name=self.config.name)


def _plain(weights: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """As dictionaries, which can be pickled whatever they were."""
    return {stem: dict(shares) for stem, shares in weights.items()}


def _backend_of(part: AnyModel, stems: Sequence[str]) -> Backend:
    """What runs a part for some of its stems."""
    return part.needed(stems).backend if isinstance(part, Composite) else part.backend


def _names(configs: Sequence[ModelConfig]) -> str:
    return ", ".join(config.name for config in configs)


def _licenses(parts: Sequence[AnyModel]) -> str:
    return "; ".join(f"{p.config.name}: {p.config.license or 'not stated'}" for p in parts)


def _agree(parts: Sequence[AnyModel]) -> bool:
    """Whether all parts run on the same chunks: then they can be fused."""

    def grid(part: AnyModel) -> tuple[Chunking, int, int]:
        config = part.config
        return config.chunking, config.sample_rate, config.channels

    # Causal models have a state for each stream, and what is refined is refined in windows of its
    # own, so they are never fused.
    runs = all(
        part.config.chunking.convention != "causal"
        and (part.config.refinement is None or not part.config.refinement.fits)
        and (not isinstance(part, Composite) or part.fused)
        for part in parts
    )
    return runs and len({grid(part) for part in parts}) == 1


def _even_weights(configs: Sequence[ModelConfig]) -> dict[str, dict[str, float]]:
    """Every stem of any model, each model counting alike; cymbals instead of ride and crash
    where a model gives only those."""
    stems = {stem for config in configs for stem in config.stems}
    if any("cymbals" in config.stems for config in configs):
        stems -= {"ride", "crash"}
    # Cymbals without a hi-hat beside them hold it.
    alone = [c.name for c in configs if "cymbals" in c.stems and "hihat" not in c.stems]
    if alone and "hihat" in stems:
        raise InputError(
            f"the cymbals of {alone[0]} hold the hi-hat, which others give alone; choose the"
            " stems with a weights file"
        )
    ordered = sorted(stems, key=STEM_NAMES.index)
    return {stem: {c.name: 1.0 for c in configs if _sources(c, stem)} for stem in ordered}


def _checked_weights(
    weights: Mapping[str, Mapping[str, float]], configs: Sequence[ModelConfig]
) -> dict[str, Mapping[str, float]]:
    by_name = {config.name: config for config in configs}
    for stem, shares in weights.items():
        for name, share in shares.items():
            if name not in by_name:
                raise InputError(f"weights for {stem} name {name}; there are {_names(configs)}")
            if not _sources(by_name[name], stem):
                raise InputError(
                    f"weights for {stem}: {name} gives only {', '.join(by_name[name].stems)}"
                )
            if not (math.isfinite(share) and share >= 0):
                raise InputError(f"the weight of {name} for {stem} must be 0 or more, got {share}")
        if not sum(shares.values()) > 0:
            raise InputError(f"the weights for {stem} are all 0: nothing is left of it")
    if not weights:
        raise InputError("the weights of an ensemble name no stem")
    return dict(weights)


def _sources(config: ModelConfig, stem: str) -> tuple[str, ...]:
    """The stems of a model that make up a stem; none if it cannot be made."""
    if stem in config.stems:
        return (stem,)
    if stem == "cymbals" and {"ride", "crash"} <= set(config.stems):
        return ("ride", "crash")
    return ()


def _mixing(config: ModelConfig, weights: Mapping[str, Mapping[str, float]]) -> Wave:
    factors = np.zeros((len(weights), len(config.stems)), np.float32)
    for row, (stem, shares) in enumerate(weights.items()):
        if config.name in shares:
            for source in _sources(config, stem):
                share = shares[config.name] / sum(shares.values())
                factors[row, config.stems.index(source)] = share
    return factors
