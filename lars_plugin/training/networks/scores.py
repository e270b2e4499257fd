# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of a network in training, on validation clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lars_plugin.errors import DatasetError
from lars_plugin.evaluation.metrics import is_sounding, sdr
from lars_plugin.networks.shared.shape import Shape
from lars_plugin.training.render.renderer import STEMS
from lars_plugin.training.sounds.files import read_wave

__all__ = ["Clip", "load_clips", "validate"]

Clip = tuple[str, NDArray[np.float32]]


def load_clips(folder: str | Path, names: Sequence[str] = STEMS) -> list[Clip]:
    """Validation clips ``(name, stems (S, C, L))`` from folders of ``<stem>.flac``."""
    clips = []
    for path in sorted(p for p in Path(folder).iterdir() if (p / f"{STEMS[0]}.flac").is_file()):
        waves = [read_wave(path / f"{name}.flac", what="validation clip")[0] for name in names]
        clips.append((path.name, np.stack([wave.T for wave in waves])))
    if not clips:
        raise DatasetError(f"no clip folders with {STEMS[0]}.flac below {folder}")
    return clips


def validate(
    network: nn.Module,
    clips: list[Clip],
    device: str = "cpu",
    names: Sequence[str] = STEMS,
) -> dict[str, float]:
    """Median SDR in dB per stem over the clips where it sounds.

    "mean" is the mean over the drum stems; a stem "other" is left out of it.
    """
    scores: dict[str, list[float]] = {stem: [] for stem in names}
    network.eval()
    with torch.inference_mode():
        for _, stems in clips:
            mixture = stems.sum(0)
            estimate = _whole(network, torch.from_numpy(mixture)[None].to(device))[0].cpu().numpy()
            for index, stem in enumerate(names):
                if is_sounding(stems[index], mixture):
                    scores[stem].append(sdr(stems[index], estimate[index]))
    result = {stem: float(np.median(values)) for stem, values in scores.items() if values}
    result["mean"] = float(np.mean([v for stem, v in result.items() if stem in STEMS]))
    return result


def _whole(network: nn.Module, wave: torch.Tensor) -> torch.Tensor:
    """A network's stems of a clip of any length, in one pass."""
    length = wave.shape[2]
    shape = getattr(network, "config", None)
    if isinstance(shape, Shape):  # some take some numbers of frames only
        wave = nn.functional.pad(wave, (0, shape.whole_length(length) - length))
    result: torch.Tensor = network(wave)
    return result[..., :length]
