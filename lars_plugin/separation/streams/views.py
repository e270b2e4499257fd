# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network is shown of a recording, and how its stems become those of the recording.

Networks learn from kits as they are mixed: without direct current, with the kick in the middle,
both channels in phase. Of a recording that is not like this they are shown another one, its view:

- Direct current is taken out.
- What has (nearly) one direction (a kit in one channel, a mono kit with unequal gains, or with one
  channel inverted) is shown as mono. The stems come back with the direction's gains and signs.
- Where the channels are against each other as a whole, the right one is shown inverted.

All three are one linear step, ``view = M (x - d)`` with a 2 x 2 matrix M, and the way back is
``M^T``. What the view leaves out of the recording (the current, hiss beside the direction) goes to
all stems alike, so stems that add up to the view add up to the recording. No other way of sharing
out a current costs less on average, and none is steadier: it is a constant in every stem.

A recording like any other has no view: it passes unchanged, to the bit. Here is the view of one
piece, a network's chunk or a window of the refinement; pieces are seen each for itself, on a fixed
grid, and cross-faded as ever. :mod:`lars_plugin.separation.streams.causal_views` is for what has
no pieces.

Axes: C channels, S stems, L samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import QUIETEST_POWER
from lars_plugin.dsp.spatial import is_mono
from lars_plugin.model import SAMPLE_RATE, ModelConfig

__all__ = ["NARROW", "OPPOSED", "View", "direction", "has_views", "matrix_of", "view_of"]

Wave = NDArray[np.float32]
Matrix = NDArray[np.float64]

# Power beside the main direction below this, against the power in it: one direction.
NARROW = 1e-4
# Correlation of the channels below this: one is inverted. Kits have 0.9.
OPPOSED = -0.5
# Current of a channel above this, against the channels' mean power: -36 dB. Drums have -43, but
# more in short pieces, of which few swings are seen: it takes twice as much in four seconds, and
# in less than 0.06 no current is told from a stroke.
_CURRENT = 2.5e-4
_STEADY = 4 * SAMPLE_RATE


@dataclass(frozen=True)
class View:
    """How one piece is shown.

    Attributes:
        offset: the current, ``(C,)``.
        matrix: M, ``(2, 2)``, or None for the unit matrix.
        first, end: the samples that count; beyond them is digital silence.
    """

    offset: Wave
    matrix: Matrix | None
    first: int
    end: int

    def show(self, wave: Wave) -> Wave:
        """A wave ``(..., C, L)`` as it is shown: new memory."""
        shown = np.zeros_like(wave)
        here = wave[..., self.first : self.end] - self.offset[:, None]
        shown[..., self.first : self.end] = _turned(self.matrix, here)
        return shown

    def show_stems(self, stems: Wave) -> Wave:
        """Stems ``(S, C, L)`` of the recording as stems of its view: new memory."""
        here = stems[..., self.first : self.end]
        if self.offset.any():
            here = here - here.mean(axis=-1, keepdims=True, dtype=np.float64).astype(np.float32)
        shown = np.zeros_like(stems)
        shown[..., self.first : self.end] = _turned(self.matrix, here)
        return shown

    def give_back(self, wave: Wave, shown: Wave, stems: Wave, count: int) -> Wave:
        """Stems of the recording.

        Args:
            wave: the piece ``(C, L)``.
            shown: its view.
            stems: of the view ``(S, C, L)``, all or some.
            count: how many stems there are in all.

        Returns:
            New memory ``(S, C, L)``.
        """
        back = None if self.matrix is None else self.matrix.T
        result = _turned(back, stems)
        rest = wave - _turned(back, shown)
        result += rest / np.float32(count)
        return result


def has_views(config: ModelConfig) -> bool:
    """Whether a model is shown views: trained networks are. What has no architecture is somebody's
    own arithmetic, the models for tests among it, and gets the recording as it is."""
    return bool(config.architecture)


def view_of(wave: Wave) -> View | None:
    """The view of a piece ``(C, L)``, or None: it is shown as it is."""
    sounding = np.asarray(wave.any(axis=0))
    if not sounding.any():
        return None
    # Current starts and ends with the recording, not with its silent margins.
    first, end = int(sounding.argmax()), wave.shape[1] - int(sounding[::-1].argmax())
    here = wave[:, first:end]
    offset = here.mean(axis=1, dtype=np.float64)
    channels = len(wave)
    powers = np.array([np.square(one, dtype=np.float64).mean() for one in here])
    least = _CURRENT * (1 + (_STEADY / (end - first)) ** 2) * powers.mean()
    if np.square(offset).max() <= least:
        offset[:] = 0
    else:
        powers = np.maximum(powers - np.square(offset), 0)
    matrix = None
    # What rounding leaves of mere current has no direction.
    if channels == 2 and powers.sum() > max(QUIETEST_POWER, 1e-12 * np.square(offset).sum()):
        across = float(np.multiply(*here, dtype=np.float64).mean() - offset.prod())
        matrix = matrix_of(powers[0], powers[1], across, NARROW, OPPOSED)
    if matrix is None and not offset.any():
        return None
    return View(offset.astype(np.float32), matrix, first, end)


def direction(left: float, right: float, across: float) -> tuple[Matrix, float]:
    """The main direction of a covariance and what lies beside it.

    Args:
        left, right: powers of the channels, not both 0.
        across: the mean of their product.

    Returns:
        A unit vector ``(2,)``, its larger entry positive (the left one, of two alike), and the
        power beside it against the power in it.
    """
    spread = float(np.hypot((left - right) / 2, across))
    angle = 0.5 * float(np.arctan2(2 * across, left - right))
    most = (left + right) / 2 + spread
    # The determinant over the larger one: their difference would lose all digits.
    least = max(0.0, left * right - across * across) / most
    unit = np.array([np.cos(angle), np.sin(angle)])
    larger = 0 if abs(unit[0]) >= abs(unit[1]) - 1e-6 else 1
    return (unit if unit[larger] > 0 else -unit), least / most


def matrix_of(
    left: float, right: float, across: float, narrow: float, opposed: float
) -> Matrix | None:
    """M for a covariance; see :func:`direction` for its numbers.

    Args:
        narrow: power beside the direction below which there is but one.
        opposed: correlation below which the right channel is inverted.

    Returns:
        ``(2, 2)``, or None where the channels are shown as they are.
    """
    if is_mono(left + right - 2 * across, left + right):
        return None
    unit, beside = direction(left, right, across)
    if beside <= narrow:
        result: Matrix = np.stack([unit, unit]) * 0.5**0.5
        return result
    if across < opposed * (left * right) ** 0.5:
        return np.diag([1.0, -1.0])
    return None


def _turned(matrix: Matrix | None, wave: Wave) -> Wave:
    """M times ``(..., 2, L)``: new memory; a copy for None."""
    if matrix is None:
        return np.array(wave)
    m = matrix.astype(np.float32)
    out = np.empty_like(wave)
    for row in range(2):
        np.multiply(wave[..., 0, :], m[row, 0], out=out[..., row, :])
        out[..., row, :] += wave[..., 1, :] * m[row, 1]
    return out
