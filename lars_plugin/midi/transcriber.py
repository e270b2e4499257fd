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
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
from numpy.typing import NDArray

from lars_plugin.backends.errors import require_torch
from lars_plugin.backends.transcription import OpenVINOParts, PartRunner, TorchParts
from lars_plugin.dsp.parallel import stop_check
from lars_plugin.errors import InputError, ModelFormatError, NonFiniteError
from lars_plugin.midi.mel import (
    FIRST_REFERENCE_DB,
    SAMPLE_RATE,
    mel_levels,
    mel_powers,
    running_levels,
)
from lars_plugin.midi.picking import LATER, Pick, highest, soonest
from lars_plugin.model import WeightsFile
from lars_plugin.networks.transcriber.config import (
    CONTEXT,
    GROUPS,
    LEVEL_STEMS,
    STROKES,
    TranscriberConfig,
)
from lars_plugin.zoo.integrity import check_file, weights_sha256
from lars_plugin.zoo.registry import conversions, find_weights
from lars_plugin.zoo.transcribers import (
    DEFAULT,
    TRANSCRIBER_FILE,
    TranscriberCard,
    find_transcriber,
    open_transcriber,
    transcriber_folders,
)

if TYPE_CHECKING:
    from lars_plugin.backends.openvino.cache import Conversions
    from lars_plugin.networks.transcriber.network import Transcriber as Network

__all__ = [
    "DEFAULT",
    "LOWEST_RATE",
    "TRANSCRIBER_FILE",
    "WEIGHTS_FILE",
    "Activations",
    "LarsTranscriber",
    "Transcriber",
    "levels_for",
    "load_own",
    "load_transcriber",
    "mean_of",
    "pieces",
    "prepare_own",
    "transcriber_folders",
]

WEIGHTS_FILE = "weights.safetensors"

