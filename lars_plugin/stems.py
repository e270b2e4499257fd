# SPDX-License-Identifier: GPL-3.0-or-later
"""Stems: the result of a separation, as an immutable mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lars_plugin.errors import InputError

__all__ = ["Stems"]

Wave = NDArray[np.float32]


class Stems(Mapping[str, Wave]):
    """Named waves ``(channels, samples)`` float32 of one length, with their sample rate.

    The arrays are read-only views; copy one to change it. Stems are in the model's order.

    Args:
        waves: name to wave; all of one shape.
        sample_rate: Hz.

    Raises:
        InputError: no stems, or shapes that differ or are not two-dimensional.
    """

    def __init__(self, waves: Mapping[str, ArrayLike], sample_rate: float) -> None:
        views: dict[str, Wave] = {}
        for name, wave in waves.items():
            view = np.asarray(wave, np.float32).view()
            view.flags.writeable = False
            views[name] = view
        shapes = {view.shape for view in views.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise InputError(
                f"stems must share one shape (channels, samples), got {sorted(shapes)}"
            )
        self._waves = views
        self._sample_rate = sample_rate

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self._sample_rate

    @property
    def channels(self) -> int:
        """Channels of each stem."""
        return int(next(iter(self._waves.values())).shape[0])

    @property
    def samples(self) -> int:
        """Length of each stem in samples."""
        return int(next(iter(self._waves.values())).shape[1])

    def __getitem__(self, name: str) -> Wave:
        return self._waves[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._waves)

    def __len__(self) -> int:
        return len(self._waves)

    def __repr__(self) -> str:
        return (
            f"Stems({', '.join(self)}; {self.channels} x {self.samples} at {self.sample_rate:g} Hz)"
        )

    def select(self, names: list[str] | tuple[str, ...]) -> Stems:
        """Some of the stems, in the requested order.

        Raises:
            InputError: a name does not exist.
        """
        missing = [name for name in names if name not in self._waves]
        if missing:
            raise InputError(f"no stem {', '.join(missing)}; there are {', '.join(self)}")
        return Stems({name: self._waves[name] for name in names}, self.sample_rate)

    def sum(self) -> Wave:
        """All stems added up, ``(channels, samples)`` float32, summed in float64."""
        total = np.zeros((self.channels, self.samples), np.float64)
        for wave in self._waves.values():
            total += wave
        return total.astype(np.float32)

    def residual(self, mixture: ArrayLike) -> Wave:
        """The rest of the mixture: ``mixture - sum()``.

        Raises:
            InputError: the mixture has another shape.
        """
        mixture = np.asarray(mixture, np.float32)
        if mixture.shape != (self.channels, self.samples):
            raise InputError(
                f"the mixture is {mixture.shape}, the stems are {(self.channels, self.samples)}"
            )
        return mixture - self.sum()
