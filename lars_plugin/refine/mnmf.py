# SPDX-License-Identifier: GPL-3.0-or-later
"""Multichannel nonnegative matrix factorisation of a recording, from estimates of its stems.

    v_j(f, t) = sum_k W_j(f, k) H_j(k, t)            power of source j
    Sigma = sum_j v_j R_j                             covariance of the mixture, C x C
    S_j = v_j R_j Sigma^-1 X                          Wiener filter

Model and filter: Ozerov and Fevotte 2010, "Multichannel nonnegative matrix factorization in
convolutive mixtures for audio source separation"; the multiplicative updates: Sawada, Kameoka,
Araki and Ueda 2013, "Multichannel extensions of non-negative matrix factorization with complex-
valued data", equations 42 to 47 (there for tied bases). W, H and R are updated at once, from one
Sigma, which halves the work and converges to the same result. Each step of W and H includes part of
the previous step (Polyak's heavy ball, here of logarithms), which halves the number of steps.

Axes: S sources, C channels (2, or 1 where both are alike), K components, T frames, F bins, n bins
of a part.
Matrices and spectra are in the planes of :mod:`lars_plugin.dsp.hermitian`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.dsp.hermitian import outer, solved
from lars_plugin.dsp.parallel import one_thread_each, run_parts, stop_check
from lars_plugin.dsp.stft import Spectrum
from lars_plugin.refine.spatial_model import FLOOR, TINY, SpatialModel, moved

__all__ = ["MultichannelNMF"]

Wave = NDArray[np.float32]

# Updates that fit the spectra to the estimates before they are fitted to the mixture.
_FIRST = 8
# Exponent of an update, and of the previous one within it. An exponent of 0.5 alone is proven never
# to worsen the fit, for W or H at a time. But 20 updates with these two get further than 40 with
# that one.
_EXPONENT = np.float32(0.8)
_MOMENTUM = np.float32(0.6)
# Limit of the factor of one update, or of its inverse.
_STEEPEST_SPECTRUM = np.float32(20)
_STEEPEST_GAIN = np.float32(1000)


class MultichannelNMF(SpatialModel):
    """The model above of one window of a recording.

    Args:
        mixture: its spectrum ``(C, T, F)``, of RMS 1 or so; not changed.
        estimates: of its stems ``(stems, C, T, F)``; not changed.
        components: K.
        places: sources of each stem, which start at the same place.
        seed: of the initial random numbers.
        threads: parts at a time. The result does not depend on it.

    Attributes:
        spectra: W, ``(F, S, K)``.
        gains: H, ``(S, K, T)``.
        places: R, ``(planes, F, S)``.
    """

    def __init__(
        self,
        mixture: Spectrum,
        estimates: Spectrum,
        *,
        components: int,
        places: Sequence[int],
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        power = np.square(estimates.real) + np.square(estimates.imag)
        super().__init__(mixture, estimates, power, places, threads)
        self.spectra, self.gains = _start(power, components, places, seed, threads)
        self._spectra_step = np.ones_like(self.spectra)
        self._gains_step = np.ones_like(self.gains)
        # Statistics of the mixture for W and R: A and B of equation 47 for each component.
        self._up = np.empty((len(self.places), *self.spectra.shape), np.float32)
        self._down = np.empty_like(self._up)

    def powers(self, part: slice) -> Wave:
        """v of some bins, ``(S, n, T)``, new memory."""
        result: Wave = self.spectra[part].transpose(1, 0, 2) @ self.gains
        return result

    def _look(self, part: slice) -> tuple[Wave, Wave]:
        """Statistics of some bins of the mixture. Those for H are returned, ``(S * K, T)`` twice;
        those for W and R go into ``_up`` and ``_down``."""
        w, r = self.spectra[part], self.places[:, part]
        planes, frames = len(r), self.seen.shape[2]
        placed: Wave = (r[..., None] * w).reshape(planes * len(w), -1)
        flat = self.gains.reshape(-1, frames)
        sigma: Wave = (placed @ flat).reshape(planes, len(w), frames)
        sigma[:2] += FLOOR
        model, z = solved(sigma, self.seen[:, part])
        observed = outer(z).reshape(-1, frames)
        expected = model.reshape(-1, frames)
        shape = self._up[:, part].shape
        self._up[:, part] = (observed @ flat.T).reshape(shape)
        self._down[:, part] = (expected @ flat.T).reshape(shape)
        # The trace of a product of two Hermitian matrices has their off-diagonal entries twice.
        # Those of the model have the opposite sign.
        self._down[2:, part] *= -1
        placed[2 * len(w) :] *= 2
        more = placed.T @ observed
        placed[2 * len(w) :] *= -1
        return more, placed.T @ expected

    def _move(self, more: Wave, less: Wave) -> None:
        """Updates W, R and H, all bins at once: a NumPy call takes as long as 1,000 numbers."""
        w, r, up, down = self.spectra, self.places, self._up, self._down
        twice = r.copy()
        twice[2:] *= 2
        w *= _step(
            np.einsum("pns,pnsk->nsk", twice, up),
            np.einsum("pns,pnsk->nsk", twice, down),
            self._spectra_step,
            _STEEPEST_SPECTRUM,
        )
        if len(r) == 4:
            one, other = (np.einsum("nsk,pnsk->pns", w, sums) for sums in (up, down))
            r[:], trace = moved(r, one, other)
            w *= trace[..., None]
        np.maximum(w, TINY, out=w)
        gains, before = (one.reshape(more.shape) for one in (self.gains, self._gains_step))
        gains *= _step(more, less, before, _STEEPEST_GAIN)
        np.maximum(gains, TINY, out=gains)


def _start(
    power: Wave, components: int, places: Sequence[int], seed: int, threads: int
) -> tuple[Wave, Wave]:
    """W and H of estimates with powers ``(stems, C, T, F)``, each fitted to its own stem."""
    _, _, frames, bins = power.shape
    powers = np.ascontiguousarray(power.mean(axis=1).transpose(0, 2, 1))  # (stems, F, T)
    powers += np.float32(1e-9)
    spectra = np.empty((bins, sum(places), components), np.float32)
    gains = np.empty((sum(places), components, frames), np.float32)
    firsts = np.cumsum([0, *places])
    check = stop_check()

    def fit(index: int) -> None:
        # Spectra start as loud frames of the stem; the same sound always gives the same start.
        rng = np.random.default_rng([seed, index] if seed else index)
        wanted, count = powers[index], components * places[index]
        loudness = np.sqrt(wanted).sum(axis=0, dtype=np.float64)
        picks = rng.choice(frames, count, p=loudness / loudness.sum())
        w = wanted[:, picks]
        w += wanted.mean() * np.float32(0.1) * rng.random(w.shape, np.float32)
        h = rng.random((count, frames), np.float32) * np.float32(0.1) + np.float32(1e-3)
        # Kullback-Leibler divergence (Lee and Seung 2001): more stable than likelihood at first.
        for _ in range(_FIRST):
            check()  # each takes a tenth of a second
            h *= (w.T @ (wanted / (w @ h + TINY))) / (w.sum(axis=0)[:, None] + TINY)
            w *= ((wanted / (w @ h + TINY)) @ h.T) / (h.sum(axis=1) + TINY)
        own = slice(firsts[index], firsts[index + 1])
        spectra[:, own] = w.reshape(bins, places[index], components)
        gains[own] = h.reshape(places[index], components, frames)

    with one_thread_each():
        run_parts(fit, range(len(places)), threads)
    return spectra, gains


def _step(more: Wave, less: Wave, before: Wave, most: np.float32) -> Wave:
    """The factor to multiply by; it is also written into ``before``, the previous step."""
    step = (np.maximum(more, 0) / np.maximum(less, np.float32(1e-12))) ** _EXPONENT
    np.clip(step, 1 / most, most, out=step)
    step *= before**_MOMENTUM
    return np.clip(step, 1 / most, most, out=before)
