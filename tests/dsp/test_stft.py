# SPDX-License-Identifier: GPL-3.0-or-later
"""Transforms in numpy: the right numbers, and the way back, for each window and hop in use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lars_plugin.dsp import stft as module
from lars_plugin.dsp.stft import Spectra, Window

# As networks (2,048 / 512), the fit (3,840 / 1,280) and the Wiener filter (8,192 / 4,096) have it.
SHAPES: list[tuple[Window, int]] = [("hann", 4), ("hann", 3), ("sine", 4), ("sine", 3), ("sine", 2)]


@pytest.mark.parametrize(("window", "overlap"), SHAPES)
@pytest.mark.parametrize("n_fft", [60, 256])
def test_a_frame_is_the_transform_of_the_windowed_samples_around_its_middle(
    window: Window, overlap: int, n_fft: int
) -> None:
    wave = np.random.default_rng(0).standard_normal((2, 2000)).astype(np.float32)
    hop = n_fft // overlap
    spectra = Spectra(n_fft, hop, window)
    found = spectra.analyse(spectra.padded(wave), 0, spectra.frames(2000))
    assert found.dtype == np.complex64
    shape = np.hanning(n_fft + 1)[:-1]
    shape = shape if window == "hann" else np.sqrt(shape)
    frame = 5  # far from the borders
    part = wave[:, frame * hop - n_fft // 2 :][:, :n_fft].astype(np.float64)
    np.testing.assert_allclose(found[:, frame], np.fft.rfft(part * shape), atol=1e-4)


@given(
    shape=st.sampled_from(SHAPES),
    n_fft=st.sampled_from([12, 48, 96]),
    length=st.integers(60, 3000),
    threads=st.integers(1, 3),
    piece=st.sampled_from([1, 500, 1 << 17]),
)
@settings(max_examples=60, deadline=None)
def test_the_way_back_gives_stems_of_any_length_again(
    shape: tuple[Window, int], n_fft: int, length: int, threads: int, piece: int
) -> None:
    window, overlap = shape
    stems = np.random.default_rng(length).standard_normal((2, 2, length)).astype(np.float32)
    mixture = stems.sum(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", piece)
        spectra = Spectra(n_fft, n_fft // overlap, window)
        gain, seen, made = spectra.beside(mixture, stems, threads)
        assert seen.shape == (2, spectra.frames(length), n_fft // 2 + 1)
        back = spectra.stems_of(made, mixture, gain, threads)
    np.testing.assert_allclose(back, stems, atol=2e-5)
    np.testing.assert_allclose(back.sum(0), mixture, atol=1e-5)


@pytest.mark.parametrize(("window", "overlap"), SHAPES)
def test_neither_number_of_threads_nor_size_of_pieces_changes_a_bit(
    window: Window, overlap: int
) -> None:
    stems = np.random.default_rng(3).standard_normal((3, 2, 5000)).astype(np.float32)
    results = []
    for threads, piece in ((1, 1 << 17), (3, 1 << 17), (3, 2000)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "PIECE", piece)
            spectra = Spectra(96, 96 // overlap, window)
            gain, _, made = spectra.beside(stems.sum(0), stems, threads)
            results.append((made, spectra.stems_of(made, stems.sum(0), gain, threads)))
    assert all(np.array_equal(results[0][0], made) for made, _ in results)
    # Where pieces meet, sums are made in another order.
    assert np.array_equal(results[0][1], results[1][1])
    np.testing.assert_allclose(results[2][1], results[0][1], atol=1e-5)


def test_a_spectrum_is_as_exact_as_single_precision_allows() -> None:
    wave = np.random.default_rng(0).standard_normal((1, 40000)).astype(np.float32)
    spectra = Spectra(8192, 4096, "sine")
    found = spectra.analyse(spectra.padded(wave), 2, 3)[0, 0]
    turn = np.arange(8192) * (2 * np.pi / 8192)
    exact = np.fft.rfft(wave[0, 4096:12288].astype(np.float64) * np.sqrt(0.5 - 0.5 * np.cos(turn)))
    error = np.abs(found - exact)
    assert error.max() < 1e-6 * np.abs(exact).max()


@pytest.mark.parametrize("length", [9, 10, 60])
def test_padding_is_numpys_reflection_of_what_was_amplified(length: int) -> None:
    wave = np.random.default_rng(0).standard_normal((3, length)).astype(np.float32)
    made = Spectra(16, 4).padded(wave, 2.0, threads=2)
    assert np.array_equal(made, np.pad(2 * wave, ((0, 0), (8, 8)), mode="reflect"))
