# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks cut in two: a core full of convolutions, and spectrograms and masks around it.

The core is what a compiler of networks is good at; FFTs, complex numbers and transpositions are
what it is bad at. A cut runs those around any callable that computes the core: the network's own
PyTorch modules, or a compiled copy of them.

Both networks map digital silence to digital silence, whatever their (finite) weights: masks
multiply a spectrum that is zero, and no layer after an MDX23C's product with its first layer has
a bias or an activation that moves zero. So silence is not computed.

Axes: B batch, S stems, C audio channels, L samples, T frames, F bins (``n_fft // 2``),
N subbands, W bins per subband, K bands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from lars_plugin.networks.bands import masks_from
from lars_plugin.networks.bandunet import BandUNet
from lars_plugin.networks.mdx23c import MDX23C, MDX23CConfig
from lars_plugin.networks.stft import STFT

__all__ = ["BandCut", "Cut", "MDX23CCut"]

# Masks are made and used this many bytes at a time, so that they stay in a core's cache.
_CACHE_BYTES = 2 << 20

Core = Callable[[Tensor], Tensor]


class Cut(Protocol):
    """A network without its core."""

    def core(self) -> nn.Module:
        """The core with its weights, in eval mode; a tensor in, a tensor out."""
        ...

    def core_shape(self, channels: int, samples: int) -> tuple[int, ...]:
        """Shape of the core's input for a batch of one."""
        ...

    def __call__(self, wave: Tensor, core: Core) -> Tensor:
        """Waves ``(B, C, L)`` to stems ``(B, S, C, L)``, the core computed by ``core``."""
        ...


class _Trunk(nn.Module):
    """Spectrogram ``(B, C, T, F + 1, 2)`` to features ``(K, head, B * T')``."""

    def __init__(self, network: BandUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, spec: Tensor) -> Tensor:
        return self.network._trunk(spec)


class BandCut:
    """A :class:`~lars_plugin.networks.bandunet.BandUNet`, cut before its masks.

    The masks are computed as the network computes them, but band by band and never transposed:
    in the network's own ``forward``, which training needs as it is, they take as long as the
    convolutions.

    Args:
        network: in eval mode.
    """

    def __init__(self, network: BandUNet) -> None:
        self._network = network

    def core(self) -> nn.Module:
        return _Trunk(self._network).eval()

    def core_shape(self, channels: int, samples: int) -> tuple[int, ...]:
        stft = self._network.stft
        return (1, channels, 1 + samples // stft.hop_length, stft.n_fft // 2 + 1, 2)

    def __call__(self, wave: Tensor, core: Core | None = None) -> Tensor:
        network = self._network
        batch, channels, length = wave.shape
        if not wave.any():
            return wave.new_zeros(batch, network.stems, channels, length)
        scale = wave.square().mean(dim=(1, 2), keepdim=True).sqrt() + 1e-5
        spec = network.stft(wave / scale).float()
        features = (core or network._trunk)(spec)
        stems = self._masked(spec, features)
        stft = network.stft
        out = torch.istft(
            stems.flatten(0, 2), stft.n_fft, stft.hop_length, window=stft.window, length=length
        )
        return out.reshape(batch, network.stems, channels, length) * scale[:, None]

    def _masked(self, spec: Tensor, features: Tensor) -> Tensor:
        """Stems' spectrograms, complex ``(B, S, C, F + 1, T)``."""
        network = self._network
        mixture = torch.view_as_complex(spec).transpose(2, 3).contiguous()
        batch, channels, bins, frames = mixture.shape
        out = mixture.new_empty(batch, network.stems, channels, bins, frames)
        band = start = 0
        mask = out
        for weight, bias, (count, width) in zip(
            network.masks, network.mask_bias, network.groups, strict=True
        ):
            bytes_per_band = 4 * weight.shape[1] * features.shape[2]
            at_once = max(1, _CACHE_BYTES // bytes_per_band)
            for first in range(0, count, at_once):
                n = min(at_once, count - first)
                part = slice(first, first + n)
                here = torch.baddbmm(
                    bias[part], weight[part], features[band + first : band + first + n]
                )
                here = here.reshape(n, 2, network.stems, channels, width, batch, -1)[..., :frames]
                mask = torch.complex(*masks_from(here))  # (n, S, C, W, B, T)
                span = slice(start, start + n * width)
                here_mixture = mixture[:, :, span].view(batch, channels, n, width, frames)
                here_out = out[:, :, :, span].view(-1, network.stems, channels, n, width, frames)
                torch.mul(
                    mask,
                    here_mixture.permute(2, 1, 3, 0, 4)[:, None],
                    out=here_out.permute(3, 1, 2, 4, 0, 5),
                )
                start += n * width
            band += count
        # Nyquist has the mask of its neighbour.
        out[:, :, :, -1] = mask[-1, :, :, -1].permute(2, 0, 1, 3) * mixture[:, None, :, -1]
        return out


class _UNet(nn.Module):
    """Subbands of the mixture to those of all stems; see ``MDX23C``."""

    def __init__(self, network: MDX23C) -> None:
        super().__init__()
        self.network = network

    def forward(self, mixture: Tensor) -> Tensor:
        return self.network._unet(mixture)


class MDX23CCut:
    """An :class:`~lars_plugin.networks.mdx23c.MDX23C`, all of whose weights are in its core.

    Args:
        config: the shape.
        load: makes the network, in eval mode; not called before the core is needed, which for
            the published models means not reading 440 MB.
    """

    def __init__(self, config: MDX23CConfig, load: Callable[[], MDX23C]) -> None:
        self._config = config
        self._load = load
        self._stft = STFT(config.n_fft, config.hop_length)

    def core(self) -> nn.Module:
        return _UNet(self._load()).eval()

    def core_shape(self, channels: int, samples: int) -> tuple[int, ...]:
        config = self._config
        return (
            1,
            2 * channels * config.num_subbands,
            1 + samples // config.hop_length,
            config.dim_f // config.num_subbands,
        )

    def __call__(self, wave: Tensor, core: Core) -> Tensor:
        config = self._config
        batch, channels, length = wave.shape
        if not wave.any():
            return wave.new_zeros(batch, config.stems, channels, length)
        subbands, width = config.num_subbands, config.dim_f // config.num_subbands
        spec = self._stft(wave)[..., : config.dim_f, :]
        frames, rows = spec.shape[2], config.stems * channels
        # (B, C, T, N, W, 2) to (B, C * 2 * N, T, W)
        x = spec.reshape(batch, channels, frames, subbands, width, 2).permute(0, 1, 5, 3, 2, 4)
        x = core(x.reshape(batch, 2 * channels * subbands, frames, width))
        # (B, S * C, 2, N, T, W) to (B, S * C, T, F, 2), and silence in the bins above
        x = x.reshape(batch, rows, 2, subbands, frames, width).permute(0, 1, 4, 3, 5, 2)
        x = x.reshape(batch, rows, frames, config.dim_f, 2)
        x = functional.pad(x, (0, 0, 0, config.n_fft // 2 + 1 - config.dim_f))
        return self._stft.inverse(x, length).reshape(batch, config.stems, channels, length)
