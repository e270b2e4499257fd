# SPDX-License-Identifier: GPL-3.0-or-later
"""What two channels say about direction: what views, filters and fits share.

Axes: S stems, T frames, F bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIFFUSE", "covariances", "is_mono"]

_MONO = 1e-4
# Of a source's power this much comes from everywhere: rooms do that, and matrices stay invertible.
DIFFUSE = np.float32(1e-3)


def is_mono(difference: float, whole: float) -> bool:
    """Whether two channels say nothing about direction: the recording is mono as it is.

    Args:
        difference: power of the difference of the channels.
        whole: power of both channels together; NaN in one of these counts as mono.
    """
    return not difference > _MONO * whole


def covariances(
    left: NDArray[np.complex64],
    right: NDArray[np.complex64],
    energies: tuple[NDArray[np.float32], NDArray[np.float32]],
    both: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.complex64]]:
    """Where stems come from: a Hermitian 2 x 2 matrix for each stem and bin.

    Args:
        left, right: spectra ``(S, T, F)``.
        energies: of left and right, ``(S, F)``: sums over the frames of their squared magnitudes.
        both: the sum of the two, added up in the caller's order: a fit amplifies a difference in
            the last bit.

    Returns:
        The matrix's entries 00, 11 and 01, each ``(S, F)``. Its trace is 2 and a little.
    """
    whole = both / 2 + np.float32(1e-20)
    across = (left * right.conj()).sum(axis=1) / whole
    return energies[0] / whole + DIFFUSE, energies[1] / whole + DIFFUSE, across
