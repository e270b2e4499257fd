# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of ``lars separate --json`` share: recordings, and how their documents are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lars_plugin.audio import write_audio

RATE = 44100

# The fixture ``separate``: arguments to exit code, document, stderr.
Separate = Callable[..., "tuple[int, dict[str, Any], str]"]


def drums(name: str, seed: int = 0, frames: int = 4000) -> Path:
    """A recording of noise in the current folder."""
    wave = np.random.default_rng(seed).standard_normal((2, frames)) * 0.1
    write_audio(name, wave.astype(np.float32), RATE, bits="16")
    return Path(name)


def status(document: dict[str, Any]) -> list[str]:
    """What became of each input."""
    return [result["status"] for result in document["results"]]
