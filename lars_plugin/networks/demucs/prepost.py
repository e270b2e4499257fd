# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre- and postprocessing of an HT-Demucs in numpy: spectra, and the levels of both halves.

Axes: S stems, C audio channels, L samples, T frames, F bins without Nyquist (``nfft // 2``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import is_silent
from lars_plugin.dsp.parallel import run_parts
from lars_plugin.dsp.stft import Spectra, Spectrum
from lars_plugin.errors import InputError
from lars_plugin.model import Wave
from lars_plugin.networks.demucs.config import HTDemucsConfig
from lars_plugin.networks.shared.prepost import Core, Shapes

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.networks.demucs.network import HTDemucs

__all__ = ["HybridPrePost"]

_EPSILON = 1e-5  # beside a standard deviation, as in the network
_PHASE_EPSILON = np.float32(1e-8)  # beside a magnitude, likewise
# The network sees frames from this one on; two before and two behind them are silent.
_FIRST = 2


class HybridPrePost:
    """An :class:`~lars_plugin.networks.demucs.network.HTDemucs`, all of whose weights are in its
    core.

    Args:
        config: the shape.
        load: makes the network, in eval mode; not called before the core is needed.
    """

    def __init__(self, config: HTDemucsConfig, load: Callable[[], HTDemucs]) -> None:
        self._config = config
        self._load = load
        self._spectra = Spectra(config.nfft, config.hop_length)
        self._scale = np.float32(1 / math.sqrt(config.nfft))

    def core(self) -> nn.Module:
        from lars_plugin.networks.demucs.core import HybridCore

        return HybridCore(self._load()).eval()

    def core_shapes(self, channels: int, samples: int) -> Shapes:
        config = self._config
        length = config.segment_length or samples
        frames = -(-length // config.hop_length)
        rows = channels * (2 if config.cac else 1) * config.num_subbands
        bins = config.nfft // 2 // config.num_subbands
        return (1, rows, bins, frames), (1, channels, length)

    def __call__(self, wave: Wave, core: Core, threads: int = 1) -> Wave:
        config = self._config
        channels, length = wave.shape
        whole = config.segment_length
        if 0 < whole < length:
            raise InputError(f"this network takes {whole} samples at most, got {length}")
        if is_silent(wave):
            return np.zeros((config.stems, channels, length), np.float32)
        if length < whole:
            wave = np.pad(wave, ((0, 0), (0, whole - length)))
        mixture = self._analysed(wave, threads)
        shape, _ = self.core_shapes(channels, length)
        x, mean, deviation = _normalised(self._as_features(mixture))
        xt, time_mean, time_deviation = _normalised(wave)
        x, xt = core([x.reshape(shape), xt[None]])
        frames = mixture.shape[2]
        found = x.reshape(config.stems, -1, config.nfft // 2, frames)
        waves = self._waves(found, mixture, mean, deviation, wave.shape[1], threads)
        stems = xt.reshape(config.stems, channels, -1) * time_deviation
        stems += time_mean
        stems += waves
        return np.ascontiguousarray(stems[..., :length])

    def _analysed(self, wave: Wave, threads: int) -> Spectrum:
        """Spectra ``(C, F, T)``, a frame for each hop that has begun."""
        hop, length = self._config.hop_length, wave.shape[1]
        frames = -(-length // hop)
        before = hop // 2 * 3
        padded = _continued(wave, before, before + frames * hop - length)
        bins = self._config.nfft // 2
        found = np.empty((len(wave), bins, frames), np.complex64)
        size = max(1, self._spectra.parts(length)[0][1])

        def analyse(first: int) -> None:
            end = min(first + size, frames)
            here = self._spectra.analyse(padded, first, end)[..., :bins]
            np.multiply(here.swapaxes(1, 2), self._scale, out=found[:, :, first:end])

        run_parts(analyse, range(0, frames, size), threads)
        return found

    def _as_features(self, spectra: Spectrum) -> Wave:
        """``(C, F, T)`` complex to ``(D, F, T)``."""
        if not self._config.cac:
            return np.abs(spectra)
        pairs = np.stack([spectra.real, spectra.imag], axis=1)
        return pairs.reshape(-1, *spectra.shape[1:])

    def _waves(
        self,
        found: Wave,
        mixture: Spectrum,
        mean: np.float32,
        deviation: np.float32,
        length: int,
        threads: int,
    ) -> Wave:
        """Stems ``(S, D, F, T)`` of the spectrum to ``(S, C, L)``."""
        config = self._config
        channels, bins, frames = mixture.shape
        rows = config.stems * channels
        pairs = found.reshape(config.stems, channels, -1, bins, frames)

        def spectrum(first: int, end: int) -> Spectrum:
            out = np.zeros((rows, end - first, bins + 1), np.complex64)
            begin, stop = max(first - _FIRST, 0), min(end - _FIRST, frames)
            if begin >= stop:
                return out
            here = pairs[..., begin:stop] * deviation + mean
            if config.cac:
                result = here[:, :, 0] + np.complex64(1j) * here[:, :, 1]
            else:
                phase = mixture[..., begin:stop]
                result = phase / (_PHASE_EPSILON + np.abs(phase)) * here[:, :, 0]
            at = begin + _FIRST - first
            turned = result.reshape(rows, bins, stop - begin).swapaxes(1, 2)
            out[:, at : at + stop - begin, :bins] = turned
            return out

        hop = config.hop_length
        before = hop // 2 * 3
        # As if there were frames of silence around those that are seen.
        waves = self._spectra.synthesise(
            spectrum, rows, frames * hop + 2 * before, gain=math.sqrt(config.nfft), threads=threads
        )
        return waves[:, before : before + length].reshape(config.stems, channels, length)


def _normalised(x: NDArray[np.float32]) -> tuple[Wave, np.float32, np.float32]:
    """At mean 0 and deviation 1, and what these were."""
    mean = x.mean(dtype=np.float64)
    deviation = x.std(dtype=np.float64, ddof=1) if x.size > 1 else np.float64(0)
    result = (x - np.float32(mean)) / np.float32(_EPSILON + deviation)
    return result, np.float32(mean), np.float32(deviation)


def _continued(wave: Wave, before: int, after: int) -> Wave:
    """A wave with its reflection before and after it, behind silence where it is short."""
    missing = max(before, after) + 1 - wave.shape[1]
    if missing > 0:
        zeros_after = min(after, missing)
        wave = np.pad(wave, ((0, 0), (missing - zeros_after, zeros_after)))
        before, after = before - (missing - zeros_after), after - zeros_after
    return np.pad(wave, ((0, 0), (before, after)), mode="reflect")
