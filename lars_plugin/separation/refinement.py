# SPDX-License-Identifier: GPL-3.0-or-later
"""Refining stems on the recording itself: multichannel NMF, started by the network.

A drum kit says the same few things again and again, each from its own place. So after the network
has said roughly what each stem is, every stem gets a model of its own out of this very chunk: a few
spectra that come and go (nonnegative matrix factorisation) and a direction for each frequency (a
spatial covariance). All models are then fitted to the mixture together, by maximum likelihood, and
the mixture is taken apart anew. A hi-hat that the network heard alone is so recognised under the
snare.

    v_j(f, t) = sum_k W_j(f, k) H_j(k, t)            power of stem j
    Sigma = sum_j v_j R_j                             covariance of the mixture, C x C
    S_j = v_j R_j Sigma^-1 X                          Wiener filter

Model and filter: Ozerov and Fevotte 2010, "Multichannel nonnegative matrix factorization in
convolutive mixtures for audio source separation"; the multiplicative updates: Sawada, Kameoka,
Araki and Ueda 2013, "Multichannel extensions of non-negative matrix factorization with complex-
valued data", equations 42 to 47 (there for tied bases). W, H and R are updated at once, from one
Sigma, which halves the work and ends in the same place. Each step of W and H takes part of the step
before with it (Polyak's heavy ball, here of logarithms), which needs half as many of them.

Axes: S stems (or sources, of which a stem may have several), C channels (2, or 1 where both are
alike), K components, T frames, F bins, L samples.
Hermitian 2 x 2 matrices are four real planes: both diagonal entries, real and imaginary part of
the upper right one. Mono needs one plane.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lars_plugin.backends.spectra import Spectra, Spectrum
from lars_plugin.backends.threads import default_threads, one_thread_each, run_parts
from lars_plugin.separation.hermitian import geometric_mean, inverse, sandwich
from lars_plugin.zoo.config import Refinement

__all__ = ["Refiner"]

Wave = NDArray[np.float32]

# Below this, against the whole, what differs between the channels says nothing about direction.
_MONO = 1e-4
# Of a stem's power this much comes from everywhere: rooms do, and matrices stay invertible.
_DIFFUSE = np.float32(1e-3)
# Power in each bin that belongs to no stem, for mixtures of RMS 1: far below hearing.
_FLOOR = np.float32(1e-4)
_TINY = np.float32(1e-10)
# Updates that fit the spectra to the network's stems before they are fitted to the mixture.
_FIRST = 8
# Exponent of an update, and of the one before that goes on in it. An exponent of 0.5 alone is
# proven never to make the fit worse, W or H at a time, but 20 updates with these two come further
# than 40 so careful ones.
_EXPONENT = np.float32(0.8)
_MOMENTUM = np.float32(0.6)
# The most by which one update multiplies, or divides.
_STEEPEST_SPECTRUM = np.float32(20)
_STEEPEST_GAIN = np.float32(1000)
_BINS = 128  # at a time, in a core's cache


class Refiner:
    """Fits and applies the model above to one window after the other; each for itself.

    Args:
        settings: window, components, iterations.
        stems: their names.
    """

    def __init__(self, settings: Refinement, stems: Sequence[str]) -> None:
        self.settings = settings
        self._places = [settings.places.get(stem, 1) for stem in stems]
        mono = {**settings.trust, **settings.mono_trust}
        # As mixtures are: of several channels, or mono.
        self._trust = [
            [shares.get(stem, 0.0) for stem in stems] for shares in (settings.trust, mono)
        ]
        self._spectra = Spectra(settings.n_fft, settings.n_fft // 4)

    def __call__(self, mixture: Wave, stems: Wave) -> Wave:
        """Better stems; see :meth:`updates`."""
        steps = self.updates(mixture, stems)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                made: Wave = stop.value
                return made

    def updates(self, mixture: Wave, stems: Wave) -> Generator[None, None, Wave]:
        """The same, with a pause after each update, for a caller with other things to do.

        Args:
            mixture: ``(C, L)`` float32; not changed.
            stems: a network's estimates ``(S, C, L)`` float32; not changed.

        Returns:
            New memory ``(S, C, L)``; the stems add up to the mixture. What is silent, shorter
            than the spectrograms' window or not finite comes as it was.
        """
        power = float(np.mean(np.square(mixture, dtype=np.float64))) if mixture.size else 0.0
        fits = mixture.shape[1] > self.settings.n_fft and 0 < power < np.inf
        if not (fits and bool(np.isfinite(stems).all())):
            return np.array(stems)
        threads = default_threads()
        gain, seen, made = self._spectra.beside(mixture, stems, threads)
        settings, total = self.settings, None
        for index in range(settings.fits):
            seeded = replace(settings, seed=settings.seed + index)
            found = yield from _fit(seen, made, seeded, self._places, self._trust)
            total = found if total is None else np.add(total, found, out=total)
        if total is not None:
            made = total / np.float32(settings.fits)
        return self._spectra.stems_of(made, mixture, gain, threads)


class _State(NamedTuple):
    """What is fitted."""

    spectra: Wave  # W, (F, S, K)
    gains: Wave  # H, (S, K, T)
    places: Wave  # R, (planes, F, S)
    spectra_step: Wave  # by which W was multiplied last
    gains_step: Wave  # by which H was


def _fit(
    mixture: Spectrum,
    stems: Spectrum,
    settings: Refinement,
    places: Sequence[int],
    trust: Sequence[Sequence[float]],
) -> Generator[None, None, Spectrum]:
    """Stems ``(S, C, T, F)`` out of a mixture ``(C, T, F)`` and estimates of them."""
    threads = default_threads()
    mono = mixture.shape[0] == 1 or _is_mono(mixture)
    if mono:
        heard, guessed = mixture.mean(axis=0, keepdims=True), stems.mean(axis=1, keepdims=True)
    else:
        heard, guessed = mixture, stems
    # (C, F, T), so that a run of bins is a piece of memory.
    seen = np.ascontiguousarray(heard.transpose(0, 2, 1))
    with one_thread_each():
        state = _start(guessed, settings, places, threads)
    yield
    bins = [slice(first, first + _BINS) for first in range(0, seen.shape[1], _BINS)]
    # Without directions the fit soon knows less than the network did.
    for _ in range(-(-settings.iterations // 3) if mono else settings.iterations):
        with one_thread_each():
            sums = run_parts(lambda part: _update(seen[:, part], state, part), bins, threads)
        # In order, so that the number of threads changes nothing.
        more, less = sums[0]
        for one, other in sums[1:]:
            more += one
            less += other
        _update_gains(state, more, less)
        yield
    out = np.empty_like(stems)
    firsts = np.cumsum([0, *places])

    def apply(part: slice) -> None:
        powers = state.spectra[part].transpose(1, 0, 2) @ state.gains  # (sources, n, T)
        for index, share in enumerate(trust[mono]):
            if share:
                own = slice(firsts[index], firsts[index + 1])
                powers[own] *= _agreed(guessed[index, ..., part], powers[own].sum(axis=0), share)
        whole = mixture[..., part] if mono else None
        made = _filtered(seen[:, part], powers, state.places[:, part], whole)
        np.add.reduceat(made, firsts[:-1], axis=0, out=out[..., part])

    with one_thread_each():
        run_parts(apply, bins, threads)
    return out


def _is_mono(mixture: Spectrum) -> bool:
    side = float(np.square(np.abs(mixture[0] - mixture[1]), dtype=np.float64).sum())
    whole = float(np.square(np.abs(mixture), dtype=np.float64).sum())
    return not side > _MONO * whole  # NaN compares false


def _start(stems: Spectrum, settings: Refinement, places: Sequence[int], threads: int) -> _State:
    """Models of the network's stems ``(S, C, T, F)``, each fitted to its own.

    A stem of several places is several sources, which at first have the same place.
    """
    _, _, frames, bins = stems.shape
    components, seed = settings.components, settings.seed
    power = np.square(stems.real) + np.square(stems.imag)
    covariances = _covariances(stems, power).repeat(places, axis=2)
    powers = np.ascontiguousarray(power.mean(axis=1).transpose(0, 2, 1))  # (S, F, T)
    powers += np.float32(1e-9)
    spectra = np.empty((bins, sum(places), components), np.float32)
    gains = np.empty((sum(places), components, frames), np.float32)
    firsts = np.cumsum([0, *places])

    def fit(index: int) -> None:
        # Spectra that begin as loud moments of the stem; always the same for the same sound.
        rng = np.random.default_rng([seed, index] if seed else index)
        wanted, count = powers[index], components * places[index]
        loudness = np.sqrt(wanted).sum(axis=0, dtype=np.float64)
        picks = rng.choice(frames, count, p=loudness / loudness.sum())
        w = wanted[:, picks]
        w += wanted.mean() * np.float32(0.1) * rng.random(w.shape, np.float32)
        h = rng.random((count, frames), np.float32) * np.float32(0.1) + np.float32(1e-3)
        # Kullback-Leibler divergence (Lee and Seung 2001): steadier than likelihood at first.
        for _ in range(_FIRST):
            h *= (w.T @ (wanted / (w @ h + _TINY))) / (w.sum(axis=0)[:, None] + _TINY)
            w *= ((wanted / (w @ h + _TINY)) @ h.T) / (h.sum(axis=1) + _TINY)
        own = slice(firsts[index], firsts[index + 1])
        spectra[:, own] = w.reshape(bins, places[index], components)
        gains[own] = h.reshape(places[index], components, frames)

    run_parts(fit, range(len(places)), threads)
    return _State(spectra, gains, covariances, np.ones_like(spectra), np.ones_like(gains))


def _covariances(stems: Spectrum, power: Wave) -> Wave:
    """Spatial covariances ``(planes, F, S)`` of stems, their traces 2 (and a little)."""
    energy = power.sum(axis=2)  # (S, C, F)
    if stems.shape[1] == 1:
        return np.ones((1, *energy[:, 0].T.shape), np.float32)
    whole = energy.sum(axis=1) / 2 + np.float32(1e-20)
    across = (stems[:, 0] * stems[:, 1].conj()).sum(axis=1) / whole
    planes = energy[:, 0] / whole, energy[:, 1] / whole, across.real, across.imag
    places = np.stack([plane.T for plane in planes])
    places[:2] += _DIFFUSE
    return np.ascontiguousarray(places)


class _Sums(NamedTuple):
    """What one Sigma says of some bins; planes as in the module's description."""

    seen: Wave  # of (Sigma^-1 X)(Sigma^-1 X)^H, (planes, n, T); off-diagonal entries doubled
    model: Wave  # of Sigma^-1, likewise
    placed: Wave  # R_j W_j, (planes * n, S * K)


