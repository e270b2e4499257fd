# SPDX-License-Identifier: GPL-3.0-or-later
"""What multichannel models of a recording share: places of sources, and the filter.

    Sigma = sum_j v_j R_j                             covariance of the mixture, C x C
    S_j = v_j R_j Sigma^-1 X                          Wiener filter

Axes: S sources, C channels (2, or 1 where both are alike), T frames, F bins, n bins of a part.
Matrices and spectra are in the planes of :mod:`lars_plugin.dsp.hermitian`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lars_plugin.dsp.hermitian import applied, geometric_mean, inverse, sandwich, solved
from lars_plugin.dsp.parallel import one_thread_each, run_parts
from lars_plugin.dsp.spatial import DIFFUSE, covariances
from lars_plugin.dsp.stft import Spectrum

__all__ = ["FLOOR", "TINY", "SpatialModel", "moved"]

Wave = NDArray[np.float32]

# Power in each bin that belongs to no source, for mixtures of RMS 1: far below hearing.
FLOOR = np.float32(1e-4)
# Added to what is divided by.
TINY = np.float32(1e-10)
_BINS = 128  # bins at a time, for arrays with an axis of frames: fits a core's cache


class SpatialModel(ABC):
    """Sources with places, whose powers a subclass models.

    Args:
        mixture: its spectrum ``(C, T, F)``, of RMS 1 or so; not changed.
        estimates: of its stems ``(stems, C, T, F)``; not changed.
        power: of the estimates, of the same shape.
        places: sources of each stem, which start at the same place.
        threads: parts at a time. The result does not depend on it.

    Attributes:
        seen: the mixture, ``(2 C, F, T)``.
        parts: runs of bins that are worked on together.
        places: R, ``(planes, F, S)``.
    """

    def __init__(
        self,
        mixture: Spectrum,
        estimates: Spectrum,
        power: Wave,
        places: Sequence[int],
        threads: int,
    ) -> None:
        self._threads = threads
        self._firsts = np.cumsum([0, *places])[:-1]
        channels, frames, bins = mixture.shape
        # Frames last, so that a run of bins is contiguous in memory.
        self.seen = np.empty((2 * channels, bins, frames), np.float32)
        self.seen[::2] = mixture.real.transpose(0, 2, 1)
        self.seen[1::2] = mixture.imag.transpose(0, 2, 1)
        self.parts = [slice(at, at + _BINS) for at in range(0, bins, _BINS)]
        self.places = _covariances(estimates, power).repeat(places, axis=2)

    def update(self) -> None:
        """One update of everything."""
        with one_thread_each():
            sums = run_parts(self._look, self.parts, self._threads)
        # In order, so that the result does not depend on the number of threads.
        more, less = sums[0]
        for one, other in sums[1:]:
            more += one
            less += other
        with np.errstate(all="ignore"):  # values that are not finite are not used
            self._move(more, less)

    @abstractmethod
    def _look(self, part: slice) -> tuple[Wave, Wave]:
        """Statistics of some bins: those of the gains are returned, numerators and denominators,
        to be added up over all bins; what belongs to single bins stays in the model."""

    @abstractmethod
    def _move(self, more: Wave, less: Wave) -> None:
        """Update what :meth:`_look` has left; ``more`` and ``less`` are the sums over all bins."""

    @abstractmethod
    def powers(self, part: slice) -> Wave:
        """v of some bins, ``(S, n, T)``, new memory."""

    def sigma(self, part: slice, powers: Wave) -> Wave:
        """Sigma of some bins, ``(planes, n, T)``, new memory, from v ``(S, n, T)``."""
        places = self.places[:, part]
        # (n, planes, S) times (n, S, T), a product for each bin.
        sigma = (places.transpose(1, 0, 2) @ powers.transpose(1, 0, 2)).transpose(1, 0, 2)
        sigma = np.ascontiguousarray(sigma)
        sigma[:2] += FLOOR
        return sigma

    def filter(
        self, part: slice, powers: Wave, out: Spectrum, mixture: Spectrum | None = None
    ) -> None:
        """Stems of some bins.

        Args:
            part: the bins.
            powers: v, ``(S, n, T)``.
            out: output, ``(stems, C, T, n)``, each the sum of its sources.
            mixture: for a mono model: the channels that are filtered, ``(C, T, n)``.
        """
        places = self.places[:, part]
        model, z = solved(self.sigma(part, powers), self.seen[:, part])
        if mixture is not None:
            shares = self._summed(powers * model, axis=0)
            np.multiply(mixture, shares.transpose(0, 2, 1)[:, None], out=out)
            return
        images = applied(places, z)  # (n, S, 4, T)
        images *= powers.transpose(1, 0, 2)[:, :, None]
        planes = self._summed(images, axis=1).transpose(1, 2, 0, 3)
        turned = out.swapaxes(2, 3)
        turned.real = planes[:, ::2]
        turned.imag = planes[:, 1::2]

    def _summed(self, sources: Wave, axis: int) -> Wave:
        """Sums of the sources of each stem along an axis."""
        if len(self._firsts) == sources.shape[axis]:
            return sources
        sums: Wave = np.add.reduceat(sources, self._firsts, axis=axis)
        return sums


def _covariances(stems: Spectrum, power: Wave) -> Wave:
    """Spatial covariances ``(planes, F, stems)``, their traces 2 (and a little)."""
    if stems.shape[1] == 1:
        return np.ones((1, stems.shape[3], stems.shape[0]), np.float32)
    energy = power.sum(axis=2)  # (stems, C, F)
    energies = energy[:, 0], energy[:, 1]
    r00, r11, r01 = covariances(stems[:, 0], stems[:, 1], energies, energy.sum(axis=1))
    return np.ascontiguousarray(np.stack([one.T for one in (r00, r11, r01.real, r01.imag)]))


def moved(places: Wave, up: Wave, down: Wave) -> tuple[Wave, Wave]:
    """New covariances with traces of 2, and the traces they had before, halved, ``(n, S)``.

    The R that solves R B R = R' A R' (Sawada et al. 2013, equation 47) is the geometric mean of
    B^-1 and R' A R', in closed form for 2 x 2 matrices.

    Args:
        places: R', ``(4, n, S)``.
        up: A; overwritten.
        down: B; overwritten.
    """
    sizes = [(one[0] + one[1]) / 2 + np.float32(1e-20) for one in (up, down)]
    for one, size in zip((up, down), sizes, strict=True):
        one /= size
        one[:2] += np.float32(1e-4)  # a source that is silent has no direction
    mean = geometric_mean(inverse(down), sandwich(places, up)) * np.sqrt(sizes[0] / sizes[1])
    trace = (mean[0] + mean[1]) / 2 + np.float32(1e-20)
    mean /= trace
    mean[:2] += DIFFUSE
    good = np.isfinite(mean).all(axis=0)
    grown = np.where(good, np.clip(trace, 0.5, 2), np.float32(1))
    return np.where(good, mean, places).astype(np.float32), grown.astype(np.float32)
