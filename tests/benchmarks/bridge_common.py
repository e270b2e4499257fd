# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks of the bridge share: an engine, a paced client, percentiles, JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lars_plugin
from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineProcess

__all__ = [
    "machine",
    "paced_options",
    "parser",
    "percentiles",
    "run_paced",
    "start_engine",
    "write",
]

RATE = 44100
# After a callback that was late by more than a block, those behind it come at once.
EXCUSE_SECONDS = 0.05


def start_engine(*, realtime: bool = False) -> EngineProcess:
    """``lars serve`` with the models of ``bridge_models.py``."""
    folder = str(Path(__file__).parent)
    arguments = ["--models-from", "bridge_models"]
    if realtime:
        arguments.append("--realtime")
    return EngineProcess(arguments, environment={"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"})


def parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """With the options that all have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--out", type=Path, default=Path(f"bench/{name}.json"))
    made.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes: does it run, not how fast"
    )
    return made


def machine() -> dict[str, Any]:
    """Where and when this was measured, and how busy it was."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "lars_plugin": lars_plugin.__version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In microseconds."""
    values = np.asarray(seconds) * 1e6
    return {
        "p50_us": round(float(np.percentile(values, 50)), 1),
        "p99_us": round(float(np.percentile(values, 99)), 1),
        "max_us": round(float(values.max()), 1),
    }


def write(path: Path, name: str, results: Any) -> None:
    """Write the figures as JSON and show them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"benchmark": name, "machine": machine(), "results": results}, indent=1)
    path.write_text(text + "\n", "utf-8")
    print(text)


def paced(clients: list[Client], block: int, callbacks: int) -> dict[str, object]:
    """Each client gets a block per period; what is not there at once is missed."""
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, block)).astype(np.float32)
    period, late, missed, excused, stalled = block / RATE, [], 0, 0, -1.0
    start = time.perf_counter() + 0.05
    before = [0] * len(clients)
    for turn in range(callbacks):
        due = start + turn * period
        time.sleep(max(0.0, due - time.perf_counter()))
        late.append(max(0.0, time.perf_counter() - due))
        if late[-1] > period:
            stalled = due + late[-1]
        for number, client in enumerate(clients):
            # No patience: what has not come since the last callback is a miss.
            client.process(wave, patience=0.0)
            now = client.missing_samples
            missed += now > before[number]
            # Until the engine's buffering has passed once more.
            excused += now > before[number] and due <= stalled + EXCUSE_SECONDS
            before[number] = now
    stats = [client.stats() for client in clients]
    return {
        "sessions": len(clients),
        "block": block,
        "callbacks": callbacks,
        "latency_samples": clients[0].latency_samples,
        "misses": missed,
        "misses_right_after_late_callbacks": excused,
        "missing_samples": sum(one.missing for one in stats),
        "replaced_by_engine": sum(one.replaced for one in stats),
        "real_time_ratio": round(max(one.real_time_ratio for one in stats), 5),
        # Of this process: no engine can be in time for a callback that came too late itself.
        "late_callbacks": sum(lateness > period for lateness in late),
        "callback_lateness": percentiles(late),
    }


def run_paced(
    engine: EngineProcess,
    model: str,
    sessions: int,
    block: int,
    callbacks: int,
    *,
    step: int | None,
    buffering: int | None,
) -> dict[str, object]:
    """Open so many sessions, warm the model, and call them at the sound card's pace."""
    name = f"{model}-{block}" if model.startswith("identity") else model
    clients = [engine.client(timeout=60) for _ in range(sessions)]
    try:
        for client in clients:
            client.open(name, RATE, max_block=block, step=step, buffering=buffering)
            # The first run of a network allocates and compiles.
            client.process(np.zeros((2, 4 * client.latency_samples), np.float32), patience=60)
            client.reset()
        return paced(clients, block, callbacks)
    finally:
        for client in clients:
            client.close()


def paced_options(arguments: argparse.ArgumentParser) -> None:
    """Those of the benchmarks with paced callbacks."""
    arguments.add_argument("--model", default="identity", help="identity, lars-live, lars-mini ...")
    arguments.add_argument("--blocks", "--block", type=int, nargs="+", default=[128, 512])
    arguments.add_argument("--callbacks", type=int, default=10000)
    arguments.add_argument("--step", type=int, help="samples between runs (default: the model's)")
    arguments.add_argument("--buffering", type=int, help="samples (default: the engine's choice)")
    arguments.add_argument(
        "--realtime",
        action="store_true",
        help="engine and callbacks before ordinary programs, as sound cards' callbacks are",
    )
