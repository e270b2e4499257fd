# SPDX-License-Identifier: GPL-3.0-or-later
"""From PyTorch to OpenVINO's files, in float32 or with int8 weights and activations."""

from __future__ import annotations

import importlib
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.allocator import returning_memory
from lars_plugin.backends.errors import require_torch
from lars_plugin.backends.openvino.cache import GRAPH
from lars_plugin.errors import EngineError, InputError
from lars_plugin.forks import settle_torch
from lars_plugin.networks.shared.prepost import PrePost, Shapes

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Convertible", "convert", "core_inputs", "optional", "save"]

log = logging.getLogger(__name__)

Wave = NDArray[np.float32]

# The size in the example of a dimension that may have any.
_SOME = 50
_CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData")


class Convertible(Protocol):
    """What has a core: a :class:`~lars_plugin.networks.shared.prepost.PrePost`, for one."""

    def core(self) -> nn.Module:
        """The core with its weights, in eval mode."""
        ...


@contextmanager
def _unreported() -> Iterator[None]:
    """OpenVINO's converter and NNCF report their use to their makers over the network, unless they
    find themselves in a test. Nobody who separates a recording has agreed to that."""
    old = {name: os.environ.get(name) for name in ("CI", "NNCF_CI")}
    os.environ.update(dict.fromkeys(old, "true"))
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def optional(name: str, extra: str) -> Any:
    """A package that is not part of the default installation.

    Raises:
        InputError: it is not installed.
    """
    try:
        with _unreported():
            return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"this needs {name}: run `pip install lars-plugin[{extra}]`, or use another backend"
            " or precision"
        ) from error


def convert(
    prepost: Convertible, shapes: Shapes, *, calibration: Sequence[Sequence[Wave]] = ()
) -> Any:
    """A network's core as a graph of OpenVINO.

    Args:
        prepost: whose core it is.
        shapes: of the core's inputs; -1 where any size will do.
        calibration: inputs of the core, from real audio: weights and activations of the
            convolutions become int8 in the ranges seen here. None: they stay float32.

    Raises:
        InputError: a package is missing.
        EngineError: the conversion failed.
    """
    require_torch("converting this network for OpenVINO")
    import torch  # not needed where a conversion is there already

    openvino = optional("openvino", "openvino")
    settle_torch()
    started = time.perf_counter()
    core = prepost.core().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    some = [[_SOME if size < 0 else size for size in shape] for shape in shapes]
    examples = tuple(0.1 * torch.randn(shape, generator=generator) for shape in some)
    try:
        with returning_memory(), warnings.catch_warnings(), torch.no_grad(), _unreported():
            # PyTorch discourages tracing; sizes that become constants are meant to.
            warnings.simplefilter("ignore")
            trace: Any = torch.jit  # which ships no types
            graph = openvino.convert_model(
                trace.trace(core, examples, check_trace=False),
                input=[list(shape) for shape in shapes],
            )
            if calibration:
                graph = _quantised(graph, calibration)
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        first = (str(error) or type(error).__name__).split("\n", 1)[0]
        raise EngineError(
            f"OpenVINO cannot convert this network: {first}; use --backend torch"
        ) from error
    log.info("converted for OpenVINO in %.1f s", time.perf_counter() - started)
    return graph


def save(graph: Any, folder: Path) -> None:
    """Write a graph as ``model.xml`` and ``model.bin``.

    Raises:
        OSError: it cannot be written, or not whole.
    """
    try:
        with _unreported():
            # As it is: half-precision constants would be a loss nobody asked for.
            optional("openvino", "openvino").save_model(
                graph, folder / GRAPH, compress_to_fp16=False
            )
    except RuntimeError as error:
        raise OSError(str(error).strip().split("\n", 1)[0]) from error


def _quantised(graph: Any, calibration: Sequence[Sequence[Wave]]) -> Any:
    nncf = optional("nncf", "int8")
    logging.getLogger("nncf").setLevel(logging.ERROR)  # it tells about every step
    data = nncf.Dataset([dict(enumerate(inputs)) for inputs in calibration])
    # All arithmetic is in the wide convolutions. What comes before the first norm or decides
    # the output has a range that 256 steps do not cover, and little to gain.
    names, types = [], set()
    for node in graph.get_ops():
        kind = node.get_type_name()
        if kind not in _CONVOLUTIONS:
            types.add(kind)
        elif list(node.input(1).get_shape())[-2:] == [1, 1]:
            names.append(node.get_friendly_name())
    ignored = nncf.IgnoredScope(names=names, types=sorted(types), validate=False)
    return nncf.quantize(graph, data, subset_size=len(calibration), ignored_scope=ignored)


def core_inputs(prepost: PrePost, waves: Wave) -> list[list[Wave]]:
    """What the core of a network sees of waves ``(B, C, L)``, a list of arrays for each."""

    class Seen(Exception):  # noqa: N818 # no error: it leaves where the core would begin
        pass

    seen: list[list[Wave]] = []

    def look(inputs: list[Wave]) -> list[Wave]:
        seen.append([one.copy() for one in inputs])
        raise Seen

    for wave in waves:
        try:
            prepost(wave, look)
        except Seen:
            continue
    return seen
