# SPDX-License-Identifier: GPL-3.0-or-later
"""Refining stems on the recording itself: multichannel NMF, started by the network.

A drum kit repeats a few sounds, each from its own place. So after the network has estimated the
stems, each stem gets its own model from this window: a few spectra that come and go (nonnegative
matrix factorisation) and a direction for each frequency (a spatial covariance). All models are then
fitted to the mixture together, by maximum likelihood, and the mixture is separated again. Thus a
hi-hat that the network found alone is recognised under the snare.

The model and its updates: :mod:`lars_plugin.refine.mnmf`.

Axes: S stems, C channels, T frames, F bins, n bins of a part, L samples.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import is_silent
from lars_plugin.dsp.parallel import default_threads, one_thread_each, run_parts
from lars_plugin.dsp.spatial import is_mono
from lars_plugin.dsp.stft import Spectra, Spectrum
from lars_plugin.model import Refinement
from lars_plugin.refine.mnmf import TINY, MultichannelNMF

__all__ = ["Refiner"]

Wave = NDArray[np.float32]

_BINS = 128  # at a time, in a core's cache


class Refiner:
    """Fits and applies the model above to each window independently.

    Args:
        settings: window, components, iterations.
        stems: their names.
    """

    def __init__(self, settings: Refinement, stems: Sequence[str]) -> None:
        self.settings = settings
        self._places = [settings.places.get(stem, 1) for stem in stems]
        mono = {**settings.trust, **settings.mono_trust}
        # For mixtures of several channels, and for mono.
        self._trust = [
            [shares.get(stem, 0.0) for stem in stems] for shares in (settings.trust, mono)
        ]
        self._spectra = Spectra(settings.n_fft, settings.n_fft // 3, "sine")

    def __call__(self, mixture: Wave, stems: Wave) -> Wave:
        """Refined stems; see :meth:`updates`."""
        steps = self.updates(mixture, stems)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                result: Wave = stop.value
                return result

    def updates(self, mixture: Wave, stems: Wave) -> Generator[None, None, Wave]:
        """The same as a generator: it pauses after each update, so the caller can do other work.

        Args:
            mixture: ``(C, L)`` float32; not changed.
            stems: a network's estimates ``(S, C, L)`` float32; not changed.

        Returns:
            New memory ``(S, C, L)``; the stems add up to the mixture. Input that is silent,
            shorter than the spectrograms' window or not finite is returned unchanged.
        """
        fits = mixture.shape[1] > self.settings.n_fft and not is_silent(mixture)
        if not (fits and bool(np.isfinite(mixture).all() and np.isfinite(stems).all())):
            return np.array(stems)
        threads = default_threads()
        gain, seen, result = self._spectra.beside(mixture, stems, threads)
        settings, total = self.settings, None
        for index in range(settings.fits):
            seeded = replace(settings, seed=settings.seed + index)
            found = yield from _refined(seen, result, seeded, self._places, self._trust)
            total = found if total is None else np.add(total, found, out=total)
        if total is not None:
            if settings.fits > 1:
                total /= np.float32(settings.fits)
            result = total
        return self._spectra.stems_of(result, mixture, gain, threads)


def _refined(
    mixture: Spectrum,
    stems: Spectrum,
    settings: Refinement,
    places: Sequence[int],
    trust: Sequence[Sequence[float]],
) -> Generator[None, None, Spectrum]:
    """Stems ``(S, C, T, F)`` from a mixture ``(C, T, F)`` and estimates of them."""
    threads = default_threads()
    mono = mixture.shape[0] == 1 or _is_mono(mixture)
    if mono:
        heard, guessed = mixture.mean(axis=0, keepdims=True), stems.mean(axis=1, keepdims=True)
    else:
        heard, guessed = mixture, stems
    model = MultichannelNMF(
        heard,
        guessed,
        components=settings.components,
        places=places,
        seed=settings.seed,
        threads=threads,
    )
    yield
    # Without directions, the model soon becomes worse than the network's estimate.
    for _ in range(-(-settings.iterations // 3) if mono else settings.iterations):
        model.update()
        yield
    out = np.empty_like(stems)
    firsts = np.cumsum([0, *places])

    def apply(part: slice) -> None:
        powers = model.powers(part)
        for index, share in enumerate(trust[mono]):
            if share:
                own = slice(firsts[index], firsts[index + 1])
                powers[own] *= _agreed(guessed[index, ..., part], powers[own].sum(axis=0), share)
        model.filter(part, powers, out[..., part], mixture[..., part] if mono else None)

    bins = [slice(first, first + _BINS) for first in range(0, mixture.shape[2], _BINS)]
    with one_thread_each():
        run_parts(apply, bins, threads)
    return out


def _is_mono(mixture: Spectrum) -> bool:
    side = float(np.square(np.abs(mixture[0] - mixture[1]), dtype=np.float64).sum())
    whole = float(np.square(np.abs(mixture), dtype=np.float64).sum())
    return is_mono(side, whole)


def _agreed(stem: Spectrum, power: Wave, share: float) -> Wave:
    """The factor that moves the model's power of a stem towards the network's, ``(n, T)``.

    The model may explain the mixture with a worse estimate of a stem that the network knew well.
    The geometric mean of the two is then better than either.

    Args:
        stem: the network's, ``(C, T, n)``.
        power: the model's, ``(n, T)``.
        share: weight of the network, 0 to 1.
    """
    heard = (np.square(stem.real) + np.square(stem.imag)).mean(axis=0).T
    ratio: Wave = ((heard + TINY) / (power + TINY)) ** np.float32(share)
    return ratio
