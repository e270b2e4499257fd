# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip: a mixture with its stems, as files and in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio import check_channels, read_audio
from lars_plugin.errors import DatasetError, InputError
from lars_plugin.model import STEM_NAMES

__all__ = ["Clip", "Recording", "load_clip", "spread", "stem_order"]

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """Paths of one mixture and its stems.

    Attributes:
        name: unique in its folder: the path below it, with ``/``.
        stems: canonical name to the files whose sum is that stem.
        mixture: its file, or None: the sum of the stems.
        kit: which drum kit plays; empty when that is not known.
        variant: how it is changed after reading, see ``variants.py``; empty for no change.
    """

    name: str
    stems: Mapping[str, tuple[Path, ...]]
    mixture: Path | None = None
    kit: str = ""
    variant: str = ""


@dataclass(frozen=True)
class Recording:
    """A clip in memory: all waves ``(channels, samples)`` float32 of one shape."""

    mixture: Wave
    references: Mapping[str, Wave]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return float(self.mixture.shape[1] / self.sample_rate)


def spread(clips: Sequence[Clip], limit: int) -> list[Clip]:
    """At most ``limit`` clips, evenly spread over all of them, in order.

    Raises:
        InputError: a limit below 1.
    """
    if limit < 1:
        raise InputError(f"the limit must be 1 or more, got {limit}")
    count = min(limit, len(clips))
    return [clips[index * len(clips) // count] for index in range(count)]


def load_clip(clip: Clip) -> Recording:
    """Read a clip. Shorter files are followed by silence; mono goes to both channels.

    Raises:
        DatasetError: files of different rates.
        AudioFileError: a file cannot be read.
        InputError: more than two channels.
    """
    read: dict[Path, Wave] = {}
    rates: dict[int, Path] = {}
    files = [path for paths in clip.stems.values() for path in paths]
    for path in [*files, *([clip.mixture] if clip.mixture else [])]:
        read[path], rate = read_audio(path)
        check_channels(read[path].shape[0], path)
        rates.setdefault(rate, path)
    if len(rates) != 1:
        what = ", ".join(f"{path.name} {rate} Hz" for rate, path in rates.items())
        raise DatasetError(f"the files of {clip.name} have different rates: {what}")
    shape = tuple(max(wave.shape[axis] for wave in read.values()) for axis in (0, 1))

    def total(paths: Sequence[Path]) -> Wave:
        wave = np.zeros(shape, np.float32)
        for path in paths:
            wave[:, : read[path].shape[1]] += read[path]
        return wave

    references = {name: total(paths) for name, paths in clip.stems.items()}
    mixture = total([clip.mixture] if clip.mixture else files)
    return Recording(mixture, references, next(iter(rates)))


def stem_order(name: str) -> int:
    """Sorts stems as users know them."""
    return STEM_NAMES.index(name) if name in STEM_NAMES else len(STEM_NAMES)
