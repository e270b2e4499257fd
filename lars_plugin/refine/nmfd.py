# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates in time: each stem is one sound, struck again and again.

    v_j(f, t) = sum_n h_jn W_j(f, t - t_n) + w_j(f) g_j(t)    power of stem j

A stem's template W_j is the spectrogram of one stroke; it is repeated at the strokes t_n, which are
known, with gains h_jn. Beside it one free spectrum w_j takes what is not struck. Few numbers thus
describe a stem, so a fit to the mixture cannot move it far from what it is, and a tail is told from
the strokes that sound over it.

Nonnegative matrix factor deconvolution: Smaragdis 2004, "Non-negative matrix factor deconvolution;
extraction of multiple sound sources from monophonic inputs". Here it is the source model of a
multichannel factorisation with spatial covariances (Ozerov and Fevotte 2010), with the
multiplicative updates of Sawada et al. 2013; see :mod:`lars_plugin.refine.mnmf`. All parameters are
updated at once from one Sigma. There are few updates: with more, likelihood rises but stems get
worse.

A template of L frames is L spectra whose gains are shifted copies of one another. The free spectra
follow as further columns, so all is products of matrices.

Axes: S stems, C channels, L frames of a template, K columns of all stems, T frames, F bins, n bins
of a part.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lars_plugin.dsp.hermitian import outer, solved
from lars_plugin.dsp.parallel import one_thread_each, run_parts, stop_check
from lars_plugin.dsp.stft import Spectrum
from lars_plugin.refine.spatial_model import TINY, SpatialModel, moved

__all__ = ["Strokes", "TemplateNMF"]

Wave = NDArray[np.float32]
Frames = NDArray[np.int64]

# Updates that fit a stem to its estimate before all are fitted to the mixture.
_FIRST = 5
# Exponent of an update; there is no momentum.
_EXPONENT = np.float32(0.7)
# Limit of the factor of one update, or of its inverse.
_STEEPEST = np.float32(1000)
# Frames after the start of a template whose power tells how loud a stroke is.
_LOUD = 10


@dataclass(frozen=True, eq=False)
class Strokes:
    """Where the template of a stem starts.

    Attributes:
        starts: frames, ascending, each once; from ``1 - length`` to ``T - 1``.
        length: L, frames of the template; 0 for none.
        free: spectra beside it, 1 or more.
    """

    starts: Frames
    length: int
    free: int = 1

    @classmethod
    def at(
        cls,
        samples: NDArray[np.integer],
        length: float,
        hop: int,
        frames: int,
        *,
        lead: int = 0,
        free: int = 1,
    ) -> Strokes:
        """Strokes of a stem in a spectrogram.

        Each has two starts, a frame apart, because it lies between two frames.

        Args:
            samples: where strokes begin; those outside the spectrogram are left out.
            length: of a template, in samples; 0 for none.
            hop: samples from one frame to the next.
            frames: T.
            lead: samples by which a template starts earlier.
            free: spectra beside it.
        """
        first = np.rint(np.asarray(samples, np.float64) / hop).astype(np.int64)
        first = first[(first >= 0) & (first < frames)]
        if not (length and len(first)):
            return cls(np.empty(0, np.int64), 0, free)
        starts = np.unique(np.concatenate([first, first + 1])) - max(1, round(lead / hop))
        return cls(starts[starts < frames], max(4, round(length / hop)), free)


