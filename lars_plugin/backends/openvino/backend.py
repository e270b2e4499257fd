# SPDX-License-Identifier: GPL-3.0-or-later
"""Running networks with OpenVINO on the processor.

The core of the network (see :mod:`lars_plugin.networks.shared.prepost`) is converted once for a
length of chunk and cached; FFTs and masks are computed in numpy. PyTorch is only needed to convert.
The chunks of a batch run one after the other: one chunk fills the cores, and what it leaves in the
caches is its own.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends.errors import engine_errors, has_torch
from lars_plugin.backends.openvino.cache import Conversions
from lars_plugin.backends.openvino.convert import core_inputs, optional
from lars_plugin.backends.openvino.runtime import (
    compile_core,
    fork_lock,
    has_bfloat16,
    keep_for_ever,
)
from lars_plugin.dsp.parallel import default_threads
from lars_plugin.errors import InputError
from lars_plugin.forks import fork_count
from lars_plugin.networks.shared.prepost import Core, PrePost
from lars_plugin.pickling import NotPickled

__all__ = ["OPENVINO_PRECISIONS", "OpenVINOBackend"]

log = logging.getLogger(__name__)

OPENVINO_PRECISIONS = ("float32", "bfloat16", "int8")

# Changes whenever what is converted, or how, does.
_CONVERSION = 3

Wave = NDArray[np.float32]


class OpenVINOBackend(NotPickled):
    """Waves ``(B, C, L)`` to stems ``(B, S, C, L)``; any thread may call.

    Args:
        prepost: the network.
        identity: what the conversion depends on besides versions and shapes: the digest of the
            weights, the architecture and its settings. JSON values.
        cache: where conversions are kept; see :class:`.cache.Conversions`.
        precision: ``float32``; ``bfloat16``, where the processor has arithmetic for it;
            ``int8``: weights and activations of the convolutions, the rest as in ``bfloat16``.
        threads: in all; None: see :func:`~lars_plugin.dsp.parallel.default_threads`.
        calibration: for ``int8``: makes audio ``(n, C, L)`` like that to be separated, for the
            given channels and samples.
        on_warning: called with a line before something takes seconds.

    Raises:
        InputError: unknown precision, or a package is missing.
    """

    def __init__(
        self,
        prepost: PrePost,
        *,
        identity: Mapping[str, Any],
        cache: Path | Conversions,
        precision: str = "float32",
        threads: int | None = None,
        calibration: Callable[[int, int], Wave] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        if precision not in OPENVINO_PRECISIONS:
            known = ", ".join(OPENVINO_PRECISIONS)
            raise InputError(f"unknown precision {precision!r}; OpenVINO has {known}")
        if precision == "int8" and calibration is None:
            raise InputError("int8 needs audio to calibrate with")
        optional("openvino", "openvino")
        if precision == "int8":
            optional("nncf", "int8")
        if precision != "float32" and not has_bfloat16():
            log.warning("this processor has no arithmetic for bfloat16: that runs in float32")
        self._prepost = prepost
        self._identity = dict(identity)
        self._cache = cache
        self._precision = precision
        self._threads = threads or default_threads()
        self._streams = 1
        self._calibration = calibration
        self._on_warning = on_warning or log.info
        self._lock, self._forks = threading.Lock(), fork_count()
        # Only the last shape: a model has one length of chunk, and a compiled network is large.
        self._compiled: tuple[tuple[int, int], _Compiled] | None = None
        self._narrowed: dict[tuple[int, ...], OpenVINOBackend] = {}

    @property
    def name(self) -> str:
        return f"openvino cpu {self._precision}"

    def share(self, jobs: int) -> None:
        """Be ready for that many callers at once, each with its part of the cores."""
        if self._forks != fork_count():
            self._after_fork()
        with self._lock:
            self._streams = jobs
            self._compiled = None
            narrowed = list(self._narrowed.values())
        for backend in narrowed:
            backend.share(jobs)

    def only(self, stems: tuple[int, ...]) -> OpenVINOBackend | None:
        """The network for these stems alone, converted and cached for itself; None where it
        computes all at once, and where nothing can be converted: the whole one may be prepared."""
        if self._forks != fork_count():
            self._after_fork()
        with self._lock:
            if stems not in self._narrowed:
                only = getattr(self._prepost, "only", None)
                part = None if only is None or not has_torch() else only(stems)
                if part is None:
                    return None
                self._narrowed[stems] = OpenVINOBackend(
                    part,
                    identity={**self._identity, "only": list(stems)},
                    cache=self._cache,
                    precision=self._precision,
                    threads=self._threads,
                    calibration=self._calibration,
                    on_warning=self._on_warning,
                )
                self._narrowed[stems]._streams = self._streams
            return self._narrowed[stems]

    def prepare(self, channels: int, samples: int) -> None:
        """Convert and compile for chunks of this shape now instead of at the first call."""
        with engine_errors(self.name):
            self._ready(channels, samples)

    def __call__(self, batch: Wave) -> Wave:
        with engine_errors(self.name):
            run = self._ready(batch.shape[1], batch.shape[2])
            with run.core() as core:
                threads = max(1, self._threads // self._streams)
                stems = [self._prepost(wave, core, threads) for wave in batch]
            return stems[0][None] if len(stems) == 1 else np.stack(stems)

    def _ready(self, channels: int, samples: int) -> _Compiled:
        if self._forks != fork_count():
            self._after_fork()
        with self._lock:
            if self._compiled is None or self._compiled[0] != (channels, samples):
                self._compiled = None
                self._compiled = (channels, samples), self._compile(channels, samples)
            return self._compiled[1]

    def _after_fork(self) -> None:
        """In a forked child: compile again, since the threads of what was compiled are gone."""
        with fork_lock():
            if self._forks != fork_count():
                keep_for_ever(self._compiled)
                # Another thread of the parent may have held it.
                self._lock, self._compiled = threading.Lock(), None
                self._forks = fork_count()

    def _compile(self, channels: int, samples: int) -> _Compiled:
        shapes = self._prepost.core_shapes(channels, samples)
        quantised = self._precision == "int8"

        def calibration() -> list[list[Wave]]:
            if not quantised or self._calibration is None:
                return []
            return core_inputs(self._prepost, self._calibration(channels, samples))

        model = compile_core(
            self._prepost,
            shapes,
            cache=self._cache,
            environment={
                "conversion": _CONVERSION,
                "identity": self._identity,
                "shapes": shapes,
                "int8": quantised and optional("nncf", "int8").__version__,
            },
            precision=self._precision,
            properties={
                # Several callers have a stream each, which needs a thread at the least.
                "INFERENCE_NUM_THREADS": max(self._threads, self._streams),
                "NUM_STREAMS": self._streams,
            },
            on_convert=lambda: self._on_warning(
                "converting the network for OpenVINO, up to a minute; once for this model, then"
                " cached (`lars models prepare` does it ahead)"
            ),
            calibration=calibration,
        )
        return _Compiled(model)


class _Compiled:
    """A compiled core; a request for each caller that is in it at a time."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

    @contextmanager
    def core(self) -> Iterator[Core]:
        """The core for one run. What it returns lies in memory that the next run overwrites."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._model.create_infer_request()

        def run(inputs: list[Wave]) -> list[Wave]:
            return list(request.infer(inputs, share_inputs=True, share_outputs=True).values())

        yield run
        self._idle.put(request)
