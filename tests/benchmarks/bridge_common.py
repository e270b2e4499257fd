# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks of the bridge share: an engine, the machine's name, percentiles, JSON."""

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
from lars_plugin.bridge.embedded import EngineProcess

__all__ = ["machine", "parser", "percentiles", "start_engine", "write"]


def start_engine() -> EngineProcess:
    """``lars serve`` with the models of ``bridge_models.py``."""
    folder = str(Path(__file__).parent)
    arguments = ["--models-from", "bridge_models"]
    return EngineProcess(arguments, environment={"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"})


def parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """With the option that all have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--out", type=Path, default=Path(f"bench/{name}.json"))
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
