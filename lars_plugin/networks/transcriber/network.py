# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of a recording in, strokes, their velocities and the stems' shares of the level out.

A convolutional recurrent network as in R. Vogl, M. Dorfer, G. Widmer, P. Knees, "Drum transcription
via joint beat and drum modeling using convolutional recurrent neural networks" (ISMIR 2017), with
strides instead of pooling and with two more heads.
"""

from __future__ import annotations

from torch import Tensor, nn

from lars_plugin.networks.transcriber.config import GROUPS, LEVEL_STEMS, STROKES, TranscriberConfig

__all__ = ["CONTEXT", "Transcriber"]

# Frames on either side that the convolutions hear.
CONTEXT = 4

_DROPOUT = 0.1


class Transcriber(nn.Module):
    """See the module.

    Args:
        config: the shape.
    """

    def __init__(self, config: TranscriberConfig) -> None:
        super().__init__()
        self.config = config
        first, second = config.channels
        self.front = nn.Sequential(
            _block(1, first, 5, 2),
            _block(first, first, 3, 2),
            nn.Dropout(_DROPOUT),
            _block(first, second, 3, 1),
            _block(second, second, 3, 2),
            nn.Dropout(_DROPOUT),
        )
        width = second * -(-config.bands // 8)
        self.rnn = nn.GRU(
            width,
            config.hidden,
            config.layers,
            batch_first=True,
            bidirectional=not config.causal,
        )
        heard = config.hidden * (1 if config.causal else 2)
        self.onsets = nn.Linear(heard, len(STROKES) + len(GROUPS))
        self.velocities = nn.Linear(heard, len(GROUPS))
        self.shares = nn.Linear(heard, len(LEVEL_STEMS) * config.level_bands)

    def forward(self, levels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hear a recording.

        Args:
            levels: ``(batch, frames, bands)`` as :func:`~lars_plugin.midi.mel.mel_levels` makes
                them.

        Returns:
            Logits of the strokes, then of the groups, ``(batch, frames, 17)``; velocities
            ``(batch, frames, 5)``, nominal 0 to 1, which mean something where a group is struck;
            logits of the shares ``(batch, frames, 7, level_bands)``, a softmax over the stems.
        """
        return self.decide(self.listen(levels))

    def listen(self, levels: Tensor) -> Tensor:
        """The convolutions alone, ``(batch, frames, width)``: they hear :data:`CONTEXT` frames on
        either side, so a long recording can be heard piece by piece."""
        maps = self.front(levels[:, None])  # (batch, channels, frames, bands / 8)
        frames: Tensor = maps.permute(0, 2, 1, 3).flatten(2)  # (batch, frames, channels * bands)
        return frames

    def decide(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What has memory: from what :meth:`listen` made to the outputs."""
        heard, _ = self.rnn(features)
        shares = self.shares(heard).unflatten(2, (len(LEVEL_STEMS), self.config.level_bands))
        return self.onsets(heard), self.velocities(heard), shares


def _block(inputs: int, outputs: int, bands: int, stride: int) -> nn.Sequential:
    """Three frames by some bands, of which each ``stride``-th is kept."""
    return nn.Sequential(
        nn.Conv2d(
            inputs, outputs, (3, bands), stride=(1, stride), padding=(1, bands // 2), bias=False
        ),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
