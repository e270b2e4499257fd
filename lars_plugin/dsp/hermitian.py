# SPDX-License-Identifier: GPL-3.0-or-later
"""Many Hermitian 2 x 2 matrices at once, in closed form; the only such algebra in the package.

A matrix is four real planes, ``(4, ...)`` float32: both diagonal entries, real and imaginary part
of the upper right one. One channel needs one plane. A spectrum of C channels is 2 C real planes,
real and imaginary part of each.

Planes with frames last are what a fit, which solves the same matrices again and again, is fastest
with. A filter that solves each matrix once has complex spectra already, and turning them into
planes would cost more than it saves: :func:`solved_complex` is for those. Both give the same up to
float rounding, which a test compares.

Axes: C channels (1 or 2), S sources, n bins, T frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "applied",
    "determinant",
    "geometric_mean",
    "inverse",
    "outer",
    "power",
    "sandwich",
    "solved",
    "solved_complex",
]

Planes = NDArray[np.float32]
Spectrum = NDArray[np.complex64]


def determinant(m: Planes) -> Planes:
    """Determinants ``(...)`` of positive matrices; never below 1e-30."""
    product, off = m[0] * m[1], np.square(m[2]) + np.square(m[3])
    found: Planes = np.asarray(product - off, np.float32)
    found[found < 1e-30] = 1e-30
    return found


def inverse(m: Planes) -> Planes:
    """Inverses of positive matrices."""
    result = np.stack([m[1], m[0], -m[2], -m[3]]) / determinant(m)
    return result.astype(np.float32, copy=False)


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


def solved(m: Planes, x: Planes) -> tuple[Planes, Planes]:
    """M^-1, the off-diagonal entry with its sign turned, and M^-1 X.

    Every number is touched some fifty times, so nothing is written that need not be.

    Args:
        m: positive matrices ``(4, n, T)``, or ``(1, n, T)`` for one channel; not changed.
        x: spectra ``(2 C, n, T)``.
    """
    if len(m) == 1:
        alone: Planes = np.reciprocal(m)
        return alone, x * alone
    a, d, re, im = m
    xr, xi, yr, yi = x
    z = np.empty_like(x)
    inverted = np.empty_like(m)
    scale, product = np.empty_like(a), np.empty_like(a)
    np.multiply(a, d, out=scale)
    for one in (re, im):
        scale -= np.multiply(one, one, out=product)
    np.maximum(scale, np.float32(1e-20), out=scale)
    np.reciprocal(scale, out=scale)
    for out, (first, less, other, more) in zip(
        z,
        (
            (d * xr, (re, yr), (im, yi), True),
            (d * xi, (re, yi), (im, yr), False),
            (a * yr, (re, xr), (im, xi), False),
            (a * yi, (re, xi), (im, xr), True),
        ),
        strict=True,
    ):
        first -= np.multiply(*less, out=product)
        np.multiply(*other, out=product)
        (np.add if more else np.subtract)(first, product, out=first)
        np.multiply(first, scale, out=out)
    np.multiply(d, scale, out=inverted[0])
    np.multiply(a, scale, out=inverted[1])
    np.multiply(m[2:], scale, out=inverted[2:])
    return inverted, z


def solved_complex(a: Planes, d: Planes, off: Spectrum, x: Spectrum) -> tuple[Spectrum, Spectrum]:
    """M^-1 X for spectra as complex numbers.

    Args:
        a, d: diagonal entries ``(...)`` of positive matrices.
        off: the upper right entry.
        x: two channels ``(2, ...)``.

    Returns:
        The two channels of the result.
    """
    first, second = x
    scale = 1 / (a * d - power(off))
    return (d * first - off * second) * scale, (a * second - off.conj() * first) * scale


def power(values: Spectrum) -> Planes:
    """Squared magnitudes."""
    return np.square(values.real) + np.square(values.imag)


def applied(matrices: Planes, x: Planes) -> Planes:
    """R_j X of all sources ``(n, S, 4, T)``: planes of spectra of two channels.

    Args:
        matrices: R, ``(4, n, S)``.
        x: ``(4, n, T)``.
    """
    a, d, re, im = matrices
    # R with complex numbers written as matrices of real ones.
    real = np.zeros((*a.shape, 4, 4), np.float32)
    for row, column, entry in (
        *((0, 0, a), (0, 2, re), (0, 3, -im)),
        *((1, 1, a), (1, 2, im), (1, 3, re)),
        *((2, 2, d), (2, 0, re), (2, 1, im)),
        *((3, 3, d), (3, 0, -im), (3, 1, re)),
    ):
        real[..., row, column] = entry
    result: Planes = real.reshape(len(a), -1, 4) @ x.transpose(1, 0, 2)
    return result.reshape(*real.shape[:3], x.shape[2])


def outer(x: Planes) -> Planes:
    """X X^H of spectra ``(2 C, n, T)``: ``(4, n, T)``, or ``(1, n, T)`` for one channel."""
    out = np.empty_like(x[: len(x) ** 2 // 4])  # 1 plane of 2, 4 of 4
    product = np.empty_like(out[0])
    np.multiply(x[0], x[0], out=out[0])
    out[0] += np.multiply(x[1], x[1], out=product)
    if len(out) == 4:
        np.multiply(x[2], x[2], out=out[1])
        out[1] += np.multiply(x[3], x[3], out=product)
        np.multiply(x[0], x[2], out=out[2])
        out[2] += np.multiply(x[1], x[3], out=product)
        np.multiply(x[1], x[2], out=out[3])
        out[3] -= np.multiply(x[0], x[3], out=product)
    return out
