# SPDX-License-Identifier: GPL-3.0-or-later
"""CausalStream: blocks of any size through a model that goes on from a state.

Chunked models are cut and cross-faded by
:class:`~lars_plugin.separation.streams.chunked.StreamingSeparator`; a causal one takes each hop
once and remembers. Hops lie on a fixed grid and are given to the network ``batch_size`` at a time,
so the output does not depend on the caller's blocks.

Its ``push_steps`` yields hops as ``(1, channels, n * hop)`` and wants the stems back as
``(1, stems, channels, n * hop)``. They must be run by the network they come with, which holds the
stream's state, each once and in order; what could not be run may be answered with anything of that
shape.

What the network is shown of the hops is their view:
:mod:`lars_plugin.separation.streams.causal_views`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lars_plugin.dsp.fifo import Fifo
from lars_plugin.errors import EngineError, InputError, NonFiniteError
from lars_plugin.model import AnyModel, CausalBackend, Chunking, Wave
from lars_plugin.separation.streams.base import (
    ModelStream,
    Run,
    Steps,
    choose_stems,
)
from lars_plugin.separation.streams.causal_views import CausalView
from lars_plugin.separation.streams.views import has_views

__all__ = ["CausalStream"]


class _Stepper:
    """A backend for one stream: it runs the network from the state the last run left."""

    def __init__(self, backend: CausalBackend) -> None:
        self._backend = backend
        self._state: Any = None

    def reset(self) -> None:
        """Start anew."""
        self._state = None

    def __call__(self, batch: Wave) -> Wave:
        state = self._backend.initial_state() if self._state is None else self._state
        stems, self._state = self._backend.step(batch[0], state)
        return stems[None]


class CausalStream(ModelStream):
    """A stream of a causal model's own rate and channels.

    Args:
        model: whose backend is a :class:`~lars_plugin.model.CausalBackend`.
        chunking: instead of the model's own; only ``batch_size`` may differ.
        stems: canonical names of those wanted, in this order; all for None.

    Raises:
        InputError: another chunking, or a stem that the model does not have.
        EngineError: the model's backend cannot step.
    """

    def __init__(
        self,
        model: AnyModel,
        *,
        chunking: Chunking | None = None,
        stems: Sequence[str] | None = None,
    ) -> None:
        own = model.config.chunking
        self._chunking = chunking or own
        wanted = (self._chunking.convention, self._chunking.chunk_size, self._chunking.lookahead)
        if wanted != (own.convention, own.chunk_size, own.lookahead):
            raise InputError(
                f"model {model.config.name!r} is causal: hops of {own.chunk_size} samples, and only"
                " the batch size can be chosen"
            )
        if not isinstance(model.backend, CausalBackend):
            raise EngineError(f"{model.backend.name} cannot run the causal {model.config.name!r}")
        self._model = model
        self._chosen = choose_stems(model, stems)
        config = model.config
        super().__init__(
            [config.stems[index] for index in self._chosen], config.channels, config.sample_rate
        )
        self._all_chosen = self._chosen == tuple(range(len(model.config.stems)))
        self._group = self._chunking.batch_size * self._chunking.chunk_size
        self._stepper = _Stepper(model.backend)
        self._input = Fifo((self.channels,))
        self._view: CausalView | None = None
        if has_views(model.config):
            self._view = CausalView(
                self.channels,
                len(model.config.stems),
                self._chunking.chunk_size,
                self.sample_rate,
                self._chunking.lookahead,
            )
        self.reset()

    @property
    def latency_samples(self) -> int:
        """The most samples by which the output trails the input; constant.

        A whole group of hops is waited for (its first sample waits one less than its length),
        then comes the network's delay.
        """
        return self._group - 1 + self._chunking.lookahead

    def reset(self) -> None:
        """Go back to the initial state."""
        super().reset()
        self._input.clear()
        self._stepper.reset()
        if self._view is not None:
            self._view.reset()
        self._pushed = 0  # input samples so far
        self._emitted = 0  # output samples so far
        self._due = self._chunking.lookahead  # samples from before the start still to drop
        self._flushed = False

    def push_checked(self, wave: Wave) -> Steps:
        if self._flushed:
            raise InputError("the stream was flushed; call reset() before pushing again")
        self._pushed += wave.shape[1]
        self._input.append(np.array(wave))
        done = []
        while self._input.samples >= self._group:
            done.append((yield from self._run(self._input.take(self._group))))
        return self._joined(done)

    def flush_steps(self) -> Steps:
        done: list[Wave] = []
        if not self._flushed:
            self._flushed = True
            while self._emitted < self._pushed:
                rest = self._input.take(min(self._group, self._input.samples))
                missing = ((0, 0), (0, self._group - rest.shape[1]))
                done.append((yield from self._run(np.pad(rest, missing))))
        return self._joined(done)

    def _run(self, hops: Wave) -> Steps:
        shown = hops if self._view is None else self._view.show(hops)
        result = yield Run(shown[None], self._stepper, self._stepper)
        config = self._model.config
        if result is None:
            raise InputError("send what the network made of the hops")
        if result.shape != (1, len(config.stems), *hops.shape):
            raise EngineError(
                f"model {config.name!r} returned {result.shape}, expected"
                f" {(1, len(config.stems), *hops.shape)}; its configuration does not fit it"
            )
        out = result[0] if self._all_chosen else result[0, list(self._chosen)]
        if not np.isfinite(out).all():
            raise NonFiniteError(
                f"model {config.name!r} returned NaN or Inf near second"
                f" {self._emitted / self.sample_rate:.2f}; try precision float32, or other weights"
            )
        if self._view is not None:
            out = self._view.give_back(out)
        drop = min(self._due, out.shape[2])
        self._due -= drop
        out = out[..., drop : drop + self._pushed - self._emitted]
        self._emitted += out.shape[2]
        return out