# Frames that its memory hears at once, and those on either side that are thrown away: ten minutes,
# so that most recordings are heard as a whole, and twenty seconds.
_CHUNK, _CONTEXT = 60000, 2000
# Frames that the convolutions hear at once: bounds memory.
_PIECE = 3000
LOWEST_RATE = 8000

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
        after: frames after a peak in which the kind of stroke is looked for.
        one_cymbal: whether ride and crash are not told apart; all are called crash then.
    """

    strokes: Floats
    groups: Floats
    velocities: Floats | None = None
    shares: Floats | None = None
    pick: Pick = highest
    after: int = 2
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
            audio: ``(channels, samples)``, of any level; for a causal network see
                :func:`~lars_plugin.midi.mel.running_levels`.
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
        if not sample_rate >= LOWEST_RATE:
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
        config: the network's shape.
        run: runs its parts.
        thresholds: see :class:`Transcriber`.
        name: likewise.
        biases: added to the log odds of kinds of strokes: rare ones are heard in their own right.
    """

    def __init__(
        self,
        config: TranscriberConfig,
        run: PartRunner,
        thresholds: Mapping[str, float],
        name: str = DEFAULT,
        biases: Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        super().__init__(thresholds, name)
        self.config, self.run = config, run
        values = [(biases or {}).get(stroke, 0.0) for stroke in STROKES]
        self._factors = np.exp(np.array(values, np.float32))

    @classmethod
    def of_network(cls, network: Network, thresholds: Mapping[str, float]) -> LarsTranscriber:
        """One from a network of PyTorch in evaluation mode."""
        return cls(network.config, TorchParts(network), thresholds)

    def hear_wave(self, wave: Floats) -> Activations:
        return self.hear_powers(mel_powers(wave))

    def hear_powers(self, powers: Floats) -> Activations:
        """The same for ``(frames, bands)`` of :func:`~lars_plugin.midi.mel.mel_powers`."""
        return self.hear_levels(levels_for(self.config, powers))

    def hear_levels(self, levels: Floats) -> Activations:
        """The same for levels ``(frames, bands)`` of :func:`levels_for`."""
        parts: list[list[Floats]] = []
        check = stop_check()
        for heard, inside in pieces(len(levels), _CHUNK, _CONTEXT):
            check()
            part = levels[heard]
            features = [
                self.run("listen", part[more][None])[0][:, kept]
                for more, kept in pieces(len(part), _PIECE, 2 * CONTEXT)
            ]
            outputs = self.run("decide", np.concatenate(features, axis=1))
            parts.append([one[0, inside] for one in outputs])
        if not parts:
            sizes = ((len(STROKES) + len(GROUPS),), (len(GROUPS),))
            shape = (len(LEVEL_STEMS), self.config.level_bands)
            parts = [[np.zeros((0, *size), np.float32) for size in (*sizes, shape)]]
        chances, velocity, share = (np.concatenate(list(kind)) for kind in zip(*parts, strict=True))
        strokes, groups = self.chances(chances)
        found = Activations(strokes, groups, velocity, share)
        if self.config.causal:  # what a stream would find, too
            return replace(found, pick=soonest, after=LATER)
        return found

    def chances(self, heard: Floats) -> tuple[Floats, Floats]:
        """Those of strokes, with the biases, and of groups, of what the network gives for both."""
        strokes, groups = heard[..., : len(STROKES)], heard[..., len(STROKES) :]
        raised = strokes * self._factors
        return np.asarray(raised / (1 - strokes + raised), np.float32), groups


def levels_for(config: TranscriberConfig, powers: Floats) -> Floats:
    """What a network of this shape hears of ``(frames, bands)`` powers: levels against what is
    loud in all of the recording, or what was loud so far."""
    if config.causal:
        return running_levels(powers, FIRST_REFERENCE_DB)[0]
    return mel_levels(powers)


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


def load_transcriber(
    name: str | os.PathLike[str] = DEFAULT, *, backend: str | None = None
) -> Transcriber:
    """Load a transcriber.

    Args:
        name: a name, or a folder.
        backend: ``torch``, ``openvino`` or ``auto``: OpenVINO where it is installed. None: what the
            environment variable LARS_BACKEND says, or auto. ADTOF always runs on PyTorch.

    Raises:
        InputError: unknown backend, or OpenVINO is not installed.
        ModelNotFoundError: there is none of that name, or its weights are not on this machine.
        ModelIntegrityError: its weights are not the published ones.
        ModelFormatError: its files are broken, or do not fit together.
    """
    found: Transcriber = open_transcriber(find_transcriber(name), backend)
    return found


def load_own(
    card: TranscriberCard, backend: str, where: Conversions | None = None
) -> LarsTranscriber:
    """Load one of the package's own architecture.

    Args:
        card: see there.
        backend: ``torch`` or ``openvino``.
        where: conversions are, for ``openvino``; None: where they usually are.

    Raises:
        InputError: OpenVINO is not installed.
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
    digest = card.weights.sha256 or weights_sha256(path)
    run = _runner(config, path, card.weights, backend, digest, where or conversions())
    return LarsTranscriber(config, run, card.thresholds, card.name, card.biases)


def prepare_own(card: TranscriberCard, where: Conversions) -> None:
    """Convert one of the package's own architecture ahead.

    Args:
        card: see there.
        where: the conversions go.

    Raises:
        LarsError: as for :func:`load_own`, and EngineError where nothing can be written.
    """
    load_own(card, "openvino", where)  # all its parts


@functools.lru_cache(maxsize=8)
def _runner(
    config: TranscriberConfig,
    path: Path,
    weights: WeightsFile,
    backend: str,
    digest: str,
    where: Conversions,
) -> PartRunner:
    if backend == "torch":
        require_torch("this backend")
        return TorchParts(_network(config, path, weights))
    run = OpenVINOParts(
        config,
        lambda: _network(config, path, weights),
        {"weights": digest, "network": asdict(config)},
        where,
    )
    run.prepare()
    return run


def _network(config: TranscriberConfig, path: Path, weights: WeightsFile) -> Network:
    require_torch("reading these weights")
    from lars_plugin.networks.transcriber.network import Transcriber as Network
    from lars_plugin.zoo.checkpoints import load_state, read_state

    network = Network(config)
    load_state(network, read_state(path, weights.format), str(path))
    return network.eval()
