# SPDX-License-Identifier: GPL-3.0-or-later
"""Many Hermitian 2 x 2 matrices at once do what NumPy does with each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.dsp.hermitian import (
    applied,
    geometric_mean,
    inverse,
    outer,
    power,
    sandwich,
    solved,
    solved_complex,
)

Wave = NDArray[np.float32]


def _matrices(planes: Wave) -> NDArray[np.complex128]:
    a, d, re, im = planes.astype(np.float64)
    full: NDArray[np.complex128] = np.array([[a, re + 1j * im], [re - 1j * im, d]])
    return np.moveaxis(full, 2, 0)


def _positive(seed: int) -> Wave:
    rng = np.random.default_rng(seed)
    m = rng.standard_normal((50, 2, 3)) + 1j * rng.standard_normal((50, 2, 3))
    p = m @ m.conj().transpose(0, 2, 1)
    return np.stack([p[:, 0, 0].real, p[:, 1, 1].real, p[:, 0, 1].real, p[:, 0, 1].imag]).astype(
        np.float32
    )


def test_planes_are_hermitian_matrices() -> None:
    a, b = _positive(0), _positive(1)
    full_a, full_b = _matrices(a), _matrices(b)
    np.testing.assert_allclose(_matrices(inverse(a)) @ full_a, [np.eye(2)] * 50, atol=1e-3)
    np.testing.assert_allclose(_matrices(sandwich(a, b)), full_a @ full_b @ full_a, rtol=1e-3)
    mean = _matrices(geometric_mean(a, b))
    scale = np.abs(full_b).max()
    np.testing.assert_allclose(
        mean @ np.linalg.inv(full_a) @ mean, full_b, atol=2e-3 * scale, rtol=1e-2
    )


def _spectra(seed: int) -> tuple[Wave, NDArray[np.complex64]]:
    """Two channels of 5 bins and 10 frames, in planes and as complex numbers."""
    planes = np.random.default_rng(seed).standard_normal((4, 5, 10)).astype(np.float32)
    return planes, (planes[::2] + 1j * planes[1::2]).astype(np.complex64)


def test_matrices_are_solved_alike_in_planes_and_in_complex_numbers() -> None:
    m, (x, spectra) = _positive(3).reshape(4, 5, 10), _spectra(4)
    wanted = np.linalg.solve(_matrices(m.reshape(4, -1)), spectra.reshape(2, -1).T[..., None])[
        ..., 0
    ].T.reshape(2, 5, 10)
    inverted, z = solved(m, x)
    np.testing.assert_allclose(z[::2] + 1j * z[1::2], wanted, rtol=2e-3, atol=2e-3)
    found = solved_complex(m[0], m[1], m[2] + np.complex64(1j) * m[3], spectra)
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3)
    inverted[2:] *= -1
    np.testing.assert_allclose(inverted, inverse(m), rtol=1e-3, atol=1e-4)


def test_one_channel_is_solved_by_division() -> None:
    x, _ = _spectra(5)
    m = np.full((1, 5, 10), 4, np.float32)
    inverted, z = solved(m, x[:2])
    np.testing.assert_array_equal(z, x[:2] / 4)
    np.testing.assert_array_equal(inverted, 1 / m)
    np.testing.assert_allclose(outer(x[:2])[0], power(x[0] + np.complex64(1j) * x[1]), rtol=1e-5)


def test_products_with_spectra_are_those_of_matrices() -> None:
    (x, spectra), r = _spectra(6), _positive(7)[:, :15].reshape(4, 5, 3)
    made = applied(r, x)  # (bins, sources, planes, frames)
    full = _matrices(r.reshape(4, -1)).reshape(5, 3, 2, 2)
    wanted = np.einsum("nsab,bnt->nsat", full, spectra)
    np.testing.assert_allclose(
        made[:, :, ::2] + 1j * made[:, :, 1::2], wanted, rtol=1e-4, atol=1e-4
    )
    squared = np.einsum("ant,bnt->abnt", spectra, spectra.conj())
    planes = [squared[0, 0].real, squared[1, 1].real, squared[0, 1].real, squared[0, 1].imag]
    np.testing.assert_allclose(outer(x), planes, rtol=1e-4, atol=1e-5)
