# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's Table 1 beside ours: cases in processes, one after the other, into one table."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lars_plugin.bench.cases import Case
from lars_plugin.errors import EngineError
from lars_plugin.evaluation.tables import Table

__all__ = ["ISAS", "run_cases", "speed_tables"]

NOTHING = "-"

# What makes oneDNN, which PyTorch and OpenVINO both compute with, stay below an instruction set.
# OpenVINO's own code generators ask the processor all the same; see docs/speed.md.
ISAS: Mapping[str, Mapping[str, str]] = {
    "native": {},
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI", "DNNL_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
}

# Seconds a case may take over what is left of the budget: building, tracing, converting, compiling.
_PREPARATION = 120.0


def run_cases(
    cases: Sequence[Case],
    *,
    lengths: Sequence[float],
    budget: float,
    threads: int,
    isa: str = "native",
    quick: bool = False,
    on_progress: Callable[[str], None] = lambda _line: None,
) -> list[dict[str, Any]]:
    """Measure cases side by side.

    Args:
        cases: in order; those that time does not allow are left out, and said to be.
        lengths: of audio, seconds.
        budget: seconds for all.
        threads: of each network.
        isa: a key of :data:`ISAS`.
        quick: as little as possible.
        on_progress: called with the name of each case, and again with what was found: whoever
            ends the run early has seen that much.

    Returns:
        Per case its fields and what the worker found, ``error`` or ``skipped`` instead.
    """
    started = time.monotonic()
    rows = []
    with tempfile.TemporaryDirectory(prefix="lars-bench-") as cache:
        # Random networks of hundreds of megabytes do not belong into the user's cache.
        environment = {
            **os.environ,
            **ISAS[isa],
            "OMP_NUM_THREADS": str(threads),
            "LARS_CACHE": cache,
        }
        for index, case in enumerate(cases):
            row: dict[str, Any] = {**dataclasses.asdict(case), "name": case.name, "isa": isa}
            left = budget - (time.monotonic() - started)
            if left <= 0:
                row["skipped"] = "no time left"
            else:
                on_progress(case.name)
                # Half of its share: the other half is for getting there.
                seconds = 0.5 * left / (len(cases) - index)
                order = {
                    "case": dataclasses.asdict(case),
                    "lengths": list(lengths),
                    "seconds": seconds,
                    "threads": threads,
                    "quick": quick,
                }
                row |= _run(order, environment, left + _PREPARATION)
                on_progress(f"{case.name}: {_briefly(row)}")
            rows.append(row)
    return rows


def _briefly(row: Mapping[str, Any]) -> str:
    if row.get("rows"):
        rtr: float = row["rows"][-1]["rtr"]
        return f"{rtr:.3f} of real time"
    if "step_s" in row:
        return f"{100 * row['step_s'] / row['hop_s']:.0f} % of a hop"
    return str(row.get("error") or row.get("skipped") or "nothing measured")


def _run(order: Mapping[str, Any], environment: Mapping[str, str], limit: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "lars_plugin.bench.worker", json.dumps(order)]
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return {"skipped": f"not done after {limit:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"error": last}
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise EngineError(f"a worker of the benchmark answered {done.stdout!r}") from error
    return found


def speed_tables(rows: Sequence[Mapping[str, Any]], lengths: Sequence[float]) -> list[Table]:
    """Real-time ratios, and live steps where there are any."""
    header = ("", "overlap", *(f"{length:g} s" for length in lengths), "spread",
              "against the original", "SNR", "chunk", "timed", "memory")  # fmt: skip
    base: dict[str, float] = {}
    for row in rows:
        if row.get("rows") and row["backend"].startswith(("torchscript", "field")):
            base[row["model"]] = row["rows"][-1]["rtr"]
    body = []
    models = list(dict.fromkeys(row["model"] for row in rows))
    for row in sorted(rows, key=lambda row: models.index(row["model"])):
        if row["setting"] == "live":
            continue
        if not row.get("rows"):
            why = row.get("error") or row.get("skipped") or "nothing measured"
            body.append((f"{row['name']}: {why}", *[NOTHING] * (len(header) - 1)))
            continue
        last = row["rows"][-1]
        spread = (last["rtr_high"] - last["rtr_low"]) / last["rtr"]
        ratio = base.get(row["model"])
        name = row["name"] + (f", batch {row['batch']}" if row["batch"] > 1 else "")
        body.append(
            (
                name,
                f"{row['overlap']:g}",
                *(f"{part['rtr']:.3f}" for part in row["rows"]),
                f"{100 * spread:.0f} %",
                NOTHING if ratio is None else f"{ratio / last['rtr']:.1f} x",
                f"{row['snr_db']:.1f}" if "snr_db" in row else NOTHING,
                f"{1000 * last['chunk_s']:.0f} ms",
                "{} of {}".format(
                    *(sum(part[key] for part in row["rows"]) for key in ("chunks_timed", "chunks"))
                ),
                f"{row['peak_memory_mb'] or 0:.0f} MB",
            )
        )
    title = "Real-time ratio: seconds of work for a second of audio; below 1 is faster than real"
    tables = [Table(title, header, tuple(body))] if body else []
    live = [row for row in rows if row["setting"] == "live"]
    if live:
        tables.append(_live_table(live))
    return tables


def _live_table(live: Sequence[Mapping[str, Any]]) -> Table:
    header = ("", "hop", "step", "99 %", "longest", "of the hop", "latency", "memory")
    body = []
    for row in live:
        if "step_s" not in row:
            why = row.get("error") or row.get("skipped") or "nothing measured"
            body.append((f"{row['name']}: {why}", *[NOTHING] * (len(header) - 1)))
            continue
        times = [1000 * row[key] for key in ("hop_s", "step_s", "step_s_99", "step_s_high")]
        body.append(
            (
                row["name"],
                *(f"{value:.2f} ms" for value in times),
                f"{100 * row['step_s'] / row['hop_s']:.0f} %",
                f"{1000 * row['latency_s']:.1f} ms",
                f"{row['peak_memory_mb'] or 0:.0f} MB",
            )
        )
    return Table("Live: one hop after the other", header, tuple(body))