def _sums(seen: Spectrum, state: _State, part: slice) -> _Sums:
    """For bins ``(C, n, T)`` of the mixture."""
    w, r = state.spectra[part], state.places[:, part]
    planes, count, frames = r.shape[0], w.shape[0], seen.shape[2]
    placed = (r[..., None] * w).reshape(planes * count, -1)
    flat = state.gains.reshape(placed.shape[1], frames)
    sigma: Wave = np.matmul(placed, flat)
    model, z = _solved(seen, sigma.reshape(planes, count, frames))
    squares = np.empty_like(model)
    np.add(np.square(z[0]), np.square(z[1]), out=squares[0])
    if planes == 4:
        np.add(np.square(z[2]), np.square(z[3]), out=squares[1])
        np.add(z[0] * z[2], z[1] * z[3], out=squares[2])
        np.subtract(z[1] * z[2], z[0] * z[3], out=squares[3])
        squares[2:] *= 2
        model[2:] *= -2
    return _Sums(squares, model, placed)


def _solved(seen: Spectrum, sigma: Wave) -> tuple[Wave, tuple[Wave, ...]]:
    """Sigma^-1, the off-diagonal entry with its sign turned, and Sigma^-1 X: real and imaginary
    part for each channel, ``(n, T)``.

    Args:
        seen: X, ``(C, n, T)``.
        sigma: ``(planes, n, T)``; overwritten.
    """
    sigma[:2] += _FLOOR
    if sigma.shape[0] == 1:
        inverse: Wave = np.reciprocal(sigma)
        return inverse, (seen[0].real * inverse[0], seen[0].imag * inverse[0])
    a, d, re, im = sigma
    scale = 1 / np.maximum(a * d - np.square(re) - np.square(im), np.float32(1e-20))
    inverse = np.stack([d * scale, a * scale, re * scale, im * scale])
    ia, id_, ire, iim = inverse
    xr, xi = seen[0].real, seen[0].imag
    yr, yi = seen[1].real, seen[1].imag
    return inverse, (
        ia * xr - ire * yr + iim * yi,
        ia * xi - ire * yi - iim * yr,
        id_ * yr - ire * xr - iim * xi,
        id_ * yi - ire * xi + iim * xr,
    )


