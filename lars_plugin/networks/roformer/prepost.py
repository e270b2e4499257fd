# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre- and postprocessing of a RoFormer in numpy: spectra and masks around its transformers.

Axes: S stems, C audio channels, L samples, T frames, F bins (``n_fft // 2 + 1``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lars_plugin.audio.levels import is_silent
from lars_plugin.dsp.parallel import run_parts
from lars_plugin.dsp.stft import Spectra, Spectrum
from lars_plugin.model import Wave
from lars_plugin.networks.roformer.bands import bands_per_bin
from lars_plugin.networks.roformer.config import RoFormerConfig
from lars_plugin.networks.shared.prepost import Core, Shapes

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.networks.roformer.network import RoFormer

__all__ = ["MaskPrePost"]


class MaskPrePost:
    """A :class:`~lars_plugin.networks.roformer.network.RoFormer`, all of whose weights are in its
    core.

    Args:
        config: the shape.
        load: makes the network, in eval mode; not called before the core is needed.
    """

    def __init__(self, config: RoFormerConfig, load: Callable[[], RoFormer]) -> None:
        self._config = config
        self._load = load
        self._spectra = Spectra(config.n_fft, config.hop_length)
        self._share = (1 / bands_per_bin(config.bands, config.bins)).astype(np.float32)[:, None]
        self._overlapping = bool((self._share < 1).any())

    def only(self, stems: tuple[int, ...]) -> MaskPrePost:
        """The same for these stems alone."""
        config = dataclasses.replace(self._config, stems=len(stems))
        return MaskPrePost(config, lambda: self._load().only(stems))

    def core(self) -> nn.Module:
        from lars_plugin.networks.roformer.core import MaskCore

        return MaskCore(self._load()).eval()

    def core_shapes(self, channels: int, samples: int) -> Shapes:
        return ((1, self._spectra.frames(samples), self._config.bins * channels * 2),)

    def __call__(self, wave: Wave, core: Core, threads: int = 1) -> Wave:
        config, spectra = self._config, self._spectra
        channels, length = wave.shape
        if is_silent(wave):
            return np.zeros((config.stems, channels, length), np.float32)
        frames = spectra.frames(length)
        mixture = np.empty((frames, config.bins, channels), np.complex64)
        padded = spectra.padded(wave)

        def analyse(part: tuple[int, int]) -> None:
            first, end = part
            mixture[first:end] = spectra.analyse(padded, first, end).transpose(1, 2, 0)

        run_parts(analyse, spectra.parts(length), threads)
        (result,) = core([mixture.view(np.float32).reshape(1, frames, -1)])
        masks = result[0].view(np.complex64)  # (S, T, bins of all bands * C)

        def spectrum(first: int, end: int) -> Spectrum:
            here = self._per_bin(masks[:, first:end], channels) * mixture[first:end]
            if config.zero_dc:
                here[:, :, 0] = 0
            # (S, T, F, C) to (S * C, T, F)
            turned: Spectrum = here.transpose(0, 3, 1, 2).reshape(-1, end - first, config.bins)
            return turned

        waves = spectra.synthesise(spectrum, config.stems * channels, length, threads=threads)
        return waves.reshape(config.stems, channels, length)

    def _per_bin(self, masks: Spectrum, channels: int) -> Spectrum:
        """Masks of bands, one after the other, as those of bins, ``(S, T, F, C)``."""
        stems, frames, _ = masks.shape
        masks = masks.reshape(stems, frames, -1, channels)
        if not self._overlapping:
            return masks
        sums = np.zeros((stems, frames, self._config.bins, channels), np.complex64)
        start = 0
        for first, end in self._config.bands:
            sums[:, :, first:end] += masks[:, :, start : start + end - first]
            start += end - first
        sums *= self._share
        return sums
