# SPDX-License-Identifier: GPL-3.0-or-later
"""How well models did on a recording, judged without references.

After Liu, Seetharaman and Pardo (2020), who let clusters judge a separation: if stems are what they
should be, what belongs to one lies together by features that no model was asked about. Here these
are directions. Each point of the mixture's spectrogram has a level difference and a coherence
between the channels. The masks of a model's stems give each stem a Gaussian in that space. The
confidence in a stem is the posterior of its Gaussian at the points that the mask gives it, a mean
weighted by the mask and by the magnitude.

A stem's score, in dB, is made of that confidence, of the mean over all stems of its model, and, of
three models or more, of how near the stem is to the models' mean. Shares follow from the scores
alone, so that equal models are simply averaged. A recording in one channel has no directions:
there only the nearness counts.

The factors were fitted to three clips of one kit; docs/evaluation.md says what came of it on
another one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import is_silent
from lars_plugin.dsp.stft import Spectra, Spectrum
from lars_plugin.model import Wave

__all__ = ["WINDOW", "confidences", "scores", "shares_of"]

# Seconds that are judged together.
WINDOW = 2.0

_SECONDS = 2048 / 44100  # of a frame
_FLOOR = 1e-5  # of the loudest point: below it there is no direction
_ONE_PLACE = 1e-4  # of the energy: with less away from one direction, all comes from there
_SPREAD = 0.03  # added to each variance
_NARROW, _WIDE = 24, 40  # bands of one bin, and bands that grow

# dB of SDR for a confidence of 1 more: in the stem itself, in the mean of the model's stems.
_OWN, _WHOLE = 10.0, 30.0
# dB for each dB that a stem is nearer to the mean of three models or more.
_NEAR = 0.6
# How much a share grows by a dB of score, as a factor's logarithm.
_SHARPNESS = 0.5
# Of a stem's energy: nearness is not told apart below it.
_SILENCE = 1e-7

Array = NDArray[np.float64]


def shares_of(mixture: Wave, stems: Wave, sample_rate: float) -> Wave:
    """How much each model should count for each stem.

    Args:
        mixture: ``(channels, n)``.
        stems: ``(models, stems, channels, n)``; not changed.
        sample_rate: Hz.

    Returns:
        ``(models, stems)`` float32; over the models they add up to 1.
    """
    found = _SHARPNESS * scores(mixture, stems, sample_rate)
    found = np.exp(found - found.max(axis=0))
    return np.asarray(found / found.sum(axis=0), np.float32)


def scores(mixture: Wave, stems: Wave, sample_rate: float) -> Array:
    """Estimates of how many dB better one model's stem is than another's.

    Args:
        mixture, stems, sample_rate: see :func:`shares_of`.

    Returns:
        ``(models, stems)``; only differences between models mean something.
    """
    sure = confidences(mixture, stems, sample_rate)
    found: Array = _OWN * sure + _WHOLE * sure.mean(axis=1, keepdims=True)
    return found + _NEAR * _nearness(stems)


def confidences(mixture: Wave, stems: Wave, sample_rate: float) -> Array:
    """The posterior of each stem's direction where its mask says it is.

    Args:
        mixture, stems, sample_rate: see :func:`shares_of`.

    Returns:
        ``(models, stems)`` from 0 to 1; all 0 where there are no directions: in one channel, in
        silence, in less than two frames, and where all comes from one place.
    """
    models, count, channels, samples = stems.shape
    size = int(2 ** round(math.log2(_SECONDS * sample_rate)))
    nothing = np.zeros((models, count))
    if channels != 2 or samples < 2 * size or is_silent(mixture):
        return nothing
    wave = mixture.astype(np.float64)
    least, most = np.linalg.eigvalsh(wave @ wave.T)
    if least < _ONE_PLACE * most:
        return nothing
    spectra = Spectra(size, size)  # statistics need no overlap
    frames = spectra.frames(samples)
    edges = _edges(size // 2 + 1)

    def analysed(waves: Wave) -> Spectrum:
        return spectra.analyse(spectra.padded(waves), 0, frames)

    heard = analysed(mixture)
    powers = _banded(_power(heard), edges)  # (2, T, bands)
    total = powers.sum(axis=0)
    floor = _FLOOR * float(total.max())
    either = powers + floor
    cross = np.add.reduceat(heard[0] * heard[1].conj(), edges, axis=1).astype(np.complex128)
    cross *= 2 / np.sqrt(either[0] * either[1])
    level = np.log(either[0] / either[1])
    points = np.stack([level, cross.real, cross.imag], axis=-1).reshape(-1, 3)
    loud = np.sqrt(total)
    each = np.stack(
        [[_banded(_power(analysed(stem)).sum(axis=0), edges) for stem in model] for model in stems]
    )
    masks = each / (each.sum(axis=1, keepdims=True) + 0.01 * floor)
    weights = (masks * loud).reshape(models, count, -1)
    return np.stack([_posterior(points, one) for one in weights])


def _posterior(points: Array, weights: Array) -> Array:
    """For each cluster the mean posterior of its Gaussian at its own points.

    Args:
        points: ``(n, d)``.
        weights: of each point in each cluster, ``(clusters, n)``.
    """
    size = points.shape[1]
    squares = (points[:, :, None] * points[:, None, :]).reshape(len(points), -1)
    sums = weights.sum(axis=1) + np.finfo(np.float64).tiny
    means = weights @ points / sums[:, None]
    spreads = (weights @ squares / sums[:, None]).reshape(-1, size, size)
    spreads = spreads - means[:, :, None] * means[:, None, :] + _SPREAD * np.eye(size)
    inverse = np.linalg.inv(spreads)
    # The squared distance from a mean, as a sum over products of coordinates.
    turned = np.einsum("kij,kj->ki", inverse, means)
    distance = squares @ inverse.reshape(len(means), -1).T - 2 * points @ turned.T
    distance += np.einsum("ki,ki->k", turned, means)
    logs = np.log(sums) - 0.5 * np.linalg.slogdet(spreads)[1] - 0.5 * distance
    logs -= logs.max(axis=1, keepdims=True)
    likely = np.exp(logs)
    likely /= likely.sum(axis=1, keepdims=True)
    found: Array = np.einsum("kn,nk->k", weights, likely) / sums
    return found


def _nearness(stems: Wave) -> Array:
    """How far each model's stem is from the mean of the models', in dB, larger for nearer."""
    found = np.zeros(stems.shape[:2])
    if len(stems) < 3:  # two are equally far from their mean
        return found
    for index in range(stems.shape[1]):
        mean = stems[:, index].mean(axis=0)
        energy = _energy(mean) + _SILENCE
        for model, stem in enumerate(stems[:, index]):
            found[model, index] = -10 * math.log10((_energy(stem - mean) + _SILENCE) / energy)
    return found


def _energy(wave: Wave) -> float:
    return float(np.square(wave, dtype=np.float64).sum())


def _power(spectrum: Spectrum) -> Wave:
    power: Wave = spectrum.real**2 + spectrum.imag**2
    return power


def _banded(powers: Wave, edges: NDArray[np.intp]) -> Array:
    return np.add.reduceat(powers, edges, axis=-1).astype(np.float64)


def _edges(bins: int) -> NDArray[np.intp]:
    """The first bin of each band."""
    wide = np.geomspace(_NARROW, bins, _WIDE + 1)[:-1]
    return np.unique(np.concatenate([np.arange(_NARROW), wide.astype(np.intp)]))
