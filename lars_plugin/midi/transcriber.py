# SPDX-License-Identifier: GPL-3.0-or-later
"""Transcribers: networks that hear a mixture and say which drums are struck in it.

A transcriber is a folder with ``transcriber.yaml`` (architecture, thresholds) and its weights. They
are looked for where models are. ``load_transcriber("lars-transcriber")`` is the package's own,
``load_transcriber("adtof")`` a published one, see :mod:`lars_plugin.midi.adtof`.
"""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
from numpy.typing import NDArray

from lars_plugin.errors import InputError, ModelFormatError, NonFiniteError
from lars_plugin.forks import settle_torch
from lars_plugin.midi.mel import SAMPLE_RATE, mel_levels, mel_powers
from lars_plugin.midi.picking import Pick, highest
from lars_plugin.model import WeightsFile
from lars_plugin.networks.transcriber.config import (
    GROUPS,
    LEVEL_STEMS,
    STROKES,
    TranscriberConfig,
)
from lars_plugin.zoo.integrity import check_file
from lars_plugin.zoo.registry import find_weights
from lars_plugin.zoo.transcribers import (
    ARCHITECTURES,
    DEFAULT,
    TRANSCRIBER_FILE,
    TranscriberCard,
    find_transcriber,
    transcriber_folders,
)

if TYPE_CHECKING:
    from lars_plugin.networks.transcriber.network import Transcriber as Network

__all__ = [
    "DEFAULT",
    "TRANSCRIBER_FILE",
    "WEIGHTS_FILE",
    "Activations",
    "LarsTranscriber",
    "Transcriber",
    "load_own",
    "load_transcriber",
    "mean_of",
    "pieces",
    "transcriber_folders",
]

WEIGHTS_FILE = "weights.safetensors"

# Frames that its memory hears at once, and those on either side that are thrown away: ten minutes,
# so that most recordings are heard as a whole, and twenty seconds.
_CHUNK, _CONTEXT = 60000, 2000
# Frames that the convolutions hear at once: bounds memory.
_PIECE = 3000
_LOWEST_RATE = 8000

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Activations:
    """What a transcriber heard, a hundred times a second.

    Attributes:
        strokes: ``(frames, 12)`` chances in [0, 1], in the order of
            :data:`~lars_plugin.networks.transcriber.config.STROKES`.
        groups: ``(frames, 5)`` chances that a drum of a group is struck, in the order of
            ``GROUPS``.
        velocities: ``(frames, 5)`` in [0, 1]; they mean something where a group is struck. None
            from a transcriber that does not hear them.
        shares: ``(frames, 7, level_bands)``: each stem's share of the power in a band, and that
            of everything else; they sum to 1 over the stems. None likewise.
        pick: finds the hits of a group among its chances.
        one_cymbal: whether ride and crash are not told apart; all are called crash then.
    """

    strokes: Floats
    groups: Floats
    velocities: Floats | None = None
    shares: Floats | None = None
    pick: Pick = highest
    one_cymbal: bool = False


def mean_of(first: Activations, second: Activations) -> Activations:
    """The mean chances of two hearings of the same length by one transcriber."""

    def mean(one: Floats, other: Floats) -> Floats:
        return np.asarray((one + other) / 2, np.float32)

    velocities = None
    if first.velocities is not None and second.velocities is not None:
        velocities = mean(first.velocities, second.velocities)
    return replace(
        first,
        strokes=mean(first.strokes, second.strokes),
        groups=mean(first.groups, second.groups),
        velocities=velocities,
    )


class Transcriber(ABC):
    """A loaded transcriber; each architecture has its own.

    Args:
        thresholds: by group: the chance from which a peak is a hit, in (0, 1).
        name: for messages.
    """

    def __init__(self, thresholds: Mapping[str, float], name: str) -> None:
        self.thresholds = MappingProxyType(dict(thresholds))
        self.name = name

    def hear(self, audio: NDArray[np.floating[Any]], sample_rate: float) -> Activations:
        """What is struck in a recording.

        Args:
            audio: ``(channels, samples)``, of any level.
            sample_rate: Hz, from 8 kHz.

        Returns:
            A frame for every 10 ms begun, and maybe one for the very end; frame k is at
            ``k / 100`` seconds.

        Raises:
            InputError: another shape, or a rate below 8 kHz.
            NonFiniteError: NaN or Inf.
        """
        if audio.ndim != 2 or not audio.shape[0]:
            raise InputError(f"a recording is (channels, samples), got {audio.shape}")
        if not sample_rate >= _LOWEST_RATE:
            raise InputError(
                f"a recording needs at least 8 kHz to be transcribed, got {sample_rate}"
            )
        wave = np.asarray(audio, np.float32)
        if not np.isfinite(wave).all():
            raise NonFiniteError("the recording holds NaN or Inf; repair it first")
        if sample_rate != SAMPLE_RATE and wave.shape[1]:
            wave = soxr.resample(wave.T, sample_rate, SAMPLE_RATE).T
        return self.hear_wave(wave)

    @abstractmethod
    def hear_wave(self, wave: Floats) -> Activations:
        """The same for ``(channels, samples)`` at 44.1 kHz, which is not checked any more."""


