# SPDX-License-Identifier: GPL-3.0-or-later
"""Impulse responses of a rectangular room, by the image-source method (Allen and Berkley 1979,
"Image method for efficiently simulating small-room acoustics", equation 10).

Evaluation uses rooms that training does not have. Here the delay, level and direction of every
reflection follow from geometry, so the two overheads record one sound field. Training draws
all reflections but the floor's at random.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

__all__ = ["overheads"]

_SPEED = 343.0  # of sound, in m/s
_SECONDS = 0.5
# Positions of the drums in metres from the stool: right of it, in front of it, above the floor.
_PLACES = {
    "kick": (0.0, 0.8, 0.3),
    "snare": (-0.2, 0.45, 0.65),
    "toms": (0.2, 0.8, 0.8),
    "hihat": (-0.6, 0.5, 0.9),
    "ride": (0.75, 0.6, 1.0),
    "crash": (-0.5, 1.0, 1.3),
    "cymbals": (0.2, 0.9, 1.2),
    "drums": (0.0, 0.7, 0.8),
}


def overheads(
    stems: Sequence[str], rate: int, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Responses ``(2, samples)`` from each drum to a pair of overheads, in a room drawn at random.

    The direct sound of the snare has level 1; the pair's common delay is taken out.

    Args:
        stems: names of drums.
        rate: in Hz.
        rng: draws the room (4 to 9 m), its walls and the microphones (0.3 to 1.6 m apart).
    """
    room = np.array([rng.uniform(4, 9), rng.uniform(4, 7), rng.uniform(2.4, 3.8)])
    reflection = rng.uniform(0.55, 0.85)
    stool = np.array([room[0] * rng.uniform(0.35, 0.65), room[1] * rng.uniform(0.15, 0.3), 0.0])
    half = rng.uniform(0.15, 0.8)
    height = min(room[2] - 0.2, rng.uniform(1.7, 2.2))
    pair = [stool + np.array([side * half, 0.5, height]) for side in (-1, 1)]
    # All delays are shortened by one metre's delay, so that strokes keep their positions.
    lead = min(
        float(np.linalg.norm(stool + np.array(_PLACES[name]) - microphone))
        for name in stems
        for microphone in pair
    )
    level = float(np.linalg.norm(stool + np.array(_PLACES["snare"]) - pair[0]))
    result = {}
    for name in stems:
        source = np.clip(stool + np.array(_PLACES[name]), 0.05, room - 0.05)
        responses = [_response(source, one, room, reflection, lead, rate) for one in pair]
        result[name] = np.stack(responses) * level
    return result


def _response(
    source: NDArray[np.float64],
    microphone: NDArray[np.float64],
    room: NDArray[np.float64],
    reflection: float,
    lead: float,
    rate: int,
) -> NDArray[np.float64]:
    """Sound from one point to another via all walls, ``(samples,)``."""
    reach = _SPEED * _SECONDS + lead
    axes = []
    for here, there, size in zip(source, microphone, room, strict=True):
        count = int(np.ceil(reach / (2 * size)))
        cells = np.arange(-count, count + 1)
        # Even images lie at 2 n size + x, odd ones at 2 n size - x; each has met as many walls.
        even, odd = 2 * cells * size + here, 2 * cells * size - here
        distances = np.concatenate([even, odd]) - there
        walls = np.concatenate([np.abs(2 * cells), np.abs(2 * cells - 1)])
        axes.append((np.square(distances), walls))
    (x, a), (y, b), (z, c) = axes
    distance = np.sqrt(x[:, None, None] + y[None, :, None] + z[None, None, :])
    walls = a[:, None, None] + b[None, :, None] + c[None, None, :]
    near = (distance < reach) & (distance > 0)
    distance, walls = distance[near], walls[near]
    at = (distance - lead) / _SPEED * rate
    gain = reflection**walls / distance
    whole = np.floor(at).astype(np.int64)
    part = at - whole
    length = int(_SECONDS * rate) + 2
    inside = (whole >= 0) & (whole + 1 < length)
    whole, part, gain, walls = whole[inside], part[inside], gain[inside], walls[inside]
    out = np.zeros(length)
    # Walls and air absorb high frequencies, so later reflections are duller. Three classes
    # are enough.
    for least, most, edge in ((0, 1, None), (1, 4, 8000.0), (4, 10**9, 4000.0)):
        these = (walls >= least) & (walls < most)
        taps = np.zeros(length)
        np.add.at(taps, whole[these], gain[these] * (1 - part[these]))
        np.add.at(taps, whole[these] + 1, gain[these] * part[these])
        if edge is not None and edge < 0.45 * rate:
            taps = np.asarray(sosfilt(butter(1, edge, fs=rate, output="sos"), taps))
        out += taps
    return out
