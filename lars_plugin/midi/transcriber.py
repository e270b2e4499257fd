# SPDX-License-Identifier: GPL-3.0-or-later
"""Transcribers: networks that hear a mixture and say which drums are struck in it.

A transcriber is a folder with ``transcriber.yaml`` (shape, thresholds) and its weights. They are
looked for where models are. ``load_transcriber("lars-transcriber")`` is the package's own.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
from numpy.typing import NDArray

from lars_plugin.errors import InputError, ModelFormatError, ModelNotFoundError, NonFiniteError
from lars_plugin.midi.mel import SAMPLE_RATE, mel_levels, mel_powers
from lars_plugin.networks.transcriber.config import (
    GROUPS,
    LEVEL_STEMS,
    STROKES,
    TranscriberConfig,
)

if TYPE_CHECKING:
    from lars_plugin.networks.transcriber.network import Transcriber as Network

__all__ = [
    "DEFAULT",
    "TRANSCRIBER_FILE",
    "WEIGHTS_FILE",
    "Activations",
    "Transcriber",
    "load_transcriber",
    "transcriber_folders",
]

DEFAULT = "lars-transcriber"
TRANSCRIBER_FILE = "transcriber.yaml"
WEIGHTS_FILE = "weights.safetensors"

# Frames that the network hears at once, and those on either side that are thrown away: both
# directions of its memory have settled by then.
_CHUNK, _CONTEXT = 6000, 1000
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
        velocities: ``(frames, 5)`` in [0, 1]; they mean something where a group is struck.
        shares: ``(frames, 7, level_bands)``: each stem's share of the power in a band, and that
            of everything that is no drum; they sum to 1 over the stems.
    """

    strokes: Floats
    groups: Floats
    velocities: Floats
    shares: Floats


class Transcriber:
    """A loaded transcriber.

    Args:
        network: in evaluation mode.
        thresholds: by group: the chance from which a peak is a hit, in (0, 1).
        name: for messages.
    """

    def __init__(
        self, network: Network, thresholds: Mapping[str, float], name: str = DEFAULT
    ) -> None:
        self.network = network
        self.thresholds = MappingProxyType(dict(thresholds))
        self.name = name

    def hear(self, audio: NDArray[np.floating[Any]], sample_rate: float) -> Activations:
        """What is struck in a recording.

        Args:
            audio: ``(channels, samples)``, of any level.
            sample_rate: Hz, from 8 kHz.

        Returns:
            A frame for every 10 ms begun; frame k is at ``k / 100`` seconds.

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
        return self.hear_levels(mel_levels(mel_powers(wave)))

    def hear_levels(self, levels: Floats) -> Activations:
        """The same for levels ``(frames, bands)`` of :func:`~lars_plugin.midi.mel.mel_levels`."""
        import torch

        parts: list[tuple[Floats, ...]] = []
        with torch.inference_mode():
            for begin in range(0, max(1, len(levels)), _CHUNK):
                first = max(0, begin - _CONTEXT)
                end = min(len(levels), begin + _CHUNK)
                heard = levels[first : end + _CONTEXT]
                if not len(heard):
                    break
                onsets, velocities, shares = self.network(torch.from_numpy(heard)[None])
                inside = slice(begin - first, end - first)
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


def transcriber_folders() -> dict[str, Path]:
    """Name to folder of every transcriber, users' folders before the package's own."""
    from lars_plugin.zoo.registry import model_roots

    found: dict[str, Path] = {}
    for root in model_roots():
        for path in sorted(root.glob(f"*/{TRANSCRIBER_FILE}")):
            found.setdefault(path.parent.name, path.parent)
    return found


def load_transcriber(name: str | os.PathLike[str] = DEFAULT) -> Transcriber:
    """Load a transcriber.

    Args:
        name: a name, or a folder.

    Raises:
        ModelNotFoundError: there is none of that name.
        ModelFormatError: its files are broken, or do not fit together.
    """
    folder = transcriber_folders().get(os.fspath(name)) if isinstance(name, str) else None
    if folder is None:
        folder = Path(name)
        if not (folder / TRANSCRIBER_FILE).is_file():
            raise ModelNotFoundError(
                f"no transcriber {os.fspath(name)!r}; there are"
                f" {', '.join(sorted(transcriber_folders()))}, or name a folder with a"
                f" {TRANSCRIBER_FILE}"
            )
    return _load(folder.resolve())


@functools.lru_cache(maxsize=4)
def _load(folder: Path) -> Transcriber:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from lars_plugin.networks.transcriber.network import Transcriber as Network
    from lars_plugin.zoo.checkpoints import load_state

    config, thresholds = read_transcriber_config(folder / TRANSCRIBER_FILE)
    network = Network(config)
    weights = folder / WEIGHTS_FILE
    try:
        state = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise ModelFormatError(f"{weights} cannot be read ({error})") from error
    load_state(network, state, str(weights))
    return Transcriber(network.eval(), thresholds, folder.name)


def read_transcriber_config(path: Path) -> tuple[TranscriberConfig, dict[str, float]]:
    """Shape and thresholds.

    Raises:
        ModelFormatError: the file cannot be read, lacks something, or has something else.
    """
    from lars_plugin.zoo.yaml_configs import parse_yaml

    try:
        data = parse_yaml(path.read_text(encoding="utf-8"), str(path))
        shape = dict(data["network"])
        if "channels" in shape:
            shape["channels"] = tuple(shape["channels"])
        config = TranscriberConfig(**shape)
        thresholds = {group: float(data["thresholds"][group]) for group in GROUPS}
    except OSError as error:
        raise ModelFormatError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise ModelFormatError(
            f"{path} needs network (a shape) and thresholds for {', '.join(GROUPS)} ({error!r})"
        ) from error
    wrong = [group for group, value in thresholds.items() if not 0 < value < 1]
    if wrong:
        raise ModelFormatError(f"{path}: thresholds are between 0 and 1: {', '.join(wrong)}")
    return config, thresholds
