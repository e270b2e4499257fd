# SPDX-License-Identifier: GPL-3.0-or-later
"""BandUNet: the network of our own offline models.

Axes: B batch, S stems, C audio channels, L samples, T frames, F bins (Nyquist dropped),
K bands, D features. Feature maps are ``(B, D, T, K)`` in channels-last memory order.

Between the band split and the masks of ``bands.py`` stand:

- A U-Net of 3 x 3 convolutions with time-distributed fully connected layers over frequency
  (TFC-TDF, Choi et al. 2020), as in MDX23C, on a grid of 64 bands.
- Dilated convolutions over time at the bottom: a crash is told from a ride by how it rings.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.bandunet.config import BandUNetConfig
from lars_plugin.networks.shared.bands import BandNetwork, apply_masks
from lars_plugin.networks.shared.constants import SCALE_FLOOR
from lars_plugin.networks.shared.stft import STFT

__all__ = ["BandUNet", "BandUNetConfig"]


class _ConvNormAct(nn.Sequential):
    """Convolution, batch norm, SiLU; the norm folds into the convolution for inference."""

    def __init__(self, inputs: int, outputs: int, *, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(
                inputs, outputs, 3, padding=(dilation, 1), dilation=(dilation, 1), bias=False
            ),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
        )


class _Block(nn.Module):
    """Residual TFC-TDF block: conv, frequency layers, conv. ``(B, D, T, K)`` to the same."""

    def __init__(self, features: int, bands: int, tdf_factor: int, dilation: int = 1) -> None:
        super().__init__()
        hidden = max(4, bands // tdf_factor)
        self.first = _ConvNormAct(features, features, dilation=dilation)
        self.squeeze = nn.Linear(bands, hidden)
        self.expand = nn.Linear(hidden, bands)
        self.norm = nn.BatchNorm2d(features)
        self.second = _ConvNormAct(features, features)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = y + self.norm(self.expand(functional.silu(self.squeeze(y))))
        out: Tensor = x + self.second(y)
        return out


class BandUNet(BandNetwork):
    """Waves in, stems out: ``(B, C, L)`` to ``(B, S, C, L)`` float32, for any L > n_fft / 2.

    The stems sum to the input up to float rounding.
    """

    def __init__(self, config: BandUNetConfig, *, portable: bool = False) -> None:
        super().__init__(
            stems=config.stems,
            audio_channels=config.audio_channels,
            band_widths=config.band_widths,
            features=config.features[0],
            head=config.head,
            levels=config.levels,
        )
        self.config = config
        self.stft = STFT(config.n_fft, config.hop_length, portable=portable)
        features, bands = config.features, len(config.band_widths)
        self.encoder = nn.ModuleList()
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level, width in enumerate(features[:-1]):
            size = bands >> level
            self.encoder.append(self._stack(width, size))
            self.down.append(
                nn.Sequential(
                    nn.Conv2d(width, features[level + 1], 2, stride=2, bias=False),
                    nn.BatchNorm2d(features[level + 1]),
                    nn.SiLU(),
                )
            )
            self.up.append(
                nn.Sequential(
                    nn.ConvTranspose2d(features[level + 1], width, 2, stride=2, bias=False),
                    nn.BatchNorm2d(width),
                    nn.SiLU(),
                )
            )
            self.decoder.append(self._stack(width, size))
        bottom = bands >> (len(features) - 1)
        self.bottom = nn.Sequential(
            *(_Block(features[-1], bottom, config.tdf_factor, d) for d in config.dilations)
        )
        self.hidden = nn.Sequential(
            nn.Conv2d(2 * features[0], config.head, 1, bias=False),
            nn.BatchNorm2d(config.head),
            nn.SiLU(),
        )

    def _stack(self, features: int, bands: int) -> nn.Sequential:
        return nn.Sequential(
            *(_Block(features, bands, self.config.tdf_factor) for _ in range(self.config.blocks))
        )

    def forward(self, wave: Tensor) -> Tensor:
        batch, channels, length = wave.shape
        scale = wave.square().mean(dim=(1, 2), keepdim=True).sqrt() + SCALE_FLOOR
        spec = self.separate(self.stft(wave / scale))
        stems = self.config.stems
        frames, bins = spec.shape[3], spec.shape[4]
        flat = spec.reshape(batch, stems * channels, frames, bins, 2)
        out = self.stft.inverse(flat, length).reshape(batch, stems, channels, length)
        return out * scale[:, None]

    def separate(self, spec: Tensor) -> Tensor:
        """Mixture spectrogram ``(B, C, T, F + 1, 2)`` to stems ``(B, S, C, T, F + 1, 2)``."""
        return apply_masks(spec, self.band_outputs(spec), self.config.stems)

    def band_outputs(self, spec: Tensor) -> list[Tensor]:
        """:meth:`mask_outputs` for a mixture spectrogram ``(B, C, T, F + 1, 2)``."""
        batch, channels, frames = spec.shape[:3]
        outputs = self.mask_outputs(self._trunk(spec), batch, channels)
        return [out[..., :frames] for out in outputs]

    def _trunk(self, spec: Tensor) -> Tensor:
        """Spectrogram ``(B, C, T, F + 1, 2)`` to features ``(K, head, B * T')``, T' >= T."""
        config = self.config
        batch, _, frames = spec.shape[:3]
        step = 1 << (len(config.features) - 1)
        x = spec[..., :-1, :].permute(0, 2, 3, 1, 4)  # (B, T, F, C, 2)
        x = functional.pad(x, (0, 0, 0, 0, 0, 0, 0, (-frames) % step))
        padded = x.shape[1]
        x = self.unet(self.split_bands(x))
        return x.permute(3, 1, 0, 2).reshape(x.shape[3], config.head, batch * padded)

    def unet(self, x: Tensor) -> Tensor:
        """Split bands ``(B, D, T, K)`` to features ``(B, head, T, K)``; T whole for all scales."""
        entry, skips = x, []
        for encode, down in zip(self.encoder, self.down, strict=True):
            x = encode(x)
            skips.append(x)
            x = down(x)
        x = self.bottom(x)
        for up, decode, skip in zip(
            reversed(self.up), reversed(self.decoder), reversed(skips), strict=True
        ):
            x = decode(up(x) + skip)
        x = self.hidden(torch.cat([x, entry], dim=1))
        assert isinstance(x, Tensor)
        return x