def _update(seen: Spectrum, state: _State, part: slice) -> tuple[Wave, Wave]:
    """Updates W and R of some bins; returns what these bins say for H, ``(S * K, T)`` twice."""
    sums = _sums(seen, state, part)
    w, r = state.spectra[part], state.places[:, part]
    planes, _, frames = sums.seen.shape
    observed, expected = (one.reshape(-1, frames) for one in (sums.seen, sums.model))
    more, less = sums.placed.T @ observed, sums.placed.T @ expected
    h = state.gains.reshape(-1, frames).T
    shape = (planes, *w.shape)
    up, down = (observed @ h).reshape(shape), (expected @ h).reshape(shape)
    w *= _step(
        (r[..., None] * up).sum(axis=0),
        (r[..., None] * down).sum(axis=0),
        state.spectra_step[part],
        _STEEPEST_SPECTRUM,
    )
    if planes == 4:
        r[:], trace = _moved(r, (w * up).sum(axis=3), (w * down).sum(axis=3))
        w *= trace[..., None]
    np.maximum(w, _TINY, out=w)
    return more, less


def _update_gains(state: _State, more: Wave, less: Wave) -> None:
    """Updates H with what all bins say, ``(S * K, T)`` twice."""
    gains, before = (one.reshape(more.shape) for one in (state.gains, state.gains_step))
    gains *= _step(more, less, before, _STEEPEST_GAIN)
    np.maximum(gains, _TINY, out=gains)


