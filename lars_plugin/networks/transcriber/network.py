# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of a recording in, strokes, their velocities and the stems' shares of the level out.

A convolutional recurrent network as in R. Vogl, M. Dorfer, G. Widmer, P. Knees, "Drum transcription
via joint beat and drum modeling using convolutional recurrent neural networks" (ISMIR 2017), with
strides instead of pooling and with two more heads.
"""

from __future__ import annotations

from torch import Tensor, nn

from lars_plugin.networks.transcriber.config import (
    CONTEXT,
    GROUPS,
    LEVEL_STEMS,
    STROKES,
    TranscriberConfig,
)

__all__ = ["CONTEXT", "Transcriber"]

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
        # The last convolutions hear one frame of the future each, the others none.
        ahead = [int(number >= CONTEXT - config.lookahead) for number in range(CONTEXT)]
        self.front = nn.Sequential(
            _block(1, first, 5, 2, ahead[0]),
            _block(first, first, 3, 2, ahead[1]),
            nn.Dropout(_DROPOUT),
            _block(first, second, 3, 1, ahead[2]),
            _block(second, second, 3, 2, ahead[3]),
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
        """The convolutions alone, ``(batch, frames, width)``. They hear ``lookahead`` frames of the
        future and eight less that of the past, so a long recording can be heard piece by piece."""
        maps = self.front(levels[:, None])  # (batch, channels, frames, bands / 8)
        frames: Tensor = maps.permute(0, 2, 1, 3).flatten(2)  # (batch, frames, channels * bands)
        return frames

    def decide(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What has memory: from what :meth:`listen` made to the outputs."""
        heard, _ = self.rnn(features)
        return self._outputs(heard)

    def follow(
        self, features: Tensor, memory: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """:meth:`decide` for a stream: takes the memory of what came before, and returns it last.

        Args:
            features: the next frames of :meth:`listen`.
            memory: as returned before; None, or zeros ``(layers, batch, hidden)``, at the start.
        """
        heard, memory = self.rnn(features, memory)
        return (*self._outputs(heard), memory)

    def _outputs(self, heard: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shares = self.shares(heard).unflatten(2, (len(LEVEL_STEMS), self.config.level_bands))
        return self.onsets(heard), self.velocities(heard), shares


class _Frames(nn.Conv2d):
    """Three frames by some bands: ``ahead`` of the frames, none or one, are of the future."""

    def __init__(self, inputs: int, outputs: int, bands: int, stride: int, ahead: int) -> None:
        super().__init__(
            inputs, outputs, (3, bands), stride=(1, stride), padding=(0, bands // 2), bias=False
        )
        self.ahead = ahead

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(maps, (0, 0, 2 - self.ahead, self.ahead)))


def _block(inputs: int, outputs: int, bands: int, stride: int, ahead: int) -> nn.Sequential:
    return nn.Sequential(
        _Frames(inputs, outputs, bands, stride, ahead), nn.BatchNorm2d(outputs), nn.ReLU()
    )
