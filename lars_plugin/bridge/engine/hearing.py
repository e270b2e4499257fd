# SPDX-License-Identifier: GPL-3.0-or-later
"""The hits in a stream's input, as messages: what a live transcriber hears, each in its place."""

from __future__ import annotations

from lars_plugin.bridge.protocol import messages
from lars_plugin.midi.hits import DrumHit
from lars_plugin.midi.live_heard import LiveHearing
from lars_plugin.midi.transcriber import load_transcriber
from lars_plugin.model import Wave

__all__ = ["TRANSCRIBER", "Hearing"]

TRANSCRIBER = "lars-transcriber-live"  # the one that hears next to nothing of the future


class Hearing:
    """A transcriber at the input of one stream.

    Args:
        sample_rate: of the stream, Hz.
        channels: of the stream.

    Raises:
        LarsError: the transcriber cannot be loaded, or not hear at this rate.
    """

    def __init__(self, sample_rate: float, channels: int) -> None:
        self._live = LiveHearing(load_transcriber(TRANSCRIBER), sample_rate, channels)
        self._rate = sample_rate
        self._begin: int | None = None  # position of the first sample since the last reset
        self._end = 0

    @property
    def latency_samples(self) -> int:
        """Samples of the stream from a stroke to the end of the audio by which it is known."""
        return self._live.latency_samples

    def reset(self) -> None:
        """Forget all audio."""
        self._live.reset()
        self._begin = None

    def push(self, position: int, wave: Wave, epoch: int) -> list[messages.Message]:
        """The hits that are known by the end of a block ``(channels, n)``, and how far they are.

        Args:
            position: of the first sample; where the last block ended, but after a reset.
            wave: the block.
            epoch: of the stream.
        """
        if self._begin is None:
            self._begin = position
        self._end = position + wave.shape[1]
        known = self._end - self.latency_samples
        return self._told(self._live.push(wave), max(self._begin, known), epoch)

    def flush(self, epoch: int) -> list[messages.Message]:
        """The rest, if silence follows; a reset must come before more audio."""
        return self._told(self._live.flush(), self._end, epoch) if self._begin is not None else []

    def _told(self, hits: list[DrumHit], known: int, epoch: int) -> list[messages.Message]:
        begin = self._begin or 0
        news: list[messages.Message] = [
            messages.Hit(
                position=begin + round(hit.time * self._rate),
                epoch=epoch,
                velocity=hit.velocity,
                confidence=hit.confidence,
                stem=hit.stem,
                articulation=hit.articulation,
            )
            for hit in hits
        ]
        return [*news, messages.Heard(position=known, epoch=epoch)]
