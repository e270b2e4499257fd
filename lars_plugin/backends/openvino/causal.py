# SPDX-License-Identifier: GPL-3.0-or-later
"""Stepping causal networks with OpenVINO: a hop in about a third of the time that PyTorch needs.

A hop is arithmetic of a millisecond in hundreds of small operators, and PyTorch spends most of it
between them. Here the core of a hop is one compiled graph on one thread; what is around it
(:class:`~lars_plugin.networks.shared.prepost.CausalPrePost`) is NumPy's. The state is explicit as
everywhere: arrays in, new arrays out.
"""

from __future__ import annotations

import functools
import logging
import queue
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lars_plugin.audio.levels import without_denormals
from lars_plugin.backends.errors import engine_errors
from lars_plugin.backends.openvino.cache import Conversions
from lars_plugin.backends.openvino.convert import optional
from lars_plugin.backends.openvino.runtime import compile_core, keep_for_ever
from lars_plugin.errors import InputError
from lars_plugin.forks import fork_count
from lars_plugin.model import Wave
from lars_plugin.networks.shared.prepost import CausalPrePost
from lars_plugin.pickling import NotPickled

__all__ = ["OpenVINOCausalBackend"]

log = logging.getLogger(__name__)

# Changes whenever what is converted, or how, does.
_CONVERSION = 1

_PRECISIONS = ("float32", "bfloat16")


class OpenVINOCausalBackend(NotPickled):
    """A causal network hop by hop; any thread may call.

    Args:
        prepost: the network.
        identity: what the conversion depends on besides versions: the digest of the weights, the
            architecture and its settings. JSON values.
        cache: where conversions are kept; see :class:`.cache.Conversions`.
        precision: ``float32``, or ``bfloat16`` where the processor has arithmetic for it.
        on_warning: called with a line before something takes seconds.

    Raises:
        InputError: unknown precision, or OpenVINO is missing.
        EngineError: the network cannot be converted or compiled.
    """

    def __init__(
        self,
        prepost: CausalPrePost,
        *,
        identity: Mapping[str, Any],
        cache: Path | Conversions,
        precision: str = "float32",
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        if precision not in _PRECISIONS:
            raise InputError(
                f"live networks run in {' or '.join(_PRECISIONS)} with OpenVINO, not {precision!r}"
            )
        self._openvino = optional("openvino", "openvino")
        self._precision = precision
        self._prepost = prepost
        self._start = prepost.initial_state()
        self._compile = functools.partial(
            self._compiled, dict(identity), cache, on_warning or log.info
        )
        self._model, self._forks = self._compile(), fork_count()
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # The first run allocates; no live stream must wait for that.
        self.step(np.zeros((prepost.shape[1], prepost.hop), np.float32), self._start)

    @property
    def name(self) -> str:
        """What runs where."""
        return f"openvino cpu {self._precision}"

    def initial_state(self) -> Any:
        """Silence before the first sample."""
        return self._start

    def step(self, hops: Wave, state: Any) -> tuple[Wave, Any]:
        """See :class:`~lars_plugin.model.CausalBackend`."""
        hop = self._prepost.hop
        stems = np.empty((*self._prepost.shape, hops.shape[1]), np.float32)
        hops = without_denormals(hops)
        with engine_errors(self.name):
            request = self._request()
            core = functools.partial(self._run, request)
            for at in range(0, hops.shape[1], hop):
                part = slice(at, at + hop)
                stems[..., part], state = self._prepost.step(hops[:, part], state, core)
            self._idle.put(request)
        return stems, state

    def __call__(self, batch: Wave) -> Wave:
        """Whole recordings ``(B, C, L)``, the delay removed."""
        length, delay = batch.shape[2], self._prepost.delay
        missing = delay + (-length - delay) % self._prepost.hop
        padded = np.pad(batch, ((0, 0), (0, 0), (0, missing)))
        stems = [self.step(wave, self._start)[0] for wave in padded]
        return np.stack(stems)[..., delay : delay + length]

    def _run(self, request: Any, inputs: list[Wave], outputs: list[Wave]) -> None:
        tensor = self._openvino.Tensor
        for index, wave in enumerate(inputs):
            request.set_input_tensor(index, tensor(wave, shared_memory=True))
        for index, wave in enumerate(outputs):
            request.set_output_tensor(index, tensor(wave, shared_memory=True))
        request.infer()

    def _request(self) -> Any:
        """One for each thread that is in here at a time."""
        if self._forks != fork_count():
            # A forked child: the threads of what was compiled are gone.
            keep_for_ever((self._model, self._idle))
            self._idle = queue.SimpleQueue()
            self._model, self._forks = self._compile(), fork_count()
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._model.create_infer_request()

    def _compiled(
        self, identity: dict[str, Any], cache: Path | Conversions, on_warning: Callable[[str], None]
    ) -> Any:
        return compile_core(
            self._prepost,
            self._prepost.core_shapes(),
            cache=cache,
            environment={"conversion": _CONVERSION, "identity": identity},
            precision=self._precision,
            properties={
                "PERFORMANCE_HINT": "LATENCY",
                # More threads would wait for each other longer than they work.
                "INFERENCE_NUM_THREADS": 1,
                "NUM_STREAMS": 1,
                # A host's audio thread may sit on any core; ours must be free to leave it.
                "ENABLE_CPU_PINNING": False,
            },
            on_convert=lambda: on_warning(
                "converting the live network for OpenVINO, up to a minute; once for this model,"
                " then cached (`lars models prepare` does it ahead)"
            ),
        )
