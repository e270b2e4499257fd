# SPDX-License-Identifier: GPL-3.0-or-later
"""Refining stems on the recording itself: multichannel NMF, started by the network.

A drum kit repeats a few sounds, each from its own place. So after the network has estimated the
stems, each stem gets its own model from this window: a few spectra that come and go (nonnegative
matrix factorisation) and a direction for each frequency (a spatial covariance). All models are then
fitted to the mixture together, by maximum likelihood, and the mixture is separated again. Thus a
hi-hat that the network found alone is recognised under the snare.

The model and its updates: :mod:`lars_plugin.refine.mnmf`. Where strokes are known, another model
comes before it, which starts from the network's stems and gives better ones: one template in time
for each stem, repeated at its strokes (:mod:`lars_plugin.refine.nmfd`).

Axes: S stems, C channels, T frames, F bins, n bins of a part, L samples.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import is_silent
from lars_plugin.dsp.parallel import default_threads, one_thread_each, run_parts
from lars_plugin.dsp.spatial import is_mono
from lars_plugin.dsp.stft import Spectra, Spectrum
from lars_plugin.model import SAMPLE_RATE, Refinement
from lars_plugin.refine.mnmf import MultichannelNMF
from lars_plugin.refine.nmfd import Strokes, TemplateNMF
from lars_plugin.refine.spatial_model import TINY, SpatialModel

__all__ = ["Refiner"]

Wave = NDArray[np.float32]
Samples = NDArray[np.integer]

# Samples by which a template starts before its stroke, as a window hears it earlier.
_LEAD = 1024
# A drum rings for so many times its template; behind that its power falls by so many dB a second.
_RINGING, _FALLING = 2.0, 30.0
# How often what is too loud is made quieter, and what the network hears of a stem at the least.
_TRIES, _FAINTEST = 8, 1e-9
_BINS = 128  # at a time, in a core's cache


class Refiner:
    """Fits and applies the model above to each window independently.

    Args:
        settings: window, components, iterations.
        stems: their names.
        sample_rate: Hz; templates are as long as their seconds say.
    """

    def __init__(
        self, settings: Refinement, stems: Sequence[str], sample_rate: float = SAMPLE_RATE
    ) -> None:
        self.settings = settings
        self.stems = tuple(stems)
        self._rate = sample_rate
        self._places = [settings.places.get(stem, 1) for stem in stems]
        mono = {**settings.trust, **settings.mono_trust}
        # For mixtures of several channels, and for mono.
        self._trust = [
            [shares.get(stem, 0.0) for stem in stems] for shares in (settings.trust, mono)
        ]
        # Against the network's, largest ratio of powers.
        self._louder = np.array([10 ** (settings.louder.get(s, np.inf) / 10) for s in stems])
        self._spectra = Spectra(settings.n_fft, settings.n_fft // 3, "sine")
        self._longer = Spectra(settings.template_fft, settings.template_fft // 3, "sine")

    def __call__(
        self, mixture: Wave, stems: Wave, strokes: Sequence[Samples] | None = None
    ) -> Wave:
        """Refined stems; see :meth:`updates`."""
        steps = self.updates(mixture, stems, strokes)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                result: Wave = stop.value
                return result

    def updates(
        self, mixture: Wave, stems: Wave, strokes: Sequence[Samples] | None = None
    ) -> Generator[None, None, Wave]:
        """The same as a generator: it pauses after each update, so the caller can do other work.

        Args:
            mixture: ``(C, L)`` float32; not changed.
            stems: a network's estimates ``(S, C, L)`` float32; not changed.
            strokes: for each stem, samples at which it is struck, in any order; those outside the
                mixture do not count. Used where the settings have templates. None: no templates.

        Returns:
            New memory ``(S, C, L)``; the stems add up to the mixture. With ``fits`` of 0 they are
            the network's, unchanged, and so they are where the input is silent, not finite or not
            longer than the spectrograms' window.
        """
        if not self.settings.fits:
            return np.array(stems)
        fits = mixture.shape[1] > self.settings.n_fft and not is_silent(mixture)
        if not (fits and bool(np.isfinite(mixture).all() and np.isfinite(stems).all())):
            return np.array(stems)
        struck, limits = self._struck(mixture, strokes), self._limits(mixture, stems)
        if not struck:
            return (yield from self._by_factors(mixture, stems, struck, limits))
        found = yield from self._by_templates(mixture, stems, struck, limits)
        found = yield from self._by_factors(mixture, found, struck, limits)
        if self.settings.fits > 1:
            # The two models err in different places, so their mean is better than either.
            found += yield from self._by_templates(mixture, found, struck, limits)
            found /= np.float32(2)
        return found

    def _struck(self, mixture: Wave, strokes: Sequence[Samples] | None) -> list[Samples]:
        """The strokes where templates are fitted, else nothing."""
        if not self.settings.templates or mixture.shape[1] <= self.settings.template_fft:
            return []
        inside = [
            np.asarray(found)[(np.asarray(found) >= 0) & (np.asarray(found) < mixture.shape[1])]
            for found in strokes or ()
        ]
        return inside if any(len(found) for found in inside) else []

    def _limits(self, mixture: Wave, stems: Wave) -> NDArray[np.float64]:
        """Of each stem, the largest share of the mixture's power ``(S,)``."""
        heard = np.square(stems, dtype=np.float64).sum(axis=(1, 2))
        whole = np.square(mixture, dtype=np.float64).sum()
        limits: NDArray[np.float64] = self._louder * np.maximum(heard / whole, _FAINTEST)
        return limits

    def _by_templates(
        self,
        mixture: Wave,
        stems: Wave,
        strokes: Sequence[Samples],
        limits: NDArray[np.float64],
    ) -> Generator[None, None, Wave]:
        """Stems ``(S, C, L)`` by templates, from estimates of them."""
        settings, spectra, threads = self.settings, self._longer, default_threads()
        gain, seen, guessed = spectra.beside(mixture, stems, threads)
        mono, heard, known = _as_fitted(seen, guessed)
        placed = [
            Strokes.at(
                found,
                settings.templates.get(stem, 0) * self._rate,
                spectra.hop_length,
                heard.shape[1],
                lead=_LEAD,
                # A stem without a template is spectra that come and go, as in the other model.
                free=1 if stem in settings.templates else settings.components,
            )
            for stem, found in zip(self.stems, strokes, strict=True)
        ]
        model = TemplateNMF(heard, known, placed, seed=settings.seed, threads=threads)
        yield
        yield from _updated(model, settings.template_updates, mono)
        ones = [1] * len(self.stems)
        result = _filtered(model, seen, known, ones, (), mono, None, limits)
        return spectra.stems_of(result, mixture, gain, threads)

    def _by_factors(
        self,
        mixture: Wave,
        stems: Wave,
        strokes: Sequence[Samples],
        limits: NDArray[np.float64],
    ) -> Generator[None, None, Wave]:
        """The same by multichannel NMF, the mean of several fits."""
        settings, spectra, threads = self.settings, self._spectra, default_threads()
        gain, seen, guessed = spectra.beside(mixture, stems, threads)
        mono, heard, known = _as_fitted(seen, guessed)
        total: Spectrum | None = None
        for index in range(settings.fits):
            model = MultichannelNMF(
                heard,
                known,
                components=settings.components,
                places=self._places,
                seed=settings.seed + index,
                threads=threads,
            )
            yield
            yield from _updated(model, settings.iterations, mono)
            found = _filtered(
                model, seen, known, self._places, self._trust[mono], mono,
                self._ringing(strokes, seen.shape[1], spectra.hop_length), limits,
            )  # fmt: skip
            total = found if total is None else np.add(total, found, out=total)
        assert total is not None
        if settings.fits > 1:
            total /= np.float32(settings.fits)
        return spectra.stems_of(total, mixture, gain, threads)

    def _ringing(self, strokes: Sequence[Samples], frames: int, hop: int) -> Wave | None:
        """Factors ``(S, T)`` of powers: less than 1 where a stem was not struck for long.

        What came before the window may still ring at its start.
        """
        if not self.settings.unstruck or not strokes:
            return None
        seconds = np.arange(frames) * (hop / self._rate)
        factors = np.ones((len(self.stems), frames), np.float32)
        for index, (stem, samples) in enumerate(zip(self.stems, strokes, strict=True)):
            most = self.settings.unstruck.get(stem, 0.0)
            if most:
                starts = np.sort(np.append((samples - _LEAD) / self._rate, 0.0))
                last = starts[np.searchsorted(starts, seconds, side="right") - 1]
                silent = seconds - last - _RINGING * self.settings.templates[stem]
                factors[index] = 10 ** (-np.clip(_FALLING * silent, 0.0, most) / 10)
        return factors


