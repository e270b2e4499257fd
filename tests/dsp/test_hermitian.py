# SPDX-License-Identifier: GPL-3.0-or-later
"""Many Hermitian 2 x 2 matrices at once do what NumPy does with each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.dsp.hermitian import geometric_mean, inverse, sandwich

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
