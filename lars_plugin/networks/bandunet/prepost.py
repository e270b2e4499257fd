# SPDX-License-Identifier: GPL-3.0-or-later
"""BandUNet in three parts: bins in front and masks behind in numpy, the core between.

Behind the core the masks of a few frames and bands at a time are computed, used and transformed
back while they are in a core's cache. The network's own ``forward``, which training needs as it
is, writes and reads a spectrogram of all stems a dozen times, which takes longer than its
convolutions.

Axes: S stems, C audio channels, L samples, T frames, F bins (Nyquist dropped), n bands of W bins
in a run of equal bands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lars_plugin.audio.levels import is_silent
from lars_plugin.dsp.parallel import run_parts
from lars_plugin.dsp.stft import Spectra, Spectrum
from lars_plugin.networks.bandunet.config import BandUNetConfig
from lars_plugin.networks.shared.band_shapes import band_groups, level_count
from lars_plugin.networks.shared.constants import (
    BIN_POWER_FLOOR,
    COMPRESSION,
    LEVEL_EXPONENT,
    LEVEL_OF_SILENCE,
    SCALE_FLOOR,
)
from lars_plugin.networks.shared.prepost import Core, Shapes

if TYPE_CHECKING:
    from torch import nn

    from lars_plugin.networks.bandunet.network import BandUNet

__all__ = ["BandPrePost"]

Wave = NDArray[np.float32]

# Masks are made and used this many bytes at a time.
_CACHE_BYTES = 1 << 19


class BandPrePost:
    """A :class:`~lars_plugin.networks.bandunet.network.BandUNet`, all of whose weights are in its
    core.

    The core takes a tensor ``(n, T', 2 * C * W)`` for each run of equal bands, T' >= T frames
    (with levels, see ``networks.shared.bands.levels_of``, ``(n, T', (2 * C + E) * W)``: first the
    complex bins of a band, then their levels), and returns one ``(n, 2 * S * C * W, T')`` for each:
    logits of the real parts of the masks, then their imaginary parts, which sum to zero over the
    stems.

    Args:
        config: the shape.
        load: makes the network, in eval mode; not called before the core is needed.
    """

    def __init__(self, config: BandUNetConfig, load: Callable[[], BandUNet]) -> None:
        self._config = config
        self._load = load
        self._spectra = Spectra(config.n_fft, config.hop_length)
        self._groups = band_groups(config.band_widths)

    def core(self) -> nn.Module:
        from lars_plugin.networks.bandunet.core import BandCore

        return BandCore(self._load()).eval()

    def core_shapes(self, channels: int, samples: int) -> Shapes:
        frames = self._spectra.frames(samples)
        step = 1 << (len(self._config.features) - 1)
        frames += -frames % step
        per_bin = 2 * channels + self._levels(channels)
        return tuple((count, frames, per_bin * width) for count, width in self._groups)

    def _levels(self, channels: int) -> int:
        return level_count(channels) if self._config.levels else 0

    def __call__(self, wave: Wave, core: Core, threads: int = 1) -> Wave:
        channels, length = wave.shape
        stems = self._config.stems
        if is_silent(wave):
            return np.zeros((stems, channels, length), np.float32)
        scale = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) + SCALE_FLOOR
        mixture, bins = self._bins(wave * np.float32(1 / scale), threads)
        outputs = core(bins)
        out = self._spectra.synthesise(
            lambda first, end: self._masked(mixture[:, first:end], outputs, first),
            stems * channels,
            length,
            gain=scale,
            threads=threads,
        )
        return out.reshape(stems, channels, length)

    def _bins(self, wave: Wave, threads: int) -> tuple[Spectrum, list[Wave]]:
        """The mixture's spectrogram ``(C, T, F + 1)`` and what the core sees of it."""
        spectra, (channels, length) = self._spectra, wave.shape
        padded = spectra.padded(wave)
        frames = spectra.frames(length)
        mixture = np.empty((channels, frames, self._config.n_fft // 2 + 1), np.complex64)
        shapes = self.core_shapes(channels, length)
        bins = [np.empty(shape, np.float32) for shape in shapes]
        for one in bins:
            one[:, frames:] = 0
        levels = self._levels(channels)

        def analyse(part: tuple[int, int]) -> None:
            first, end = part
            here = spectra.analyse(padded, first, end)
            mixture[:, first:end] = here
            heard = _levels_of(here) if levels else None
            factors = _raised(here, COMPRESSION)[..., None]
            here.view(np.float32).reshape(*here.shape, 2)[:] *= factors
            start = 0
            for (count, width), one in zip(self._groups, bins, strict=True):
                span, own = slice(start, start + count * width), 2 * channels * width
                _fill(one[:, first:end, :own].view(np.complex64), here[:, :, span])
                if heard is not None:
                    _fill(one[:, first:end, own:], heard[:, :, span])
                start += count * width

        run_parts(analyse, spectra.parts(length), threads)
        return mixture, bins

    def _masked(self, mixture: Spectrum, outputs: list[Wave], first: int) -> Spectrum:
        """Stems' spectra ``(S * C, T, F + 1)`` of some frames ``(C, T, F + 1)``."""
        stems, (channels, frames, bins) = self._config.stems, mixture.shape
        turned = np.ascontiguousarray(mixture.transpose(0, 2, 1))
        out = np.empty((stems, channels, frames, bins), np.complex64)
        start = 0
        edge = out[..., -1]
        for (count, width), output in zip(self._groups, outputs, strict=True):
            at_once = max(1, _CACHE_BYTES // (4 * output.shape[1] * frames))
            for band in range(0, count, at_once):
                here = output[band : band + at_once, :, first : first + frames]
                n = here.shape[0]
                here = here.reshape(n, 2, stems, channels, width, frames)
                mask = _masks(here[:, 0], here[:, 1])
                edge = mask[-1, :, :, -1].copy()
                span = slice(start, start + n * width)
                mask *= turned[:, span].reshape(channels, n, width, frames).swapaxes(0, 1)[:, None]
                target = out[..., span].reshape(stems, channels, frames, n, width)
                target[:] = mask.transpose(1, 2, 4, 0, 3)
                start += n * width
        out[..., -1] = edge * turned[:, -1]  # Nyquist has the mask of its neighbour
        return out.reshape(stems * channels, frames, bins)


def _raised(spec: Spectrum, exponent: float) -> Wave:
    """Powers of bins to an exponent; exp and log are faster than a power."""
    power = np.square(spec.real)
    power += np.square(spec.imag)
    power += np.float32(BIN_POWER_FLOOR)
    np.log(power, out=power)
    power *= np.float32(exponent)
    np.exp(power, out=power)
    return power


def _levels_of(spec: Spectrum) -> Wave:
    """``networks.shared.bands.levels_of`` of ``(C, T, F + 1)``: ``(E, T, F + 1)``."""
    if spec.shape[0] == 2:
        both = np.stack([spec[0] + spec[1], spec[0] - spec[1]])
        both *= np.float32(0.5**0.5)
        spec = np.concatenate([spec, both])
    levels = _raised(spec, LEVEL_EXPONENT)
    levels -= np.float32(LEVEL_OF_SILENCE)
    return levels


def _fill(target: Spectrum | Wave, source: Spectrum | Wave) -> None:
    """Bins ``(P, T, n * W)`` of some kind into a core's input ``(n, T, W * P)``."""
    planes, frames, _ = source.shape
    count = target.shape[0]
    into = target.reshape(count, frames, -1, planes)
    assert np.shares_memory(into, target)
    into[:] = source.reshape(planes, frames, count, -1).transpose(2, 1, 3, 0)


def _masks(logits: Wave, imag: Wave) -> Spectrum:
    """Complex masks, new memory; both arguments ``(n, S, ...)`` and not changed."""
    real = logits - logits.max(axis=1, keepdims=True)
    np.exp(real, out=real)
    mask = np.empty(real.shape, np.complex64)
    np.multiply(real, 1 / real.sum(axis=1, keepdims=True), out=mask.real)
    mask.imag = imag
    return mask
