# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre- and postprocessing of an MDX23C in numpy: subbands of spectra around its U-Net.

Axes: S stems, C audio channels, L samples, T frames, F bins (``n_fft // 2``), N subbands,
W bins per subband.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lars_plugin.audio.levels import is_silent
from lars_plugin.dsp.parallel import run_parts
from lars_plugin.dsp.stft import Spectra, Spectrum
from lars_plugin.model import Wave
from lars_plugin.networks.mdx23c.config import MDX23CConfig
from lars_plugin.networks.shared.prepost import Core, Shapes

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.networks.mdx23c.network import MDX23C

__all__ = ["MDX23CPrePost"]


class MDX23CPrePost:
    """An :class:`~lars_plugin.networks.mdx23c.network.MDX23C`, all of whose weights are in its
    core.

    Args:
        config: the shape.
        load: makes the network, in eval mode; not called before the core is needed, which for
            the published models means not reading 440 MB.
    """

    def __init__(self, config: MDX23CConfig, load: Callable[[], MDX23C]) -> None:
        self._config = config
        self._load = load
        self._spectra = Spectra(config.n_fft, config.hop_length)

    def core(self) -> nn.Module:
        from lars_plugin.networks.mdx23c.core import UNetCore

        return UNetCore(self._load()).eval()

    def core_shapes(self, channels: int, samples: int) -> Shapes:
        config = self._config
        frames, width = self._spectra.frames(samples), config.dim_f // config.num_subbands
        return ((1, 2 * channels * config.num_subbands, frames, width),)

    def __call__(self, wave: Wave, core: Core, threads: int = 1) -> Wave:
        config, spectra = self._config, self._spectra
        channels, length = wave.shape
        if is_silent(wave):
            return np.zeros((config.stems, channels, length), np.float32)
        (shape,) = self.core_shapes(channels, length)
        _, _, frames, width = shape
        mixture = np.empty((channels, 2, config.num_subbands, frames, width), np.float32)
        padded = spectra.padded(wave)

        def analyse(part: tuple[int, int]) -> None:
            first, end = part
            here = spectra.analyse(padded, first, end)[..., : config.dim_f]
            # (C, T, N, W) complex to (C, 2, N, T, W)
            here = here.reshape(channels, end - first, config.num_subbands, width).swapaxes(1, 2)
            mixture[:, 0, :, first:end] = here.real
            mixture[:, 1, :, first:end] = here.imag

        run_parts(analyse, spectra.parts(length), threads)
        (result,) = core([mixture.reshape(shape)])
        rows = config.stems * channels
        stems = result.reshape(rows, 2, config.num_subbands, frames, width)

        def spectrum(first: int, end: int) -> Spectrum:
            # Bins that the network does not see are silent.
            out = np.zeros((rows, end - first, config.n_fft // 2 + 1), np.complex64)
            here = out[..., : config.dim_f].reshape(rows, end - first, config.num_subbands, width)
            here.real = stems[:, 0, :, first:end].swapaxes(1, 2)
            here.imag = stems[:, 1, :, first:end].swapaxes(1, 2)
            return out

        waves = spectra.synthesise(spectrum, rows, length, threads=threads)
        return waves.reshape(config.stems, channels, length)
