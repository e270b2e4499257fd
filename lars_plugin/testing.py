# SPDX-License-Identifier: GPL-3.0-or-later
"""Models with one known property each, for tests of this package and of programs that use it.

Each works in place of a loaded model, ``Separator(IdentityModel())``. Those that change a model
take it as an argument: ``SlowModel(0.1, IdentityModel(chunk_size=4096))``.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.errors import EngineError, InputError
from lars_plugin.model import Backend, Chunking, Model, ModelConfig

__all__ = [
    "DelayModel",
    "FailingModel",
    "GainModel",
    "IdentityModel",
    "NaNModel",
    "SlowModel",
]

Wave = NDArray[np.float32]

STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")


class GainModel(Model):
    """Each stem is the mixture times its own factor.

    Args:
        factors: one per stem.
        stems: names.
        chunk_size: samples the model sees at once; chunks overlap by half.
        sample_rate: Hz.
        channels: of mixture and stems.
        chunking: instead of those chunks.
    """

    def __init__(
        self,
        factors: Sequence[float],
        stems: Sequence[str] = STEMS,
        chunk_size: int = 1024,
        *,
        sample_rate: int = 44100,
        channels: int = 2,
        chunking: Chunking | None = None,
    ) -> None:
        if len(factors) != len(stems):
            raise InputError(f"{len(stems)} stems need {len(stems)} factors, got {len(factors)}")
        config = ModelConfig(
            name=type(self).__name__,
            stems=tuple(stems),
            chunking=chunking or Chunking(chunk_size, overlap=2),
            sample_rate=sample_rate,
            channels=channels,
        )
        super().__init__(config, _Factors(factors))


class IdentityModel(GainModel):
    """Stems that are equal parts of the mixture, and so add up to it.

    Args:
        stems: names.
        chunk_size, sample_rate, channels, chunking: see :class:`GainModel`.
        shares: factors of the stems, instead of equal parts.
    """

    def __init__(
        self,
        stems: Sequence[str] = STEMS,
        chunk_size: int = 1024,
        *,
        shares: Sequence[float] | None = None,
        sample_rate: int = 44100,
        channels: int = 2,
        chunking: Chunking | None = None,
    ) -> None:
        super().__init__(
            [1 / len(stems)] * len(stems) if shares is None else shares,
            stems,
            chunk_size,
            sample_rate=sample_rate,
            channels=channels,
            chunking=chunking,
        )


class _Altered(Model):
    """A model with a backend that wraps another one."""

    def __init__(self, model: Model | None, backend: Callable[[Backend], Backend]) -> None:
        model = model or IdentityModel()
        config = dataclasses.replace(model.config, name=type(self).__name__)
        super().__init__(config, backend(model.backend))


class DelayModel(_Altered):
    """Stems that are ``samples`` late within each chunk, after silence."""

    def __init__(self, samples: int, model: Model | None = None) -> None:
        if samples < 0:
            raise InputError(f"a delay must not be negative, got {samples}")
        super().__init__(model, lambda backend: _Delay(backend, samples))


class SlowModel(_Altered):
    """Takes ``seconds`` per chunk."""

    def __init__(self, seconds: float, model: Model | None = None) -> None:
        super().__init__(model, lambda backend: _Slow(backend, seconds))


class NaNModel(_Altered):
    """Returns NaN for the chunk of number ``at_chunk`` (from 0, counted over its life)."""

    def __init__(self, at_chunk: int = 0, model: Model | None = None) -> None:
        super().__init__(model, lambda backend: _Faulty(backend, at_chunk, None))


class FailingModel(_Altered):
    """Raises ``error`` at the chunk of number ``at_chunk`` (from 0, counted over its life)."""

    def __init__(
        self, at_chunk: int = 0, model: Model | None = None, *, error: Exception | None = None
    ) -> None:
        raised = error or EngineError("this model fails on purpose; use another one")
        super().__init__(model, lambda backend: _Faulty(backend, at_chunk, raised))


class _Factors:
    """``(batch, channels, n)`` to ``(batch, stems, channels, n)``: the input times factors."""

    def __init__(self, factors: Sequence[float]) -> None:
        self._factors = np.asarray(factors, np.float32)[:, np.newaxis, np.newaxis]

    @property
    def name(self) -> str:
        return "factors"

    def __call__(self, batch: Wave) -> Wave:
        stems: Wave = batch[:, np.newaxis] * self._factors
        return stems


class _Delay:
    def __init__(self, inner: Backend, samples: int) -> None:
        self._inner = inner
        self._samples = samples

    @property
    def name(self) -> str:
        return f"{self._inner.name}, {self._samples} samples late"

    def __call__(self, batch: Wave) -> Wave:
        result = self._inner(batch)
        late = np.zeros_like(result)
        kept = max(0, result.shape[-1] - self._samples)
        late[..., result.shape[-1] - kept :] = result[..., :kept]
        return late


class _Slow:
    def __init__(self, inner: Backend, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds

    @property
    def name(self) -> str:
        return f"{self._inner.name}, {self._seconds:g} s per chunk"

    def __call__(self, batch: Wave) -> Wave:
        time.sleep(self._seconds * len(batch))
        return self._inner(batch)


class _Faulty:
    """Raises the error at a chunk, or returns NaN for it if there is no error."""

    def __init__(self, inner: Backend, at_chunk: int, error: Exception | None) -> None:
        self._inner = inner
        self._left = at_chunk
        self._error = error

    @property
    def name(self) -> str:
        return f"{self._inner.name}, faulty"

    def __call__(self, batch: Wave) -> Wave:
        stems = self._inner(batch)
        index, self._left = self._left, self._left - len(batch)
        if 0 <= index < len(batch):
            if self._error is not None:
                raise self._error
            stems[index] = np.nan
        return stems
