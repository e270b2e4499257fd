# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished run as one JSON document, with everything needed to repeat it."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from lars_plugin import __version__
from lars_plugin.evaluation.run import Outcome
from lars_plugin.evaluation.summary import Summary

__all__ = ["document", "machine", "to_json", "versions"]

FORMAT = "lars-evaluation-1"

_PACKAGES = ("numpy", "scipy", "torch", "soxr", "soundfile", "scikit-learn")


def document(
    outcome: Outcome,
    summary: Summary,
    *,
    command: Sequence[str],
    entries: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything about a run.

    Args:
        outcome: rows and failures.
        summary: their figures.
        command: the arguments of the command, ``lars`` first.
        entries: more of them: folder, layout, jobs ...

    Returns:
        Only JSON types; decibels are finite, or None where no clip counts.
    """
    systems = {}
    for system in summary.systems:
        stems = {}
        for stem in summary.stems:
            cell = summary.cell(system, stem)
            if cell.sdrs or cell.leakages:
                stems[stem] = {
                    "mean": cell.mean,
                    "median": cell.median,
                    "clips": len(cell.sdrs),
                    "leakage": cell.leakage,
                    "silent_clips": len(cell.leakages),
                }
        systems[system] = {
            "model": system in summary.models,
            "real_time_ratio": summary.real_time.get(system),
            **{
                name.replace(" ", "_"): {
                    figure: summary.over_stems(system, figure, names)
                    for figure in ("mean", "median")
                }
                for name, names in summary.groupings.items()
            },
            "stems": stems,
        }
    return {
        "format": FORMAT,
        "command": list(command),
        **entries,
        "silence_db": summary.threshold_db,
        "versions": versions(),
        "machine": machine(),
        "systems": systems,
        "failures": [dataclasses.asdict(failure) for failure in outcome.failures],
        "rows": [dataclasses.asdict(row) for row in outcome.rows],
    }


def to_json(result: Mapping[str, Any]) -> str:
    """As text. A NaN that slipped through is a bug, and an error."""
    return json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def versions() -> dict[str, str]:
    """Versions of this package, Python, and packages that the figures depend on."""
    found = {"lars-plugin": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # an optional one
    return found


def machine() -> dict[str, Any]:
    """The machine, which the real-time ratio depends on."""
    return {
        "processor": _processor(),
        "cores": _cores(),
        "system": platform.platform(terse=True),
        "architecture": platform.machine(),
    }


def _cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
