# SPDX-License-Identifier: GPL-3.0-or-later
"""Ensembles that trust the better model, stem by stem and moment by moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lars_plugin.composites.composite import Ensemble
from lars_plugin.errors import InputError
from lars_plugin.model import AnyModel, Wave
from lars_plugin.pickling import remember

__all__ = ["AutoEnsemble"]


class AutoEnsemble(Ensemble):
    """Several models as one, each stem blended by how well each model seems to have done.

    That is estimated without references, window by window; see
    :mod:`lars_plugin.composites.confidence`. Where one of them gives ``cymbals`` and another ride
    and crash, the result has cymbals. It runs as streams only, never on one chunk.

    Args:
        models: two or more, of one rate and with the same stems.
        name: what to call it; ``auto:`` and the models' names for None.

    Raises:
        InputError: fewer than two models, or models whose stems, rates or channels differ.
    """

    def __init__(self, models: Sequence[AnyModel], *, name: str | None = None) -> None:
        parts = tuple(models)
        configs = [part.config for part in parts]
        names = ", ".join(config.name for config in configs)
        if len(parts) < 2:
            raise InputError(
                f"auto chooses between two models or more, got {names or 'none'}; write auto:A,B"
            )
        rates = {config.sample_rate for config in configs}
        if len(rates) > 1:
            said = ", ".join(f"{config.name} {config.sample_rate} Hz" for config in configs)
            raise InputError(f"auto needs models of one sample rate, got {said}; or use A+B")
        super().__init__(parts, name=name or f"auto:{','.join(one.name for one in configs)}")
        for config, mixing in zip(configs, self.mixing, strict=True):
            lacking = [
                stem for stem, row in zip(self.config.stems, mixing, strict=True) if not row.any()
            ]
            if lacking:
                raise InputError(
                    f"auto needs models with the same stems, but {config.name} has no"
                    f" {', '.join(lacking)}; use A+B, or a file of weights"
                )
        self._backend = None
        self.config = dataclasses.replace(
            self.config, description=f"of {names} the better, stem by stem"
        )
        remember(self, type(self), parts, name=self.config.name)

    @property
    def sources(self) -> tuple[Wave, ...]:
        """Of each part ``(stems, stems of the part)``, 1 where the one is made of the other."""
        return tuple((mixing > 0).astype(np.float32) for mixing in self.mixing)

    def with_parts(self, parts: Sequence[AnyModel]) -> AutoEnsemble:
        return AutoEnsemble(parts, name=self.config.name)
