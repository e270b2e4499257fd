# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre- and postprocessing of a LarsNet in numpy: magnitudes and masks around its U-Nets.

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
from lars_plugin.networks.larsnet.config import LarsNetConfig
from lars_plugin.networks.shared.prepost import Core, Shapes

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.networks.larsnet.network import LarsNet

__all__ = ["MagnitudePrePost"]

_TINY = np.float32(1e-7)  # as in the network


class MagnitudePrePost:
    """A :class:`~lars_plugin.networks.larsnet.network.LarsNet`, all of whose weights are in its
    core.

    The core sees as many frames at once as the networks were trained on; what is longer is cut.

    Args:
        config: the shape.
        load: makes the network, in eval mode; not called before the core is needed.
    """

    def __init__(self, config: LarsNetConfig, load: Callable[[], LarsNet]) -> None:
        self._config = config
        self._load = load
        self._spectra = Spectra(config.n_fft, config.hop_length)

    def only(self, stems: tuple[int, ...]) -> MagnitudePrePost | None:
        """The same for these stems alone; None with the Wiener filter, which needs all."""
        if self._config.wiener is not None:
            return None
        names = tuple(self._config.stems[index] for index in stems)

        def load() -> LarsNet:
            part = self._load().only(stems)
            assert part is not None
            return part

        return MagnitudePrePost(dataclasses.replace(self._config, stems=names), load)

    def core(self) -> nn.Module:
        from lars_plugin.networks.larsnet.core import UNetsCore

        return UNetsCore(self._load()).eval()

    def core_shapes(self, channels: int, samples: int) -> Shapes:
        del samples
        return ((1, channels, self._config.bins, self._config.frames),)

    def __call__(self, wave: Wave, core: Core, threads: int = 1) -> Wave:
        config, spectra = self._config, self._spectra
        channels, length = wave.shape
        count = len(config.stems)
        if is_silent(wave):
            return np.zeros((count, channels, length), np.float32)
        # The last frame is whole.
        whole = np.pad(wave, ((0, 0), (0, -(length - config.n_fft) % config.hop_length)))
        frames = spectra.frames(whole.shape[1])
        mixture = np.empty((channels, frames, config.n_fft // 2 + 1), np.complex64)
        padded = spectra.padded(whole)

        def analyse(part: tuple[int, int]) -> None:
            mixture[:, part[0] : part[1]] = spectra.analyse(padded, *part)

        run_parts(analyse, spectra.parts(whole.shape[1]), threads)
        # (S, C, T, bins)
        masks = np.empty((count, channels, frames, config.bins), np.float32)
        for first in range(0, frames, config.frames):
            here = mixture[:, first : first + config.frames, : config.bins]
            seen = np.zeros((1, channels, config.bins, config.frames), np.float32)
            seen[0, ..., : here.shape[1]] = np.abs(here).swapaxes(1, 2)
            (result,) = core([seen])
            part = result.reshape(count, channels, config.bins, config.frames)
            masks[:, :, first : first + config.frames] = part[..., : here.shape[1]].swapaxes(2, 3)

        def spectrum(first: int, end: int) -> Spectrum:
            mask = masks[:, :, first:end]
            here = mixture[:, first:end, : config.bins]
            if config.wiener is not None:
                powers = (mask * np.abs(here)) ** np.float32(config.wiener)
                mask = powers / (powers.sum(axis=0) + _TINY)
            # Bins that the networks do not see are silent.
            out = np.zeros((count, channels, end - first, config.n_fft // 2 + 1), np.complex64)
            np.multiply(mask, here, out=out[..., : config.bins])
            return out.reshape(count * channels, *out.shape[2:])

        waves = spectra.synthesise(spectrum, count * channels, whole.shape[1], threads=threads)
        return np.ascontiguousarray(waves.reshape(count, channels, -1)[..., :length])