class LarsTranscriber(Transcriber):
    """The package's own.

    Args:
        network: in evaluation mode.
        thresholds: see :class:`Transcriber`.
        name: likewise.
    """

    def __init__(
        self, network: Network, thresholds: Mapping[str, float], name: str = DEFAULT
    ) -> None:
        super().__init__(thresholds, name)
        self.network = network

    def hear_wave(self, wave: Floats) -> Activations:
        return self.hear_levels(mel_levels(mel_powers(wave)))

    def hear_levels(self, levels: Floats) -> Activations:
        """The same for levels ``(frames, bands)`` of :func:`~lars_plugin.midi.mel.mel_levels`."""
        import torch

        from lars_plugin.networks.transcriber.network import CONTEXT

        settle_torch()
        parts: list[tuple[Floats, ...]] = []
        with torch.inference_mode():
            for heard, inside in pieces(len(levels), _CHUNK, _CONTEXT):
                part = torch.from_numpy(levels[heard])
                features = [
                    self.network.listen(part[more][None])[:, kept]
                    for more, kept in pieces(len(part), _PIECE, CONTEXT)
                ]
                onsets, velocities, shares = self.network.decide(torch.cat(features, 1))
                parts.append(
                    (
                        torch.sigmoid(onsets)[0, inside].numpy(),
                        velocities[0, inside].clamp(0, 1).numpy(),
                        torch.softmax(shares, 2)[0, inside].numpy(),
                    )
                )
        if not parts:
            sizes = ((len(STROKES) + len(GROUPS),), (len(GROUPS),))
            shape = (len(LEVEL_STEMS), self.network.config.level_bands)
            parts = [tuple(np.zeros((0, *size), np.float32) for size in (*sizes, shape))]
        chances, velocity, share = (np.concatenate(list(kind)) for kind in zip(*parts, strict=True))
        count = len(STROKES)
        return Activations(chances[:, :count], chances[:, count:], velocity, share)


def pieces(frames: int, length: int, context: int) -> Iterator[tuple[slice, slice]]:
    """Cut a recording for a network that hears on both sides, which bounds memory.

    Args:
        frames: of the recording.
        length: frames that are kept of a piece.
        context: more frames on either side.

    Yields:
        What is heard at once, as a slice of all frames, and the part of that to keep. The parts
        kept, one after the other, are all frames.
    """
    for begin in range(0, frames, length):
        first, end = max(0, begin - context), min(frames, begin + length)
        yield slice(first, min(frames, end + context)), slice(begin - first, end - first)


def load_transcriber(name: str | os.PathLike[str] = DEFAULT) -> Transcriber:
    """Load a transcriber.

    Args:
        name: a name, or a folder.

    Raises:
        ModelNotFoundError: there is none of that name, or its weights are not on this machine.
        ModelIntegrityError: its weights are not the published ones.
        ModelFormatError: its files are broken, or do not fit together.
    """
    card = find_transcriber(name)
    module, function = ARCHITECTURES[card.architecture].split(":")
    load: Callable[[TranscriberCard], Transcriber] = getattr(import_module(module), function)
    return load(card)


def load_own(card: TranscriberCard) -> LarsTranscriber:
    """Load one of the package's own architecture.

    Raises:
        ModelNotFoundError: its weights are not on this machine.
        ModelIntegrityError: its weights are not the ones that the card names.
        ModelFormatError: card and weights do not fit together.
    """
    shape = dict(card.network)
    try:
        if "channels" in shape:
            shape["channels"] = tuple(shape["channels"])
        config = TranscriberConfig(**shape)
    except (TypeError, ValueError, InputError) as error:
        raise ModelFormatError(
            f"{card.folder / TRANSCRIBER_FILE}: invalid network ({error})"
        ) from error
    path = find_weights(card, card.folder)
    check_file(path, card.weights)
    return LarsTranscriber(_network(config, path, card.weights), card.thresholds, card.name)


@functools.lru_cache(maxsize=4)
def _network(config: TranscriberConfig, path: Path, weights: WeightsFile) -> Network:
    from lars_plugin.networks.transcriber.network import Transcriber as Network
    from lars_plugin.zoo.checkpoints import load_state, read_state

    network = Network(config)
    load_state(network, read_state(path, weights.format), str(path))
    return network.eval()
