# SPDX-License-Identifier: GPL-3.0-or-later
"""One row of `lars bench`, in a process of its own: ``python -m lars_plugin.bench.worker JSON``.

A process of its own has its own peak of memory, its own threads, and the instruction set that
the environment leaves it.

What is timed is the whole stream, cutting and overlap-add included. Where a network takes
seconds a chunk, it runs for as many chunks as the time allows; for the others its last answer
is used and the median of its times is added instead. How many were timed is in the result.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lars_plugin.allocator import keep_freed_memory
from lars_plugin.backends.torchscript import TorchScriptBackend
from lars_plugin.bench.cases import RANDOM, Case, network_config
from lars_plugin.bench.random_weights import random_backend, random_network
from lars_plugin.errors import LarsError
from lars_plugin.model import Backend, CausalBackend, Model, ModelConfig
from lars_plugin.separation.streams.chunked import StreamingSeparator

__all__ = ["measure"]

Wave = NDArray[np.float32]

# Chunks timed for a row at the least, whatever the time: a median needs company. And at most, for
# each length: more would tell nothing new.
_AT_LEAST, _AT_MOST = 3, 15
_LIVE_STEPS = 2000


class _Timed:
    """A backend that runs its network for some calls and repeats its last answer for the rest."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._answer: Wave | None = None
        self.times: list[float] = []
        self.runs = 0  # how many more calls run the network
        self.chunks = 0
        self.chunks_timed = 0
        self.inside = 0.0  # seconds in the network or in its place

    @property
    def name(self) -> str:
        return self._backend.name

    def __call__(self, batch: Wave) -> Wave:
        started = time.perf_counter()
        self.chunks += batch.shape[0]
        if self.runs > 0 or self._answer is None or self._answer.shape[0] != batch.shape[0]:
            self._answer = self._backend(batch)
            self.runs -= 1
            self.chunks_timed += batch.shape[0]
            self.times.append((time.perf_counter() - started) / batch.shape[0])
        answer: Wave = self._answer.copy()
        self.inside += time.perf_counter() - started
        return answer


