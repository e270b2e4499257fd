# SPDX-License-Identifier: GPL-3.0-or-later
"""The same numbers sooner: the forms in which a BandUNet runs in PyTorch on a device.

Axes: B batch, S stems, C audio channels, L samples, T frames, F bins (Nyquist dropped),
W bins per band, K bands.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lars_plugin.model import Wave
from lars_plugin.networks.bandunet.core import BandCore
from lars_plugin.networks.bandunet.network import BandUNet
from lars_plugin.networks.bandunet.prepost import BandPrePost
from lars_plugin.networks.shared.bands import masks_from
from lars_plugin.networks.shared.constants import SCALE_FLOOR

__all__ = ["DeviceBandUNet", "on_device"]

# Masks are made and used this many bytes at a time.
_CACHE_BYTES = 2 << 20


def on_device(network: BandUNet, kind: str) -> Callable[[Tensor], Tensor]:
    """The fastest form of a network for a kind of device, ``cpu``, ``cuda`` or ``mps``."""
    if kind == "cpu":
        return _OnProcessor(network)
    # Metal lacks what the form for graphics cards is made of.
    return DeviceBandUNet(network) if kind == "cuda" else network


class _OnProcessor:
    """A BandUNet whose spectra and masks are computed in numpy, chunk by chunk."""

    def __init__(self, network: BandUNet) -> None:
        self._prepost = BandPrePost(network.config, lambda: network)
        self._core = BandCore(network).eval()

    def __call__(self, batch: Tensor) -> Tensor:
        threads = torch.get_num_threads()
        stems = [self._prepost(wave, self._run, threads) for wave in batch.numpy()]
        return torch.from_numpy(stems[0][None] if len(stems) == 1 else np.stack(stems))

    def _run(self, inputs: list[Wave]) -> list[Wave]:
        outputs: tuple[Tensor, ...] = self._core(*map(torch.from_numpy, inputs))
        return [output.float().numpy() for output in outputs]


class DeviceBandUNet:
    """With masks made band by band, for graphics cards. Waves ``(B, C, L)`` to ``(B, S, C, L)``.

    The masks are computed as the network computes them, but band by band and never transposed.

    Args:
        network: in eval mode.
    """

    def __init__(self, network: BandUNet) -> None:
        self._network = network

    def __call__(self, wave: Tensor) -> Tensor:
        network = self._network
        batch, channels, length = wave.shape
        if not wave.any():
            return wave.new_zeros(batch, network.stems, channels, length)
        scale = wave.square().mean(dim=(1, 2), keepdim=True).sqrt() + SCALE_FLOOR
        spec = network.stft(wave / scale).float()
        features = network._trunk(spec)
        stems = self._masked(spec, features)
        out = network.stft.waves(stems.flatten(0, 2), length)
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
