# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts as records have them: compressed, limited, clipped, on tape, resampled, encoded.

:class:`Records` wraps any source of excerpts. What belongs to no stem, hiss and hum and what an
encoder adds in silence, becomes one more row behind the stems; with a stem "other" it is part of
that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lars_plugin.training.data.sources import Source
from lars_plugin.training.render.renderer import STEMS
from lars_plugin.training.sounds.codecs import coded, have_encoder, split_difference
from lars_plugin.training.sounds.mastering import (
    clip,
    compress_beside,
    flutter,
    limit,
    noise_of_tape,
    resampled_once,
)

__all__ = ["Records", "RecordsConfig"]

Wave = NDArray[np.float32]

_KBITS = (96, 128, 160, 192)


@dataclass(frozen=True)
class RecordsConfig:
    """Probabilities in [0, 1]; all but the first are of excerpts that are treated at all."""

    treated: float = 0.65
    parallel: float = 0.2
    flutter: float = 0.1
    noise: float = 0.3
    limit: float = 0.4
    clip: float = 0.2
    resampled: float = 0.15
    encoded: float = 0.25  # none where PyAV is missing


class Records:
    """A source whose excerpts went through a studio, a medium and an encoder.

    Args:
        source: of stems.
        seed: same seed and source, same excerpts.
        config: how often.
    """

    def __init__(self, source: Source, seed: int, config: RecordsConfig | None = None) -> None:
        self.source = source
        self.config = config or RecordsConfig()
        self.rng = np.random.default_rng(seed)
        self._encoder = have_encoder()

    def render(self, samples: int) -> Wave:
        """A new excerpt ``(S, 2, samples)``, or ``(S + 1, 2, samples)`` with the six drum stems.

        The rows add up to the mixture, whose peak is the source's.
        """
        return self.treat(self.source.render(samples))

    def treat(self, stems: Wave) -> Wave:
        """The same stems on a record: see :meth:`render`."""
        rng, config = self.rng, self.config
        rest = np.zeros_like(stems[0])
        peak = float(np.abs(stems.sum(0)).max())
        if peak > 1e-5 and rng.random() < config.treated:
            if rng.random() < config.parallel:
                stems = compress_beside(rng, stems)
            if rng.random() < config.flutter:
                stems = flutter(rng, stems)
            if rng.random() < config.noise:
                rest = noise_of_tape(rng, stems.sum(0))
            whole = np.concatenate([stems, rest[None]])
            if rng.random() < config.limit:
                whole = limit(rng, whole)
            if rng.random() < config.clip:
                whole = clip(rng, whole)
            if rng.random() < config.resampled:
                whole = resampled_once(rng, whole)
            if self._encoder and rng.random() < config.encoded:
                whole = self._encode(whole)
            whole = whole * np.float32(peak / (np.abs(whole.sum(0)).max() + 1e-9))
            stems, rest = whole[:-1], whole[-1]
        if len(stems) > len(STEMS):
            stems = np.concatenate([stems[:-1], stems[-1:] + rest])
        else:
            stems = np.concatenate([stems, rest[None]])
        return np.ascontiguousarray(stems, np.float32)

    def _encode(self, whole: Wave) -> Wave:
        codec = ("mp3", "aac")[int(self.rng.random() < 0.4)]
        kbits = int(self.rng.choice(_KBITS))
        mixture = whole.sum(0)
        heard = coded(mixture, codec, kbits)
        result = split_difference(whole, heard - mixture)
        # What it adds where all is silent belongs to nobody.
        result[-1] += heard - result.sum(0)
        return result