def _as_fitted(mixture: Spectrum, stems: Spectrum) -> tuple[bool, Spectrum, Spectrum]:
    """Whether a mixture is mono, and what is fitted: one channel of mixture and stems then."""
    if mixture.shape[0] == 1 or _is_mono(mixture):
        return True, mixture.mean(axis=0, keepdims=True), stems.mean(axis=1, keepdims=True)
    return False, mixture, stems


def _updated(model: SpatialModel, updates: int, mono: bool) -> Generator[None, None, None]:
    """Fit a model. Without directions, it soon becomes worse than the network's estimate."""
    for _ in range(-(-updates // 3) if mono else updates):
        model.update()
        yield


def _filtered(
    model: SpatialModel,
    mixture: Spectrum,
    guessed: Spectrum,
    places: Sequence[int],
    trust: Sequence[float],
    mono: bool,
    ringing: Wave | None,
    limits: NDArray[np.float64],
) -> Spectrum:
    """Stems ``(S, C, T, F)`` of a fitted model, with less power where one is louder than it may be.

    Where the network hears next to nothing of a drum, a model that starts from that can end with
    the sound of another one at its strokes.
    """
    out = np.empty((len(places), *mixture.shape), np.complex64)
    firsts = np.cumsum([0, *places])
    factors = ringing

    def apply(part: slice) -> None:
        powers = model.powers(part)
        for index, share in enumerate(trust):
            if share:
                own = slice(firsts[index], firsts[index + 1])
                powers[own] *= _agreed(guessed[index, ..., part], powers[own].sum(axis=0), share)
        for index, gains in enumerate(factors if factors is not None else ()):
            powers[firsts[index] : firsts[index + 1]] *= gains
        model.filter(part, powers, out[..., part], mixture[..., part] if mono else None)

    bins = [slice(first, first + _BINS) for first in range(0, mixture.shape[2], _BINS)]
    whole = np.vdot(mixture, mixture).real
    for _ in range(1 + _TRIES):
        with one_thread_each():
            run_parts(apply, bins, default_threads())
        if np.isinf(limits).all():
            break
        heard = np.array([np.vdot(stem, stem).real for stem in out]) / whole
        excess = np.maximum(heard / limits, 1.0)
        if (excess == 1).all():
            break
        # Where others are louder, a stem's power goes with the square of its model's.
        quieter = np.sqrt(1 / excess).astype(np.float32)[:, None]
        if factors is None:
            factors = np.ones((len(places), mixture.shape[1]), np.float32)
        factors = factors * quieter
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