def measure(
    case: Case, *, lengths: list[float], seconds: float, threads: int, quick: bool = False
) -> dict[str, Any]:
    """Real-time ratios of a case, and what else there is to say about it.

    Args:
        case: what runs.
        lengths: of audio, in seconds.
        seconds: to spend on the timing, about; preparation not counted.
        threads: of the network.
        quick: as little as possible.

    Raises:
        LarsError: this machine cannot run the case.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    config = network_config(case)
    started = time.perf_counter()
    backend = _backend(case, config, threads)
    found: dict[str, Any] = {"backend": backend.name, "overlap": config.chunking.overlap}
    if case.setting == "live":
        assert isinstance(backend, CausalBackend)
        found |= _live(config, backend, 50 if quick else _LIVE_STEPS)
    else:
        rng = np.random.default_rng(0)
        shape = (case.batch, config.channels, config.chunking.chunk_size)
        # Converts and compiles, too.
        found |= _compared(case, backend((0.1 * rng.standard_normal(shape)).astype(np.float32)))
        found["preparation_s"] = round(time.perf_counter() - started, 3)
        found |= _offline(config, backend, lengths, seconds, quick)
    found["peak_memory_mb"] = _peak_memory()
    return found


def _compared(case: Case, stems: Wave) -> dict[str, Any]:
    """SNR of a chunk against that of the model's first row, the field's own where it is there."""
    cache = os.environ.get("LARS_CACHE")
    if case.model not in RANDOM or cache is None:
        return {}
    first = Path(cache) / f"first-{case.model}.npy"
    if not first.exists():
        np.save(first, stems)
        return {}
    wanted = np.load(first).astype(np.float64)
    noise = float(np.square(stems - wanted).sum())
    if noise == 0:
        return {}
    return {"snr_db": round(10 * math.log10(float(np.square(wanted).sum()) / noise), 1)}


def _backend(case: Case, config: ModelConfig, threads: int) -> Backend:
    if case.backend == "field":
        from lars_plugin.bench.field import FieldBackend

        return FieldBackend(config)
    if case.backend != "torchscript":
        return random_backend(case, config, threads)
    # As LARS 2.0 ships its models: traced with a batch of one, saved, loaded.
    wave = torch.zeros(1, config.channels, config.chunking.chunk_size) + 0.01
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.pt"
        jit: Any = torch.jit  # which ships no types
        jit.save(jit.trace(random_network(config), wave, check_trace=False), str(path))
        return TorchScriptBackend(path, stems=len(config.stems), device="cpu")


def _offline(
    config: ModelConfig, backend: Backend, lengths: list[float], seconds: float, quick: bool
) -> dict[str, Any]:
    timed = _Timed(backend)
    rng = np.random.default_rng(1)
    size = config.chunking.chunk_size / config.sample_rate
    timed.runs = 1  # warming up; the backend has run once already
    _stream(config, timed, rng, 2 * size)
    chunk = min(timed.times)
    timed.times.clear()
    fit = int(seconds / len(lengths) / chunk / config.chunking.batch_size)
    lasted = []
    for index, length in enumerate(lengths):
        # A chunk takes as long in a long recording as in a short one, so all lengths share one
        # median; where time is short, all chunks are timed in the first.
        timed.runs = 1 if quick else min(_AT_MOST, max(fit, 0 if index else _AT_LEAST))
        timed.chunks, timed.chunks_timed, timed.inside = 0, 0, 0.0
        whole = _stream(config, timed, rng, length)
        lasted.append((length, timed.chunks, timed.chunks_timed, whole - timed.inside))
    median, low, high = statistics.median(timed.times), min(timed.times), max(timed.times)
    rows = [
        {
            "length_s": length,
            "chunks": chunks,
            "chunks_timed": chunks_timed,
            "chunk_s": round(median, 6),
            "chunk_s_low": round(low, 6),
            "chunk_s_high": round(high, 6),
            "around_s": round(around, 6),
            "rtr": round((around + chunks * median) / length, 6),
            "rtr_low": round((around + chunks * low) / length, 6),
            "rtr_high": round((around + chunks * high) / length, 6),
        }
        for length, chunks, chunks_timed, around in lasted
    ]
    return {"rows": rows}


def _stream(
    config: ModelConfig, backend: Backend, rng: np.random.Generator, length: float
) -> float:
    """Seconds that a stream takes for so many seconds of noise."""
    samples = int(length * config.sample_rate)
    audio = (0.1 * rng.standard_normal((config.channels, samples))).astype(np.float32)
    stream = StreamingSeparator(Model(config, backend))
    started = time.perf_counter()
    for start in range(0, samples, 1 << 16):
        stream.push(audio[:, start : start + (1 << 16)])
    stream.flush()
    return time.perf_counter() - started


def _live(config: ModelConfig, backend: CausalBackend, steps: int) -> dict[str, Any]:
    hop = config.chunking.chunk_size
    rng = np.random.default_rng(0)
    block = (0.1 * rng.standard_normal((config.channels, hop))).astype(np.float32)
    state = backend.initial_state()
    times = []
    for _ in range(steps + steps // 10):
        started = time.perf_counter()
        _, state = backend.step(block, state)
        times.append(time.perf_counter() - started)
    times = sorted(times[-steps:])
    return {
        "hop_s": hop / config.sample_rate,
        "latency_s": (hop + config.chunking.lookahead) / config.sample_rate,
        "steps_timed": steps,
        "step_s": statistics.median(times),
        "step_s_99": times[int(0.99 * (steps - 1))],
        "step_s_high": times[-1],
        "rows": [],
    }


def _peak_memory() -> float | None:
    """Megabytes this process has had at most."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform == "linux" else 1024 * 1024), 1)


def _main() -> None:
    # What libraries print on the way must not end up in the result.
    real, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.WARNING)
    arguments = json.loads(sys.argv[1])
    case = Case(**arguments.pop("case"))
    if hasattr(os, "sched_setaffinity"):
        # Pinned, so that no thread wanders; on the first of the cores we may use.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments["threads"]])
    try:
        result = measure(case, **arguments)
    except LarsError as error:
        result = {"error": str(error)}
    real.write(json.dumps(result, allow_nan=False) + "\n")


if __name__ == "__main__":
    _main()
