# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that the tests of a release run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What needs a shell script, ours or a small program in place of a large one.
posix = pytest.mark.skipif(os.name != "posix", reason="shell scripts run on POSIX systems")


def call(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, env={**os.environ, **environment},
        text=True, encoding="utf-8", capture_output=True, check=False,
    )  # fmt: skip


def stand_in(folder: Path, name: str, lines: str) -> dict[str, str]:
    """A program of this name that is found first; returns the environment for that."""
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n", "utf-8")
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
