# SPDX-License-Identifier: GPL-3.0-or-later
"""What a processor can do at most: the convolution that most of the big network consists of.

Alone, its data in place, nothing around it: no backend that computes convolutions as OpenVINO does
(directly; transforms such as Winograd's need fewer products) runs the network faster than its
arithmetic divided by this.

A program, ``python -m lars_plugin.bench.ceiling``: a row of it is a process of its own like every
other.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lars_plugin.backends.openvino.runtime import has_bfloat16, has_openvino
from lars_plugin.bench.cases import Case, network_config
from lars_plugin.errors import EngineError
from lars_plugin.evaluation.tables import Table

__all__ = ["ceiling_tables", "chunk_operations", "measure_ceiling"]

# "small" at its finest scale: 128 channels, 256 frames by 256 frequencies in each of 4 subbands.
_CHANNELS, _SIDE, _KERNEL = 128, 256, 3
_QUICK_SIDE = 32
# One after the other, so that what goes in and comes out of the first and last hardly counts.
_LAYERS = 6
_RUNS = 7


def measure_ceiling(
    *, threads: int, environment: Mapping[str, str], quick: bool = False
) -> list[dict[str, Any]]:
    """Billions of operations per second for each precision that there is arithmetic for.

    A multiplication and an addition are two operations.

    Args:
        threads: of the convolution.
        environment: of the processes.
        quick: a small one: a test of the function, no figures.

    Raises:
        EngineError: a process failed.
    """
    if not has_openvino():
        return []
    rows = []
    for precision in ("float32", "bfloat16", "int8"):
        command = [sys.executable, "-m", "lars_plugin.bench.ceiling", precision, str(threads)]
        command += [str(_QUICK_SIDE if quick else _SIDE)]
        done = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, encoding="utf-8"
        )
        if done.returncode:
            raise EngineError(f"the ceiling was not measured: {done.stderr.strip()[-300:]}")
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return [row for row in rows if row]


def chunk_operations() -> float:
    """Operations that the network "small" needs for a chunk: convolutions and matrix products."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from lars_plugin.zoo.backends import network_prepost
    from lars_plugin.zoo.checkpoints import build_network

    config = network_config(Case("small", "openvino", "float32", "paper"))
    with torch.device("meta"):  # shapes without numbers
        prepost = network_prepost(config, lambda: build_network(config))
        sizes = prepost.core_shapes(config.channels, config.chunking.chunk_size)
        inputs = [torch.empty(size) for size in sizes]
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            prepost.core()(*inputs)
    return float(counter.get_total_flops())


def ceiling_tables(found: Sequence[Mapping[str, Any]], operations: float) -> list[Table]:
    """What :func:`measure_ceiling` found, and what "small" can reach with it."""
    if not found:
        return []
    config = network_config(Case("small", "openvino", "float32", "paper"))
    chunk_s = config.chunking.chunk_size / config.sample_rate
    lines = []
    for row in found:
        least = operations / 1e9 / row["gops"]
        lines.append(
            (
                row["precision"],
                f"{row['gops']:.0f}",
                f"{1000 * least:.0f} ms",
                *(f"{overlap * least / chunk_s:.2f}" for overlap in (1.1, 2, 4)),
            )
        )
    title = (
        f"The ceiling: a {_KERNEL} x {_KERNEL} convolution, {_CHANNELS} to {_CHANNELS} channels,"
        f' alone; "small" needs {operations / 1e9:.0f} billion operations a chunk'
    )
    header = ("", "billion a second", "a chunk at least", "RTR at 1.1", "at 2", "at 4")
    return [Table(title, header, tuple(lines))]


def _measure(precision: str, threads: int, side: int) -> dict[str, Any] | None:
    import openvino
    from openvino import opset13 as ops

    from lars_plugin.backends.openvino.runtime import compile_network

    if precision == "bfloat16" and not has_bfloat16():
        return None
    rng = np.random.default_rng(0)

    def quantised(node: Any, most: float, levels: int) -> Any:
        if precision != "int8":
            return node
        low, high = (np.float32(sign * most) for sign in (-1, 1))
        return ops.fake_quantize(node, low, high, low, high, levels)

    shape = [1, _CHANNELS, side, side]
    wave = ops.parameter(shape, np.float32)
    node: Any = wave
    for _ in range(_LAYERS):
        size = (_CHANNELS, _CHANNELS, _KERNEL, _KERNEL)
        scale = (2 / (_CHANNELS * _KERNEL**2)) ** 0.5
        weights = (scale * rng.standard_normal(size)).astype(np.float32)
        kernel = quantised(ops.constant(weights), float(np.abs(weights).max()), 255)
        pad = [_KERNEL // 2] * 2
        node = ops.relu(ops.convolution(quantised(node, 6, 256), kernel, [1, 1], pad, pad, [1, 1]))
    model = openvino.Model([ops.reduce_mean(node, [1, 2, 3])], [wave])
    properties = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    request = compile_network(model, precision, properties).create_infer_request()
    inputs = [rng.standard_normal(shape).astype(np.float32)]
    times = []
    for _ in range(_RUNS + 2):
        started = time.perf_counter()
        request.infer(inputs, share_inputs=True, share_outputs=True)
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times[2:])
    operations = 2.0 * _LAYERS * _CHANNELS**2 * _KERNEL**2 * side**2
    return {"precision": precision, "gops": round(operations / seconds / 1e9, 1)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(sys.argv[1], *map(int, sys.argv[2:]))) + "\n")
