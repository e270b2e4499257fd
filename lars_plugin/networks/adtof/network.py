# SPDX-License-Identifier: GPL-3.0-or-later
"""A log-filtered spectrogram in, the chances of five classes of drums out.

The "Frame RNN" of M. Zehren, M. Alunno, P. Bientinesi, "High-quality and reproducible automatic
drum transcription from crowdsourced data" (Signals 4, 2023), as its published state dict in PyTorch
describes it. It is for inference only. The names of modules are those of the state dict.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CONTEXT", "Adtof"]

# Frames on either side that the convolutions hear.
CONTEXT = 4

_EPSILON = 1e-3  # Keras' default, which the weights were trained with
_POOL = 3


class Adtof(nn.Module):
    """See the module. The defaults are the published sizes.

    Args:
        bands: of the spectrogram.
        channels: of the two convolutional blocks.
        hidden: width of each recurrent layer, per direction.
        layers: how many recurrent layers.
        classes: of drums.
    """

    def __init__(
        self,
        bands: int = 84,
        channels: tuple[int, int] = (32, 64),
        hidden: int = 60,
        layers: int = 3,
        classes: int = 5,
    ) -> None:
        super().__init__()
        first, second = channels
        self.cnn_blocks = nn.ModuleList([_block(1, first), _block(first, second)])
        self.width = second * -(-bands // _POOL**2)
        self.gru_layers = nn.ModuleList(
            nn.GRU(
                2 * hidden if layer else self.width, hidden, batch_first=True, bidirectional=True
            )
            for layer in range(layers)
        )
        self.output_layer = nn.Linear(2 * hidden, classes)

    def forward(self, levels: Tensor) -> Tensor:
        """Hear a recording.

        Args:
            levels: ``(batch, frames, bands)`` as
                :func:`~lars_plugin.midi.log_spectrum.log_spectrum` makes them.

        Returns:
            Chances ``(batch, frames, classes)`` in [0, 1].
        """
        return self.decide(self.listen(levels))

    def listen(self, levels: Tensor) -> Tensor:
        """The convolutions alone, from levels to features ``(batch, frames, width)``."""
        maps = levels[:, None]  # (batch, channels, frames, bands)
        for block in self.cnn_blocks:
            maps = block(maps)
        # Keras has the channels last: (batch, frames, bands / 9, channels), then flat.
        return maps.permute(0, 2, 3, 1).flatten(2)

    def decide(self, heard: Tensor) -> Tensor:
        """What has memory, from features to chances."""
        for layer in self.gru_layers:
            heard, _ = layer(heard)
        return torch.sigmoid(cast("Tensor", self.output_layer(heard)))


class _Norm(nn.Module):
    """Batch normalisation by the published statistics.

    PyTorch's own wants a count of batches, which the state dict does not have.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, maps: Tensor) -> Tensor:
        return functional.batch_norm(
            maps, self.running_mean, self.running_var, self.weight, self.bias, eps=_EPSILON
        )


class _Pool(nn.Module):
    """The highest of three bands; zeros fill up the edges, one more above than below."""

    def forward(self, maps: Tensor) -> Tensor:
        missing = -maps.shape[-1] % _POOL
        padded = functional.pad(maps, (missing // 2, missing - missing // 2))
        return functional.max_pool2d(padded, (1, _POOL))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions; a third of the bands is left."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        _Norm(outputs),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
        _Norm(outputs),
        _Pool(),
    )
