# SPDX-License-Identifier: GPL-3.0-or-later
"""Many Hermitian 2 x 2 matrices at once, in closed form.

A matrix is four real planes, ``(4, ...)`` float32: both diagonal entries, real and imaginary part
of the upper right one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["determinant", "geometric_mean", "inverse", "sandwich"]

Planes = NDArray[np.float32]


def determinant(m: Planes) -> Planes:
    """Determinants ``(...)`` of positive matrices; never below 1e-30."""
    product, off = m[0] * m[1], np.square(m[2]) + np.square(m[3])
    found: Planes = np.asarray(product - off, np.float32)
    found[found < 1e-30] = 1e-30
    return found


def inverse(m: Planes) -> Planes:
    """Inverses of positive matrices."""
    made = np.stack([m[1], m[0], -m[2], -m[3]]) / determinant(m)
    return made.astype(np.float32, copy=False)


def sandwich(r: Planes, m: Planes) -> Planes:
    """R M R."""
    off_r, off_m = r[2] + np.complex64(1j) * r[3], m[2] + np.complex64(1j) * m[3]
    p00 = r[0] * m[0] + off_r * off_m.conj()
    p01 = r[0] * off_m + off_r * m[1]
    p10 = off_r.conj() * m[0] + r[1] * off_m.conj()
    p11 = off_r.conj() * off_m + r[1] * m[1]
    off = p00 * off_r + p01 * r[1]
    first = (p00 * r[0] + p01 * off_r.conj()).real
    second = (p10 * off_r + p11 * r[1]).real
    return np.stack([first, second, off.real, off.imag]).astype(np.float32, copy=False)


def geometric_mean(a: Planes, b: Planes) -> Planes:
    """The positive G with G A^-1 G = B (Bhatia 2007, "Positive Definite Matrices", chapter 4).

    With A and B brought to determinants of 1 it is their sum, brought to a determinant of 1
    (proposition 4.1.12).
    """
    one, other = np.sqrt(determinant(a)), np.sqrt(determinant(b))
    mean = (a / one + b / other).astype(np.float32, copy=False)
    mean *= np.sqrt(one * other) / np.sqrt(determinant(mean))
    return mean