class TemplateNMF(SpatialModel):
    """The model above of one window of a recording.

    Args:
        mixture: its spectrum ``(C, T, F)``, of RMS 1 or so; not changed.
        estimates: of its stems ``(S, C, T, F)``; not changed.
        strokes: of each stem.
        seed: of the initial random numbers.
        threads: parts at a time. The result does not depend on it.

    Attributes:
        spectra: W and w of all stems, ``(F, K)``.
        rows: gains of all columns, ``(K, T)``: shifted copies of h, and g.
        places: R, ``(planes, F, S)``.
    """

    def __init__(
        self,
        mixture: Spectrum,
        estimates: Spectrum,
        strokes: Sequence[Strokes],
        *,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        power = np.square(estimates.real) + np.square(estimates.imag)
        super().__init__(mixture, estimates, power, [1] * len(strokes), threads)
        frames = mixture.shape[1]
        self._tied = [_Tied(one, frames) for one in strokes]
        edges = np.cumsum([0, *(one.columns for one in self._tied)])
        self._own = [slice(*edge) for edge in itertools.pairwise(edges)]
        self.spectra = np.empty((mixture.shape[2], edges[-1]), np.float32)
        self.rows = np.empty((edges[-1], frames), np.float32)
        check = stop_check()

        def start(index: int) -> None:
            wanted = np.ascontiguousarray(power[index].mean(axis=0).T)  # (F, T)
            wanted += np.float32(1e-9)
            tied, own = self._tied[index], self._own[index]
            rng = np.random.default_rng([seed, index])
            w, rows = tied.start(wanted, rng)
            for _ in range(_FIRST):
                check()
                # Kullback-Leibler divergence: more stable than likelihood at first.
                ratio = wanted / (w @ rows + TINY)
                more, less = ratio @ rows.T, rows.sum(axis=1)
                up, down = w.T @ ratio, w.sum(axis=0)
                w *= (more + TINY) / (less + TINY)
                tied.move(rows, up, np.broadcast_to(down[:, None], up.shape), np.float32(1))
            self.spectra[:, own], self.rows[own] = w, rows

        with one_thread_each():
            run_parts(start, range(len(strokes)), threads)
        planes, bins = self.places.shape[:2]
        self._up = np.empty((planes, bins, len(strokes)), np.float32)
        self._down = np.empty_like(self._up)

    def powers(self, part: slice) -> Wave:
        """v of some bins, ``(S, n, T)``, new memory."""
        w = self.spectra[part]
        result = np.empty((len(self._own), len(w), self.rows.shape[1]), np.float32)
        for out, own in zip(result, self._own, strict=True):
            np.matmul(w[:, own], self.rows[own], out=out)
        return result

    def _look(self, part: slice) -> tuple[Wave, Wave]:
        """Updates the spectra of some bins. Statistics for the gains are returned, ``(K, T)``
        twice; those for R go into ``_up`` and ``_down``."""
        powers = self.powers(part)
        model, z = solved(self.sigma(part, powers), self.seen[:, part])
        observed = outer(z).transpose(1, 0, 2)  # (n, planes, T)
        model[2:] *= -1
        expected = model.transpose(1, 0, 2)
        sources = powers.transpose(1, 2, 0)  # (n, T, S)
        self._up[:, part] = (observed @ sources).transpose(1, 0, 2)
        self._down[:, part] = (expected @ sources).transpose(1, 0, 2)
        # The trace of a product of two Hermitian matrices has their off-diagonal entries twice.
        places = self.places[:, part].transpose(1, 2, 0).copy()  # (n, S, planes)
        places[..., 2:] *= 2
        seen, thought = (places @ one for one in (observed, expected))  # (n, S, T)
        sums = np.empty((2, *self.rows.shape), np.float32)
        w = self.spectra[part]
        for index, own in enumerate(self._own):
            rows, mine = self.rows[own], w[:, own]
            np.matmul(mine.T, seen[:, index], out=sums[0, own])
            np.matmul(mine.T, thought[:, index], out=sums[1, own])
            step = _factor(seen[:, index] @ rows.T, thought[:, index] @ rows.T, _EXPONENT)
            np.maximum(mine * step, TINY, out=mine)
        return sums[0], sums[1]

    def _move(self, more: Wave, less: Wave) -> None:
        """Updates the gains, and R."""
        for tied, own in zip(self._tied, self._own, strict=True):
            tied.move(self.rows[own], more[own], less[own], _EXPONENT)
        if len(self.places) == 4:
            self.places, _ = moved(self.places, self._up, self._down)


class _Tied:
    """The columns of one stem: those of its template, then the free ones."""

    def __init__(self, strokes: Strokes, frames: int) -> None:
        self._strokes = strokes
        self._frames = frames
        self.columns = strokes.length + strokes.free
        # Where the row of each frame of a template has each stroke's gain: (strokes, L).
        at = strokes.starts[:, None] + np.arange(strokes.length)
        self._inside = (at >= 0) & (at < frames)
        self._at = np.clip(at, 0, frames - 1) + frames * np.arange(strokes.length)

    def start(self, wanted: Wave, rng: np.random.Generator) -> tuple[Wave, Wave]:
        """Columns ``(F, L + free)`` and rows for the power of a stem ``(F, T)``."""
        length, free = self._strokes.length, self._strokes.free
        rows = np.zeros((self.columns, self._frames), np.float32)
        w = np.empty((len(wanted), self.columns), np.float32)
        if length:
            # As loud as the stroke's first frames; its template is the mean of what follows.
            levels = wanted.sum(axis=0)
            first = min(length, _LOUD)
            heard = levels[self._at[:, :first] % self._frames] * self._inside[:, :first]
            self._write(rows, heard.sum(axis=1) + TINY)
            struck = np.asarray(rows[:length] > 0, np.float32)
            w[:, :length] = (wanted @ struck.T) / (rows[:length].sum(axis=1) + TINY)
        loudness = np.sqrt(wanted).sum(axis=0, dtype=np.float64)
        picks = rng.choice(self._frames, free, p=loudness / loudness.sum())
        w[:, length:] = wanted[:, picks] + wanted.mean() * np.float32(0.1)
        rows[length:] = rng.random((free, self._frames), np.float32) * np.float32(0.05) + TINY
        return w, rows

    def move(self, rows: Wave, more: Wave, less: Wave, exponent: np.float32) -> None:
        """Update the gains in place, from numerators and denominators ``(L + free, T)``."""
        length = self._strokes.length
        if length:
            flat = [one[:length].reshape(-1)[self._at] * self._inside for one in (more, less)]
            up, down = (one.sum(axis=1) for one in flat)
            gains = self._gains(rows) * _factor(up, down, exponent)
            self._write(rows, np.maximum(gains, TINY))
        step = _factor(more[length:], less[length:], exponent)
        np.maximum(rows[length:] * step, TINY, out=rows[length:])

    def _gains(self, rows: Wave) -> Wave:
        """The gain of each stroke, from the first of its frames that is inside."""
        first = self._inside.argmax(axis=1)
        gains: Wave = rows.reshape(-1)[self._at[np.arange(len(first)), first]]
        return gains

    def _write(self, rows: Wave, gains: Wave) -> None:
        flat = rows.reshape(-1)
        everywhere = np.broadcast_to(gains[:, None], self._at.shape)
        flat[self._at[self._inside]] = everywhere[self._inside]


def _factor(more: Wave, less: Wave, exponent: np.float32) -> Wave:
    ratio = (np.maximum(more, 0) + TINY) / (np.maximum(less, 0) + TINY)
    return np.asarray(np.clip(ratio**exponent, 1 / _STEEPEST, _STEEPEST), np.float32)
