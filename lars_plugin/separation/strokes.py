# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a recording is struck, as the refinement wants it: arrays of samples for each stem.

Transcribers belong to :mod:`lars_plugin.midi`, which builds on separation. So nothing is imported
from there: the zoo's table of transcribers says who loads one, as for everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import is_silent
from lars_plugin.model import Wave
from lars_plugin.networks.transcriber.config import GROUPS
from lars_plugin.networks.transcriber.kinds import kinds_at
from lars_plugin.zoo.registry import find_weights
from lars_plugin.zoo.transcribers import DEFAULT, find_transcriber, open_transcriber

__all__ = ["StrokeListener"]

# Of a transcriber.
_FRAMES_PER_SECOND = 100


class _Heard(Protocol):
    """What a transcriber heard: chances of each kind of stroke and of each group."""

    strokes: NDArray[np.float32]
    groups: NDArray[np.float32]
    pick: Callable[..., Any]
    after: int


class _Transcriber(Protocol):
    thresholds: Mapping[str, float]

    def hear(self, audio: Wave, sample_rate: float) -> _Heard: ...


class StrokeListener:
    """Hears the strokes of a recording, window by window.

    Args:
        stems: names; ride and crash count as cymbals where those are one stem.
        sample_rate: Hz, from 8 kHz.
        backend: see :func:`~lars_plugin.zoo.transcribers.open_transcriber`.

    Raises:
        ModelNotFoundError: the transcriber, or its weights, are not on this machine.
    """

    def __init__(
        self, stems: Sequence[str], sample_rate: float, backend: str | None = None
    ) -> None:
        self._stems = tuple(stems)
        self._rate, self._backend = sample_rate, backend
        # It is loaded with the first window, but what is missing must be said at once.
        self._card = find_transcriber(DEFAULT)
        find_weights(self._card, self._card.folder)
        self._transcriber: _Transcriber | None = None

    def __call__(self, mixture: Wave) -> list[NDArray[np.int64]] | None:
        """Strokes of each stem in samples, ascending.

        Args:
            mixture: ``(channels, samples)`` float32.

        Returns:
            An array for each stem, or None where nothing can be heard: silence, NaN or Inf.
        """
        if not np.isfinite(mixture).all() or is_silent(mixture):
            return None
        if self._transcriber is None:
            self._transcriber = open_transcriber(self._card, self._backend)
        heard = self._transcriber.hear(mixture, self._rate)
        found: dict[str, list[int]] = {stem: [] for stem in self._stems}
        for time, drum in _strokes(heard, self._transcriber.thresholds):
            cymbal = drum in ("ride", "crash") and drum not in found
            stem = "cymbals" if cymbal else drum
            if stem in found:
                found[stem].append(round(time * self._rate))
        return [np.array(sorted(samples), np.int64) for samples in found.values()]


def _strokes(heard: _Heard, thresholds: Mapping[str, float]) -> Iterator[tuple[float, str]]:
    """Seconds and drum of each peak that is a stroke."""
    for index, group in enumerate(GROUPS):
        picked = heard.pick(heard.groups[:, index], thresholds[group])
        for frame, moment in zip(picked.frames, picked.moments, strict=True):
            seconds = float(moment) / _FRAMES_PER_SECOND
            for drum, _ in kinds_at(heard.strokes, index, int(frame), heard.after):
                yield seconds, drum
