# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a recording is struck, as the refinement wants it: arrays of samples for each stem.

The transcriber that hears it belongs to :mod:`lars_plugin.midi`, which builds on separation. So it
is imported only where a model asks for templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import is_silent
from lars_plugin.model import Wave
from lars_plugin.zoo.registry import find_weights
from lars_plugin.zoo.transcribers import DEFAULT, find_transcriber

if TYPE_CHECKING:
    from lars_plugin.midi.transcriber import Transcriber

__all__ = ["StrokeListener"]


class StrokeListener:
    """Hears the strokes of a recording, window by window.

    Args:
        stems: names; ride and crash count as cymbals where those are one stem.
        sample_rate: Hz, from 8 kHz.

    Raises:
        ModelNotFoundError: the transcriber, or its weights, are not on this machine.
    """

    def __init__(self, stems: Sequence[str], sample_rate: float) -> None:
        self._stems = tuple(stems)
        self._rate = sample_rate
        # It is loaded with the first window, but what is missing must be said at once.
        card = find_transcriber(DEFAULT)
        find_weights(card, card.folder)
        self._transcriber: Transcriber | None = None

    def __call__(self, mixture: Wave) -> list[NDArray[np.int64]] | None:
        """Strokes of each stem in samples, ascending.

        Args:
            mixture: ``(channels, samples)`` float32.

        Returns:
            An array for each stem, or None where nothing can be heard: silence, NaN or Inf.
        """
        if not np.isfinite(mixture).all() or is_silent(mixture):
            return None
        from lars_plugin.midi.heard import strokes_heard
        from lars_plugin.midi.transcriber import load_transcriber

        if self._transcriber is None:
            self._transcriber = load_transcriber(DEFAULT)
        heard = self._transcriber.hear(mixture, self._rate)
        found: dict[str, list[int]] = {stem: [] for stem in self._stems}
        for time, stem, *_ in strokes_heard(heard, self._transcriber.thresholds):
            if stem in ("ride", "crash") and stem not in found:
                stem = "cymbals"
            if stem in found:
                found[stem].append(round(time * self._rate))
        return [np.array(sorted(samples), np.int64) for samples in found.values()]
