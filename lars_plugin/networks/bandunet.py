# SPDX-License-Identifier: GPL-3.0-or-later
"""BandUNet: the network of our own offline models.

Axes: B batch, S stems, C audio channels, L samples, T frames, F bins (Nyquist dropped),
K bands, D features. Feature maps are ``(B, D, T, K)`` in channels-last memory order.

What it is made of, and why:

- A band split (after Luo and Yu 2023, "Music source separation with band-split RNN",
  section III-A): each band of bins gets a linear map of its own. Bands are 2 bins wide below
  700 Hz and 50 wide at the top, so the frequency axis shrinks from 1,024 bins to 64
  roughly pitch-spaced bands. Kick and toms keep their resolution, cymbals cost little.
- A U-Net of 3 x 3 convolutions with time-distributed fully connected layers over frequency
  (TFC-TDF, Choi et al. 2020), as in MDX23C, on that small grid.
- Dilated convolutions over time at the bottom: a crash is told from a ride by how it rings.
- Complex masks per stem and audio channel whose sum over the stems is exactly one: a softmax
  (competition, as in a Wiener filter) plus a complex correction that sums to zero. So the
  stems add up to the mixture by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.stft import STFT

__all__ = ["BandUNet", "BandUNetConfig", "masks_from"]


@dataclass(frozen=True)
class BandUNetConfig:
    """Shape of a :class:`BandUNet`.

    Attributes:
        stems: number of outputs.
        audio_channels: channels of the mixture.
        n_fft: STFT window in samples.
        hop_length: STFT hop in samples.
        band_widths: bins per band, low to high; they sum to ``n_fft // 2``. Runs of equal
            width are computed together.
        features: feature channels per scale, finest first.
        blocks: residual blocks per scale and direction.
        dilations: time dilation of each block at the bottom.
        tdf_factor: the frequency layers' bottleneck is the band count divided by this.
        head: width of the hidden layer before the masks.
    """

    stems: int = 6
    audio_channels: int = 2
    n_fft: int = 2048
    hop_length: int = 512
    band_widths: tuple[int, ...] = (
        *(2,) * 16,
        *(4,) * 8,
        *(6,) * 8,
        *(10,) * 8,
        *(20,) * 8,
        *(34,) * 8,
        *(50,) * 8,
    )
    features: tuple[int, ...] = (48, 80, 112, 144)
    blocks: int = 1
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    tdf_factor: int = 2
    head: int = 64

    def __post_init__(self) -> None:
        if sum(self.band_widths) != self.n_fft // 2:
            raise ValueError(
                f"band_widths sum to {sum(self.band_widths)}, but n_fft // 2 is {self.n_fft // 2}"
            )
        if len(self.band_widths) % (1 << (len(self.features) - 1)):
            raise ValueError("the number of bands must be divisible by 2 per downscaling")

    def band_groups(self) -> list[tuple[int, int]]:
        """Runs of equal width as (number of bands, width), low to high."""
        groups: list[tuple[int, int]] = []
        for width in self.band_widths:
            if groups and groups[-1][1] == width:
                groups[-1] = (groups[-1][0] + 1, width)
            else:
                groups.append((1, width))
        return groups


def masks_from(out: Tensor) -> tuple[Tensor, Tensor]:
    """Network output ``(bands, 2, S, ...)`` to masks (real, imaginary) ``(bands, S, ...)``.

    Over S the real parts sum to 1 and the imaginary ones to 0.
    """
    out = out.float()
    imag = out[:, 1]
    return torch.softmax(out[:, 0], dim=1), imag - imag.mean(dim=1, keepdim=True)


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


class BandUNet(nn.Module):
    """Waves in, stems out: ``(B, C, L)`` to ``(B, S, C, L)`` float32, for any L > n_fft / 2.

    The stems sum to the input up to float rounding.
    """

    def __init__(self, config: BandUNetConfig, *, portable: bool = False) -> None:
        super().__init__()
        self.config = config
        self.stft = STFT(config.n_fft, config.hop_length, portable=portable)
        features, bands = config.features, len(config.band_widths)
        groups = config.band_groups()
        per_bin = 2 * config.audio_channels
        self.embed = nn.ParameterList(
            nn.Parameter(torch.randn(n, w * per_bin, features[0]) * (w * per_bin) ** -0.5)
            for n, w in groups
        )
        self.position = nn.Parameter(torch.zeros(1, features[0], 1, bands))
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
        # Per bin: (real logit, imaginary part) x stems x channels.
        outputs = 2 * config.stems * config.audio_channels
        self.masks = nn.ParameterList(
            nn.Parameter(torch.randn(n, outputs * w, config.head) * 0.1 * config.head**-0.5)
            for n, w in groups
        )
        self.mask_bias = nn.ParameterList(
            nn.Parameter(torch.zeros(n, outputs * w, 1)) for n, w in groups
        )

    def _stack(self, features: int, bands: int) -> nn.Sequential:
        return nn.Sequential(
            *(_Block(features, bands, self.config.tdf_factor) for _ in range(self.config.blocks))
        )

    def forward(self, wave: Tensor) -> Tensor:
        batch, channels, length = wave.shape
        scale = wave.square().mean(dim=(1, 2), keepdim=True).sqrt() + 1e-5
        spec = self.separate(self.stft(wave / scale))
        stems = self.config.stems
        frames, bins = spec.shape[3], spec.shape[4]
        flat = spec.reshape(batch, stems * channels, frames, bins, 2)
        out = self.stft.inverse(flat, length).reshape(batch, stems, channels, length)
        return out * scale[:, None]

    def separate(self, spec: Tensor) -> Tensor:
        """Mixture spectrogram ``(B, C, T, F + 1, 2)`` to stems ``(B, S, C, T, F + 1, 2)``."""
        batch, channels, frames = spec.shape[:3]
        parts = []
        for out in self.band_outputs(spec):
            real, imag = masks_from(out)
            # (bands, S, C, width, B, T) to (B, S, C, T, bins)
            shape = (batch, self.config.stems, channels, frames, real.shape[0] * real.shape[3])
            real = real.permute(4, 1, 2, 5, 0, 3).reshape(shape)
            imag = imag.permute(4, 1, 2, 5, 0, 3).reshape(shape)
            parts.append(torch.stack([real, imag], dim=-1))
        mask = torch.cat([*parts, parts[-1][..., -1:, :]], dim=-2)  # Nyquist: its neighbour's
        a, b = spec[:, None, ..., 0], spec[:, None, ..., 1]
        real, imag = mask[..., 0], mask[..., 1]
        return torch.stack([real * a - imag * b, real * b + imag * a], dim=-1)

    def band_outputs(self, spec: Tensor) -> list[Tensor]:
        """What :func:`masks_from` makes masks of, for each run of equally wide bands.

        Args:
            spec: mixture spectrogram ``(B, C, T, F + 1, 2)``.

        Returns:
            Low to high, ``(bands, 2, S, C, width, B, T)`` each. In this order of axes nothing
            the size of all masks is ever transposed, which in training costs more than the
            network itself.
        """
        config = self.config
        batch, channels, frames = spec.shape[:3]
        features = self._trunk(spec)
        padded = features.shape[2] // batch
        result, start = [], 0
        for weight, bias, (count, width) in zip(
            self.masks, self.mask_bias, config.band_groups(), strict=True
        ):
            out = torch.baddbmm(bias, weight, features[start : start + count])
            out = out.reshape(count, 2, config.stems, channels, width, batch, padded)
            result.append(out[..., :frames])
            start += count
        return result

    def _trunk(self, spec: Tensor) -> Tensor:
        """Spectrogram ``(B, C, T, F + 1, 2)`` to features ``(K, head, B * T')``, T' >= T."""
        config = self.config
        batch, channels, frames = spec.shape[:3]
        step = 1 << (len(config.features) - 1)
        x = spec[..., :-1, :].permute(0, 2, 3, 1, 4)  # (B, T, F, C, 2)
        # Magnitudes to the power 0.3: cymbals 40 dB below the kick stay visible.
        x = x * (x.square().sum(-1, keepdim=True) + 1e-8) ** -0.35
        x = functional.pad(x, (0, 0, 0, 0, 0, 0, 0, (-frames) % step))
        padded = x.shape[1]
        parts, start = [], 0
        for weight, (count, width) in zip(self.embed, config.band_groups(), strict=True):
            bins = x[:, :, start : start + count * width]
            bins = bins.reshape(batch * padded, count, width * channels * 2).transpose(0, 1)
            parts.append(torch.bmm(bins, weight))
            start += count * width
        x = torch.cat(parts).reshape(-1, batch, padded, config.features[0])
        x = x.permute(1, 3, 2, 0) + self.position  # (B, D, T', K)
        x = x.contiguous(memory_format=torch.channels_last)
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
        return x.permute(3, 1, 0, 2).reshape(x.shape[3], config.head, batch * padded)
