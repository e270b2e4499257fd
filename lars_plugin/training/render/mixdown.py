# SPDX-License-Identifier: GPL-3.0-or-later
"""The last steps of a rendering, the same for every stem, so that stems still add up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.training.sounds.effects import bus_gain, equalise_mixture, lowpass
from lars_plugin.training.sounds.effects import tape as through_tape

__all__ = ["mix_down"]

Wave = NDArray[np.float32]


def mix_down(
    rng: np.random.Generator,
    stems: Wave,
    *,
    bus: float,
    dull: float,
    mono: float,
    level_db: float,
    equaliser: float = 0.0,
    tape: float = 0.0,
    one_sided: float = 0.0,
) -> Wave:
    """Perhaps an equaliser, tape, a bus compressor, a low-pass, mono; then a level.

    Args:
        rng: what to draw with.
        stems: ``(S, 2, samples)`` float32.
        bus: probability of one time-varying gain for all stems.
        dull: probability of a low-pass.
        mono: probability of equal channels.
        level_db: the mixture peaks between this far below full scale, and full scale.
        equaliser: probability of one equaliser for all stems.
        tape: probability of a saturation that is one gain for all stems.
        one_sided: of mono mixtures, the share with a silent or an inverted right channel.

    Returns:
        New stems of the same shape; silence stays silence.
    """
    if equaliser and rng.random() < equaliser:
        stems = equalise_mixture(rng, stems)
    if tape and rng.random() < tape:
        stems = through_tape(rng, stems)
    if rng.random() < bus:
        stems = stems * bus_gain(rng, stems.sum(0))
    if rng.random() < dull:
        stems = lowpass(rng, stems)
    if rng.random() < mono:
        stems = np.repeat(stems.mean(1, keepdims=True), 2, axis=1)
        if one_sided and rng.random() < one_sided:
            stems[:, 1] *= np.float32(rng.choice([-1.0, 0.0]))
    peak = float(np.abs(stems.sum(0)).max())
    if peak > 1e-5:
        stems = stems * np.float32(10 ** (-level_db * rng.beta(1, 4) / 20) / peak)
    return np.ascontiguousarray(stems, np.float32)
