# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a transcriber's network: with PyTorch, or with OpenVINO, which is faster.

Both take and give NumPy arrays, and any thread may call.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends.errors import engine_errors
from lars_plugin.dsp.parallel import default_threads
from lars_plugin.forks import fork_count, settle_torch
from lars_plugin.networks.transcriber.config import TranscriberConfig
from lars_plugin.pickling import NotPickled

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.backends.openvino.cache import Conversions
    from lars_plugin.networks.transcriber.network import Transcriber

__all__ = ["OpenVINOParts", "PartRunner", "TorchParts"]

log = logging.getLogger(__name__)

# Changes whenever what is converted, or how, does.
_CONVERSION = 1

Floats = NDArray[np.float32]


class PartRunner(Protocol):
    """Runs the parts that :mod:`lars_plugin.networks.transcriber.parts` names."""

    def __call__(self, part: str, *inputs: Floats) -> list[Floats]:
        """The outputs of a part, float32, new arrays."""
        ...


class TorchParts:
    """With PyTorch, on the processor.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: Transcriber) -> None:
        from lars_plugin.networks.transcriber.parts import parts_of

        self._parts = parts_of(network)

    def __call__(self, part: str, *inputs: Floats) -> list[Floats]:
        import torch

        settle_torch()
        with engine_errors("torch cpu float32"), torch.inference_mode():
            outputs = self._parts[part](*(torch.from_numpy(one) for one in inputs))
            if not isinstance(outputs, tuple):
                outputs = (outputs,)
            return [np.array(one.numpy(), np.float32) for one in outputs]


@dataclass(frozen=True)
class _Part:
    """What OpenVINO converts."""

    module: Callable[[], nn.Module]

    def core(self) -> nn.Module:
        return self.module()


class OpenVINOParts(NotPickled):
    """With OpenVINO, in float32. A part is converted once, then cached; PyTorch is only needed for
    that.

    Args:
        config: the network's shape.
        load: makes the network with its weights, in evaluation mode.
        identity: what a conversion depends on besides versions. JSON values.
        cache: where conversions are kept; see ``Conversions`` in
            :mod:`lars_plugin.backends.openvino.cache`.

    Raises:
        InputError: OpenVINO is missing.
    """

    def __init__(
        self,
        config: TranscriberConfig,
        load: Callable[[], Transcriber],
        identity: Mapping[str, Any],
        cache: Path | Conversions,
    ) -> None:
        from lars_plugin.backends.openvino.convert import optional

        optional("openvino", "openvino")
        self._load, self._identity, self._cache = load, dict(identity), cache
        width = config.channels[1] * -(-config.bands // 8)
        # -1 is any number of frames.
        self._shapes: dict[str, tuple[tuple[int, ...], ...]] = {
            "listen": ((1, -1, config.bands),),
            "decide": ((1, -1, width),),
        }
        if config.causal:
            self._shapes["follow"] = ((1, 1, width), (config.layers, 1, config.hidden))
        self._lock, self._forks = threading.Lock(), fork_count()
        # Of each part the network, and requests that nobody uses at the moment.
        self._compiled: dict[str, tuple[Any, queue.SimpleQueue[Any]]] = {}

    def __call__(self, part: str, *inputs: Floats) -> list[Floats]:
        with engine_errors("openvino cpu float32"):
            model, idle = self._ready(part)
            try:
                request = idle.get_nowait()
            except queue.Empty:
                request = model.create_infer_request()
            outputs = [np.array(one, np.float32) for one in request.infer(inputs).values()]
            idle.put(request)
            return outputs

    def prepare(self) -> None:
        """Convert and compile everything now: from the weights that were looked at, and not while
        a stream waits. Broken weights are found here.

        Raises:
            ModelError: as the loading of the network raises it.
            EngineError: it cannot be converted.
        """
        with engine_errors("openvino cpu float32"):
            for part in self._shapes:
                self._ready(part)

    def _ready(self, part: str) -> tuple[Any, queue.SimpleQueue[Any]]:
        if self._forks != fork_count():
            self._after_fork()
        with self._lock:
            if part not in self._compiled:
                self._compiled[part] = self._compile(part), queue.SimpleQueue()
            return self._compiled[part]

    def _after_fork(self) -> None:
        """In a forked child: compile again, since the threads of what was compiled are gone."""
        from lars_plugin.backends.openvino.runtime import fork_lock, keep_for_ever

        with fork_lock():
            if self._forks != fork_count():
                keep_for_ever(self._compiled)
                self._lock, self._compiled = threading.Lock(), {}
                self._forks = fork_count()

    def _compile(self, part: str) -> Any:
        from lars_plugin.backends.openvino.runtime import compile_core

        def module() -> nn.Module:
            from lars_plugin.networks.transcriber.parts import parts_of

            return parts_of(self._load())[part]

        shapes = self._shapes[part]
        return compile_core(
            _Part(module),
            shapes,
            cache=self._cache,
            environment={
                "conversion": _CONVERSION,
                "identity": self._identity,
                "part": part,
                "shapes": shapes,
            },
            precision="float32",
            properties={
                "PERFORMANCE_HINT": "LATENCY",
                # A single frame is over before another thread has begun.
                "INFERENCE_NUM_THREADS": 1 if part == "follow" else default_threads(),
                "ENABLE_CPU_PINNING": False,
            },
            on_convert=lambda: log.warning(
                "converting %s of the transcriber for OpenVINO; once, then cached", part
            ),
        )
