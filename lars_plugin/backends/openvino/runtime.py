# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenVINO itself: whether it is here, its core, and networks compiled for the processor."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.allocator import return_freed_memory
from lars_plugin.backends.openvino.cache import GRAPH, Conversions, cached, kept, key_of, prepared
from lars_plugin.backends.openvino.convert import Convertible, convert, optional, save
from lars_plugin.errors import EngineError
from lars_plugin.networks.shared.prepost import Shapes

__all__ = [
    "compile_core",
    "compile_network",
    "fork_lock",
    "has_bfloat16",
    "has_openvino",
    "keep_for_ever",
    "precision_hint",
]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]

_WITHOUT_BFLOAT16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")
# In int8 what is not convolutions runs in bfloat16.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}

# Changes whenever conversions that were made ahead must not be used any more.
_PREPARED = 1

_lock = threading.Lock()
_core: Any = None


def _unlock() -> None:
    global _lock
    _lock = threading.Lock()  # a thread that is not here may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def fork_lock() -> threading.Lock:
    """A lock of this process, which no thread from before a fork can hold."""
    return _lock


def has_openvino() -> bool:
    """Whether the package is installed; does not import it."""
    return importlib.util.find_spec("openvino") is not None


def has_bfloat16() -> bool:
    """Whether OpenVINO is installed and this processor has arithmetic for bfloat16."""
    if not has_openvino():
        return False
    # OpenVINO asks the processor, and not what convolutions have been told to stay below.
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _WITHOUT_BFLOAT16:
        return False
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def openvino_core() -> Any:
    """OpenVINO's entry point, one for the process, and kept for as long as that lives.

    Its CPU plugin gives the thread that loads it another stack for signals, and frees that stack
    when it is unloaded, perhaps from another thread: the next SIGTERM would then be a crash.
    """
    global _core
    with _lock:
        if _core is None:
            _core = optional("openvino", "openvino").Core()
        return _core


def precision_hint(precision: str) -> str:
    """What OpenVINO calls a precision, as far as this processor has arithmetic for it."""
    return _HINTS[precision] if has_bfloat16() else "f32"


def compile_network(source: Any, precision: str, properties: Mapping[str, Any]) -> Any:
    """A network compiled for the processor, from its file or its graph.

    Args:
        source: path of the file, or the graph.
        precision: ``float32``, ``bfloat16`` or ``int8``.
        properties: OpenVINO's, besides the precision.

    Raises:
        EngineError: it cannot be compiled.
    """
    properties = {"INFERENCE_PRECISION_HINT": precision_hint(precision), **properties}
    try:
        return openvino_core().compile_model(source, "CPU", dict(properties))
    except RuntimeError as error:
        first = str(error).strip().split("\n", 1)[0]
        file = isinstance(source, Path)
        raise EngineError(
            f"OpenVINO cannot compile {source if file else 'this network'} ({first}):"
            f" {'delete it, or ' if file else ''}use --backend torch"
        ) from error


def keep_for_ever(compiled: object) -> None:
    """Never destroy what was compiled before a fork: it would wait for threads that are gone."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(compiled))


def compile_core(
    prepost: Convertible,
    shapes: Shapes,
    *,
    cache: Path | Conversions,
    environment: Mapping[str, Any],
    precision: str,
    properties: Mapping[str, Any],
    on_convert: Callable[[], None],
    calibration: Callable[[], Sequence[Sequence[Wave]]] = lambda: (),
) -> Any:
    """The core of a network compiled for the processor; converted now unless it was before.

    Args:
        prepost: the network.
        shapes: of the core's inputs.
        cache: where conversions are kept; see :class:`.cache.Conversions`.
        environment: what the conversion depends on besides the versions of packages. JSON values.
        precision: ``float32``, ``bfloat16`` or ``int8``.
        properties: OpenVINO's, besides the precision.
        on_convert: called before the conversion, which takes seconds.
        calibration: makes inputs of the core; see :func:`.convert.convert`.

    Raises:
        InputError: a package is missing.
        EngineError: the network cannot be converted or compiled.
    """
    where = cache if isinstance(cache, Conversions) else Conversions(cache)
    lasting = key_of({**environment, "prepared": _PREPARED})
    versions = {
        "openvino": optional("openvino", "openvino").__version__,
        "torch": _version("torch"),
        "system": sys.platform,
    }

    def make() -> Any:
        if not where.ahead:
            on_convert()
        graph = convert(prepost, shapes, calibration=calibration())
        # The network is not needed any more, and a large one was there three times.
        return_freed_memory()
        return graph

    if where.ahead:
        folder = cached(where.root, lasting, lambda to: save(make(), to))
        return compile_network(folder / GRAPH, precision, properties)
    ready = prepared(where.prepared, lasting)
    if ready is not None:
        try:
            return compile_network(ready, precision, properties)
        except EngineError as error:  # made by an OpenVINO that is newer than this one
            log.warning("%s; it is not used", error)
    key = key_of({**environment, **versions})
    return compile_network(kept(where.root, key, make, save), precision, properties)


def _version(package: str) -> str:
    """Of a package; empty where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