def _step(more: Wave, less: Wave, before: Wave, most: np.float32) -> Wave:
    """What to multiply by; ``before``, the step before, becomes it."""
    step = (np.maximum(more, 0) / np.maximum(less, np.float32(1e-12))) ** _EXPONENT
    np.clip(step, 1 / most, most, out=step)
    step *= before**_MOMENTUM
    return np.clip(step, 1 / most, most, out=before)


def _moved(places: Wave, up: Wave, down: Wave) -> tuple[Wave, Wave]:
    """New covariances with traces of 2, and the traces they had before, halved, ``(n, S)``.

    The R that solves R B R = R' A R' (Sawada et al. 2013, equation 47) is the geometric mean of
    B^-1 and R' A R', in closed form for 2 x 2 matrices.

    Args:
        places: R', ``(4, n, S)``.
        up: A, its off-diagonal entries doubled.
        down: B, likewise.
    """
    a, b = up.copy(), down.copy()
    for one in (a, b):
        one[2:] /= 2
    sizes = [(one[0] + one[1]) / 2 + np.float32(1e-20) for one in (a, b)]
    for one, size in zip((a, b), sizes, strict=True):
        one /= size
        one[:2] += np.float32(1e-4)  # a stem that is silent has no direction
    mean = geometric_mean(inverse(b), sandwich(places, a)) * np.sqrt(sizes[0] / sizes[1])
    trace = (mean[0] + mean[1]) / 2 + np.float32(1e-20)
    mean /= trace
    mean[:2] += _DIFFUSE
    good = np.isfinite(mean).all(axis=0)
    grown = np.where(good, np.clip(trace, 0.5, 2), np.float32(1))
    return np.where(good, mean, places).astype(np.float32), grown.astype(np.float32)


def _agreed(stem: Spectrum, power: Wave, share: float) -> Wave:
    """What brings the model's power of a stem nearer to the network's, ``(n, T)``.

    A fit trades in whatever explains the mixture, so what the network told well, it may tell
    worse. In between, as a geometric mean, is then better than either.

    Args:
        stem: the network's, ``(C, T, n)``.
        power: the model's, ``(n, T)``.
        share: of the network's word, 0 to 1.
    """
    heard = (np.square(stem.real) + np.square(stem.imag)).mean(axis=0).T
    ratio: Wave = ((heard + _TINY) / (power + _TINY)) ** np.float32(share)
    return ratio


def _filtered(seen: Spectrum, powers: Wave, places: Wave, mixture: Spectrum | None) -> Spectrum:
    """Stems ``(S, C, T, n)``; of the channels of ``mixture (C, T, n)``, if the model is mono.

    Args:
        seen: the mixture, ``(C, n, T)``.
        powers: v, ``(S, n, T)``.
        places: R, ``(planes, n, S)``.
        mixture: see above.
    """
    # (n, planes, S) times (n, S, T), a product for each bin.
    sigma = (places.transpose(1, 0, 2) @ powers.transpose(1, 0, 2)).transpose(1, 0, 2)
    inverse, z = _solved(seen, sigma)
    if mixture is not None:
        masked: Spectrum = mixture * (powers * inverse).transpose(0, 2, 1)[:, None]
        return masked
    z0r, z0i, z1r, z1i = z
    a, d, re, im = places.transpose(0, 2, 1)[..., None]  # (S, n, 1) each
    out = np.empty((powers.shape[0], 2, *powers.shape[:0:-1]), np.complex64)
    turned = out.swapaxes(2, 3)
    turned.real[:, 0] = powers * (a * z0r + re * z1r - im * z1i)
    turned.imag[:, 0] = powers * (a * z0i + re * z1i + im * z1r)
    turned.real[:, 1] = powers * (d * z1r + re * z0r + im * z0i)
    turned.imag[:, 1] = powers * (d * z1i + re * z0i - im * z0r)
    return out
