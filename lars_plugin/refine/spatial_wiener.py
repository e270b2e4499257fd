# SPDX-License-Identifier: GPL-3.0-or-later
"""A multichannel Wiener filter after a network: it does what masks on each channel cannot do.

Most mixes place each drum somewhere between left and right. Equally panned sounds have one
direction, so a filter of both channels together can cancel a drum, while a mask can only attenuate
it. After the network has estimated the stems, the filter finds each stem's direction at each
frequency, over the whole chunk, and separates the mixture again
(Duong, Vincent and Gribonval 2010, "Under-determined reverberant audio source separation using a
full-rank spatial covariance model", section III; one step, with the network's powers):

    v_j = |Y_j|^2 / 2 per frame,  R_j = sum_t Y_j Y_j^H / sum_t v_j,
    S_j = v_j R_j (sum_k v_k R_k)^-1 X

Axes: S stems, C = 2 channels, L samples, T frames, F bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import is_silent
from lars_plugin.dsp.hermitian import power as power_of
from lars_plugin.dsp.hermitian import solved_complex
from lars_plugin.dsp.parallel import default_threads, run_parts
from lars_plugin.dsp.spatial import covariances, is_mono
from lars_plugin.dsp.stft import Spectra, Spectrum
from lars_plugin.errors import InputError
from lars_plugin.model import Backend, CausalBackend

__all__ = ["SpatialFilter"]

Wave = NDArray[np.float32]

# Power in each bin that belongs to all stems alike, for mixtures of RMS 1: far below hearing.
_FLOOR = np.float32(1e-6)
_BINS = 256  # at a time, in a core's cache


class SpatialFilter:
    """A backend for two channels whose stems are filtered as above; they add up to the mixture.

    A chunk that is mono, silent or not finite keeps the backend's result.

    Args:
        backend: gives estimates, chunk by chunk; not a causal one.
        n_fft: of the filter's own STFT, longer than a network's: directions do not move.

    Raises:
        InputError: a causal backend: the filter looks at whole chunks.
    """

    def __init__(self, backend: Backend, n_fft: int = 8192) -> None:
        if isinstance(backend, CausalBackend):
            raise InputError(
                f"the spatial filter looks at whole chunks, and {backend.name} goes hop by hop;"
                " leave it out"
            )
        self._backend = backend
        self._spectra = Spectra(n_fft, n_fft // 2, "sine")

    @property
    def name(self) -> str:
        return self._backend.name

    def share(self, jobs: int) -> None:
        """Prepare for that many simultaneous callers, if the backend can."""
        share = getattr(self._backend, "share", None)
        if share is not None:
            share(jobs)

    def prepare(self, channels: int, samples: int) -> None:
        """Have the backend convert and compile now, if it needs that."""
        prepare = getattr(self._backend, "prepare", None)
        if prepare is not None:
            prepare(channels, samples)

    def __call__(self, batch: Wave) -> Wave:
        stems = self._backend(batch)
        for index, wave in enumerate(batch):
            if self._applies(wave, stems[index]):
                stems[index] = self._filtered(wave, stems[index])
        return stems

    def _applies(self, wave: Wave, stems: Wave) -> bool:
        if wave.shape[0] != 2 or wave.shape[1] <= self._spectra.n_fft or is_silent(wave):
            return False
        whole = float(np.square(wave, dtype=np.float64).sum())
        side = float(np.square(wave[0] - wave[1], dtype=np.float64).sum())
        return not is_mono(side, whole) and bool(np.isfinite(stems).all())

    def _filtered(self, wave: Wave, stems: Wave) -> Wave:
        spectra, threads = self._spectra, default_threads()
        gain, mixture, result = spectra.beside(wave, stems, threads)

        def work(first: int) -> None:
            bins = slice(first, first + _BINS)
            result[..., bins] = _wiener(mixture[..., bins], result[..., bins])

        run_parts(work, range(0, result.shape[-1], _BINS), threads)
        # Nearly mono mixtures make nearly singular matrices: rounding takes a little.
        return spectra.stems_of(result, wave, gain, threads)


def _wiener(mixture: Spectrum, stems: Spectrum) -> Spectrum:
    """Stems ``(S, 2, T, F)`` from a mixture ``(2, T, F)`` and estimates of them."""
    left, right = stems[:, 0], stems[:, 1]
    powers = (power_of(left), power_of(right))
    total = powers[0] + powers[1]
    energies = powers[0].sum(axis=1), powers[1].sum(axis=1)
    # Each (S, 1, F).
    r00, r11, r01 = (one[:, None] for one in covariances(left, right, energies, total.sum(axis=1)))
    v = total / 2 + _FLOOR / np.float32(len(stems))
    # The sum over the stems is a Hermitian 2 x 2 matrix in every bin.
    z0, z1 = solved_complex((v * r00).sum(0), (v * r11).sum(0), (v * r01).sum(0), mixture)
    out = np.empty_like(stems)
    out[:, 0] = v * (r00 * z0 + r01 * z1)
    out[:, 1] = v * (r01.conj() * z0 + r11 * z1)
    return out
