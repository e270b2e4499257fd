# SPDX-License-Identifier: GPL-3.0-or-later
"""Backends that run the parts of a composite on one chunk.

They return all stems of the composite. A part that none of the wanted stems needs is not run; its
stems are then silent, and sums that it belongs to lack it: nobody looks at those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lars_plugin.errors import EngineError
from lars_plugin.model import Backend, Wave

__all__ = ["InTurn", "SideBySide", "joined_names", "mixed"]


def joined_names(names: Iterable[str]) -> str:
    """Names for people, each once."""
    return " and ".join(dict.fromkeys(names))


def mixed(parts: Sequence[Wave], factors: Sequence[Wave], axis: int) -> Wave:
    """Weighted sums over stems.

    Args:
        parts: of each model its stems, on ``axis``; otherwise of one shape.
        factors: of each model ``(stems out, stems in)``.
        axis: 0 for ``(stems, channels, samples)``, 1 with a batch before.
    """
    stems = factors[0].shape[0]
    shape = (*parts[0].shape[:axis], stems, *parts[0].shape[axis + 1 :])
    out = np.zeros(shape, np.float32)
    targets, sources = np.moveaxis(out, axis, 0), [np.moveaxis(part, axis, 0) for part in parts]
    # Sample by sample the same sums in the same order, however long the block is.
    for source, matrix in zip(sources, factors, strict=True):
        for target, index in zip(*np.nonzero(matrix), strict=True):
            targets[target] += matrix[target, index] * source[index]
    return out


class InTurn:
    """A cascade.

    Args:
        music: the first stage.
        drums: the second; None where nothing of it is wanted.
        feed: the first stage's stem that the second hears.
        sizes: stems of either stage.
        name: of the first stage's model, for errors.
    """

    def __init__(
        self, music: Backend, drums: Backend | None, feed: int, sizes: tuple[int, int], name: str
    ) -> None:
        self._music, self._drums, self._feed = music, drums, feed
        self._kept = [index for index in range(sizes[0]) if index != feed]
        self._wanted, self._inner = (sizes[0], name), sizes[1]

    @property
    def name(self) -> str:
        return joined_names(one.name for one in (self._music, self._drums) if one is not None)

    def __call__(self, batch: Wave) -> Wave:
        above = self._music(batch)
        # Before it is cut up: a wrong number of stems would put them under wrong names.
        _check(above, self._wanted, batch)
        if self._drums is None:
            below = np.zeros((len(batch), self._inner, *batch.shape[1:]), np.float32)
        else:
            below = self._drums(np.ascontiguousarray(above[:, self._feed]))
        return np.concatenate([above[:, self._kept], below], axis=1)


class SideBySide:
    """An ensemble.

    Args:
        backends: of the parts that are run, one or more.
        mixing: of each the factors ``(stems of the ensemble, stems of the part)``.
        names: of their models, for errors.
    """

    def __init__(
        self, backends: Sequence[Backend], mixing: Sequence[Wave], names: Sequence[str]
    ) -> None:
        self._backends, self._mixing = list(backends), list(mixing)
        counts = (matrix.shape[1] for matrix in mixing)
        self._wanted = list(zip(counts, names, strict=True))

    @property
    def name(self) -> str:
        return joined_names(backend.name for backend in self._backends)

    def __call__(self, batch: Wave) -> Wave:
        results = []
        for backend, wanted in zip(self._backends, self._wanted, strict=True):
            results.append(backend(batch))
            _check(results[-1], wanted, batch)
        return mixed(results, self._mixing, axis=1)


def _check(result: Wave, wanted: tuple[int, str], batch: Wave) -> None:
    stems, name = wanted
    shape = (batch.shape[0], stems, *batch.shape[1:])
    if result.shape != shape:
        raise EngineError(f"model {name!r} returned {result.shape}, expected {shape}")
