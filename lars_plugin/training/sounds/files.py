# SPDX-License-Identifier: GPL-3.0-or-later
"""Audio files that training reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from lars_plugin.errors import DatasetError

__all__ = ["read_wave"]


def read_wave(
    path: Path, frames: int = -1, start: int = 0, *, what: str = ""
) -> tuple[NDArray[np.float32], int]:
    """A file, or a part of it.

    Args:
        path: of any format that libsndfile reads.
        frames: how many to read at most; all for -1.
        start: the first one.
        what: names the file's kind in errors: "impulse response".

    Returns:
        ``(frames, channels)`` float32, and the rate in Hz.

    Raises:
        DatasetError: the file cannot be read, or holds NaN or Inf.
    """
    name = f"the {what} {path}" if what else str(path)
    try:
        wave, rate = soundfile.read(path, frames, start, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise DatasetError(f"cannot read {name}: {error}") from error
    # One such sample spreads over whole excerpts, and then over all weights.
    if not np.isfinite(wave).all():
        raise DatasetError(f"{name} holds NaN or Inf: repair or remove it")
    return wave, rate
