# SPDX-License-Identifier: GPL-3.0-or-later
"""The algebra of multichannel NMF, compared with complex matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.refine import spatial_model
from lars_plugin.refine.mnmf import MultichannelNMF

Spectrum = NDArray[np.complex64]
Matrices = NDArray[np.complexfloating]
PLACES = [1, 2]
FRAMES, BINS, COMPONENTS = 30, 7, 2


def spectra(channels: int, seed: int = 0) -> tuple[Spectrum, Spectrum]:
    """A mixture ``(C, T, F)`` and its two stems."""
    rng = np.random.default_rng(seed)
    shape = (2, channels, FRAMES, BINS)
    stems = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    stems = (stems * rng.gamma(1, size=(2, 1, FRAMES, 1))).astype(np.complex64)
    return stems.sum(0), stems


def fitted(channels: int, updates: int, threads: int = 1) -> MultichannelNMF:
    mixture, stems = spectra(channels)
    model = MultichannelNMF(
        mixture, stems, components=COMPONENTS, places=PLACES, seed=3, threads=threads
    )
    for _ in range(updates):
        model.update()
    return model


def matrices(places: NDArray[np.float32]) -> Matrices:
    """R as matrices ``(F, S, C, C)``."""
    if len(places) == 1:
        alone: Matrices = places[0][..., None, None].astype(np.complex128)
        return alone
    a, d, re, im = places.astype(np.float64)
    rows = np.stack([a + 0j, re + 1j * im], -1), np.stack([re - 1j * im, d + 0j], -1)
    result: Matrices = np.stack(rows, -2)
    return result


def sigma_of(model: MultichannelNMF) -> Matrices:
    """Covariances of the mixture ``(F, T, C, C)``."""
    powers = np.einsum("fsk,skt->sft", model.spectra, model.gains, dtype=np.float64)
    r = matrices(model.places)
    sums: Matrices = np.einsum("sft,fscd->ftcd", powers, r)
    return sums + float(spatial_model.FLOOR) * np.eye(r.shape[-1])


@pytest.mark.parametrize("channels", [1, 2])
def test_the_filter_is_the_wiener_filter_and_a_stem_the_sum_of_its_sources(channels: int) -> None:
    model = fitted(channels, 3)
    mixture, _ = spectra(channels)
    part = slice(2, 6)
    powers = model.powers(part)
    out = np.empty((2, channels, FRAMES, 4), np.complex64)
    model.filter(part, powers, out, mixture[..., part] if channels == 1 else None)
    x = mixture.transpose(2, 1, 0).astype(np.complex128)  # (F, T, C)
    solved = np.linalg.solve(sigma_of(model), x[..., None])[..., 0]
    sources = np.einsum("sft,fscd,ftd->sctf", powers, matrices(model.places)[part], solved[part])
    expected = np.stack([sources[0], sources[1] + sources[2]])
    np.testing.assert_allclose(out, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("channels", [1, 2])
def test_an_update_is_that_of_the_equations(channels: int) -> None:
    before, after = fitted(channels, 0), fitted(channels, 1)
    mixture, _ = spectra(channels)
    x = mixture.transpose(2, 1, 0).astype(np.complex128)
    inverse = np.linalg.inv(sigma_of(before))  # (F, T, C, C)
    z = np.einsum("ftcd,ftd->ftc", inverse, x)
    seen = np.einsum("ftc,ftd->ftcd", z, z.conj())
    r, h = matrices(before.places), before.gains.astype(np.float64)
    w = before.spectra.astype(np.float64)

    def trace(inner: Matrices) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.einsum("fscd,ftdc->sft", r, inner).real
        return found

    more, less = trace(seen), trace(inverse)
    # Equations 42 and 43, their exponent changed; without a step before, momentum adds nothing.
    step = np.einsum("sft,fsk->skt", more, w) / np.einsum("sft,fsk->skt", less, w)
    np.testing.assert_allclose(after.gains, h * step**0.8, rtol=5e-3)
    step = np.einsum("sft,skt->fsk", more, h) / np.einsum("sft,skt->fsk", less, h)
    moved = w * np.clip(step**0.8, 1 / 20, 20)
    if channels == 1:
        np.testing.assert_allclose(after.spectra, moved, rtol=5e-3)
        return
    # Equation 47 with the W that has just moved, but for what comes from all sides:
    # R B R = R' A R'.
    a = np.einsum("fsk,skt,ftcd->fscd", moved, h, seen)
    b = np.einsum("fsk,skt,ftcd->fscd", moved, h, inverse)
    new = matrices(after.places)
    left = new @ b @ new
    right = r @ a @ r
    scale = np.trace(right, axis1=-2, axis2=-1) / np.trace(left, axis1=-2, axis2=-1)
    error = np.abs(left * scale[..., None, None] - right).max(axis=(-2, -1))
    assert np.median(error / np.abs(right).max(axis=(-2, -1))) < 0.02
    np.testing.assert_allclose(np.trace(new, axis1=-2, axis2=-1).real, 2.002, rtol=1e-5)


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial_model, "_BINS", 2)
    one, three = fitted(2, 4, threads=1), fitted(2, 4, threads=3)
    for name in ("spectra", "gains", "places"):
        assert np.array_equal(getattr(one, name), getattr(three, name))


def test_what_goes_in_is_not_changed() -> None:
    mixture, stems = spectra(2)
    kept = mixture.copy(), stems.copy()
    model = MultichannelNMF(mixture, stems, components=2, places=PLACES)
    model.update()
    model.filter(slice(0, 3), model.powers(slice(0, 3)), np.empty_like(stems[..., :3]))
    assert np.array_equal(mixture, kept[0])
    assert np.array_equal(stems, kept[1])
