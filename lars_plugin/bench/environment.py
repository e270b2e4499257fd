# SPDX-License-Identifier: GPL-3.0-or-later
"""What a figure depends on besides the code: machine, versions, commit."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import lars_plugin
from lars_plugin.evaluation.results import machine, versions

__all__ = ["environment"]

_OPTIONAL = ("openvino", "nncf")
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def environment() -> dict[str, Any]:
    """Machine, versions, commit and load, as JSON knows them."""
    found = versions()
    for package in _OPTIONAL:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "command": ["lars", *sys.argv[1:]],
        "commit": _commit(),
        "versions": found,
        "machine": {**machine(), "instructions": _instructions()},
        # A busy machine spoils ratios; nobody should have to guess whether it was.
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def _commit() -> str | None:
    """Of the checkout this package runs from, ``+`` for one with changes; None in a wheel."""
    folder = Path(lars_plugin.__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _instructions() -> list[str]:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return []
    flags = next(
        (
            line
            for line in info.read_text(encoding="utf-8").splitlines()
            if line.startswith("flags")
        ),
        "",
    )
    return [name for name in _INSTRUCTIONS if name in flags.split()]
