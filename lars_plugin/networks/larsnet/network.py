# SPDX-License-Identifier: GPL-3.0-or-later
"""LarsNet: a U-Net per stem that masks the magnitudes of the mixture's STFT.

Mezza, Giampiccolo, Bernardini, Sarti: Toward Deep Drum Source Separation, Pattern Recognition
Letters 183 (2024). Written anew from the published layout, so that the published checkpoints load
by name: ``input_norm``, ``enc1`` to ``enc6`` (``conv``, ``bn``), ``dec1`` to ``dec6``
(``conv_trans``, ``bn``), ``mask_layer.0``; here below the name of the stem.

Axes: B batch, C channels, S stems, L samples, F bins, T frames.
"""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.larsnet.config import LEVELS, LarsNetConfig
from lars_plugin.networks.shared.stft import STFT

__all__ = ["LarsNet", "LarsNetConfig", "LarsUNet"]

_SLOPE = 0.2  # of the encoder's leaky ReLU
# Kept from the original, where it keeps silence from dividing by zero.
_TINY = 1e-7


class _Down(nn.Module):
    """Half the resolution: convolution, then normalisation and activation on the way down."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, F, T)`` to ``(B, C', F/2, T/2)``: for the next level, and for the way back,
        which takes the convolution's own output."""
        bare = self.conv(x)
        return functional.leaky_relu(self.bn(bare), _SLOPE), bare


class _Up(nn.Module):
    """Twice the resolution; here the activation stands before the normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_trans = nn.ConvTranspose2d(
            inputs, outputs, 5, stride=2, padding=2, output_padding=1
        )
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, F, T)`` to ``(B, C', 2F, 2T)``."""
        result: Tensor = self.bn(functional.relu(self.conv_trans(x)))
        return result


class LarsUNet(nn.Module):
    """The network of one stem: magnitudes ``(B, C, bins, frames)`` to a mask of that shape.

    Dropout, which the published one has in training, is left out: it has no weights.
    """

    def __init__(self, config: LarsNetConfig) -> None:
        super().__init__()
        widths = [config.audio_channels, *config.features]
        self.input_norm = nn.BatchNorm2d(config.bins)
        for level in range(LEVELS):
            self.add_module(f"enc{level + 1}", _Down(widths[level], widths[level + 1]))
        for level in range(LEVELS):
            inner = widths[LEVELS - level]
            # From the second on, what came down on that level stands beside what comes up.
            self.add_module(
                f"dec{level + 1}", _Up(inner if level == 0 else 2 * inner, widths[-2 - level])
            )
        self.mask_layer = nn.Sequential(
            nn.Conv2d(config.audio_channels, config.audio_channels, 4, dilation=2, padding=3)
        )

    def forward(self, magnitudes: Tensor) -> Tensor:
        # Each bin is normalised over channels and frames: bins stand where channels do elsewhere.
        x = self.input_norm(magnitudes.transpose(1, 2)).transpose(1, 2)
        skips = []
        for level in range(LEVELS):
            x, bare = self.get_submodule(f"enc{level + 1}")(x)
            skips.append(bare)
        # The lowest level's output is its convolution alone.
        x = skips.pop()
        for level in range(LEVELS):
            x = self.get_submodule(f"dec{level + 1}")(x)
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        return torch.sigmoid(self.mask_layer(x))


class LarsNet(nn.Module):
    """Waves ``(B, C, L)`` to stems ``(B, S, C, L)`` float32; L must exceed ``n_fft / 2``.

    Chunks of ``(frames - 1) * hop_length`` samples are what the networks were trained on.
    """

    def __init__(self, config: LarsNetConfig) -> None:
        super().__init__()
        self.config = config
        # Not called stft: exports replace that by its portable form, which has no complex numbers.
        self.transform = STFT(config.n_fft, config.hop_length)
        for stem in config.stems:
            self.add_module(stem, LarsUNet(config))

    def only(self, stems: tuple[int, ...]) -> LarsNet | None:
        """The networks of these stems alone, sharing weights; None with the Wiener filter, for
        which every stem needs all."""
        if self.config.wiener is not None:
            return None
        one = copy.copy(self)
        names = tuple(self.config.stems[index] for index in stems)
        one._modules = {
            name: part
            for name, part in self._modules.items()
            if name in names or name not in self.config.stems
        }
        one.config = dataclasses.replace(self.config, stems=names)
        return one

    def forward(self, wave: Tensor) -> Tensor:
        batch, channels, length = wave.shape
        spectra = self._spectra(wave.float())
        magnitudes = spectra.abs()
        found = [magnitudes * self._mask(stem, magnitudes) for stem in self.config.stems]
        if self.config.wiener is not None:
            powers = [one**self.config.wiener for one in found]
            total = sum(powers[1:], powers[0]) + _TINY
            found = [magnitudes * (power / total) for power in powers]
        stems = torch.stack(found, dim=1)  # (B, S, C, F, T)
        # The mixture's phase is kept: its spectrum over its magnitude.
        phases = spectra / magnitudes.clamp_min(torch.finfo(torch.float32).tiny)
        rows = (stems * phases[:, None]).flatten(0, 2)
        out = self.transform.waves(rows, length)
        return out.reshape(batch, len(self.config.stems), channels, length)

    def _spectra(self, wave: Tensor) -> Tensor:
        """``(B, C, L)`` to complex ``(B, C, F, T)``; the last frame is whole."""
        config = self.config
        missing = -(wave.shape[-1] - config.n_fft) % config.hop_length
        padded = functional.pad(wave, (0, missing)).flatten(0, 1)
        spectra = self.transform.spectra(padded)
        return spectra.reshape(*wave.shape[:2], *spectra.shape[1:])

    def _mask(self, stem: str, magnitudes: Tensor) -> Tensor:
        """A stem's mask for magnitudes ``(B, C, F, T)`` of any T."""
        config, frames = self.config, magnitudes.shape[-1]
        low = functional.pad(magnitudes[..., : config.bins, :], (0, -frames % config.frames))
        network = self.get_submodule(stem)
        masks = [network(part) for part in torch.split(low, config.frames, dim=-1)]
        mask = torch.cat(masks, dim=-1)[..., :frames]
        return functional.pad(mask, (0, 0, 0, magnitudes.shape[-2] - config.bins))
