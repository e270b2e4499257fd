# SPDX-License-Identifier: GPL-3.0-or-later
"""From a trained network to a model folder that `--model FOLDER` and the zoo can load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from lars_plugin.networks.bandunet import BandUNetConfig
from lars_plugin.training.render import STEMS
from lars_plugin.zoo.config import Chunking, ModelConfig, WeightsFile
from lars_plugin.zoo.convert import write_weights
from lars_plugin.zoo.yaml_configs import dump_config

__all__ = ["publish"]


def publish(
    network: nn.Module, shape: BandUNetConfig, folder: Path, record: Mapping[str, Any]
) -> Path:
    """Write ``config.yaml``, ``weights.safetensors`` and ``training.json``.

    Args:
        network: a trained BandUNet of that shape.
        shape: its configuration.
        folder: made if it is not there; its name becomes the model's.
        record: what the run was (command, time, settings), kept beside the weights.

    Returns:
        The folder.
    """
    settings = asdict(shape)
    for key in ("stems", "audio_channels"):  # the model's own entries say these
        del settings[key]
    config = ModelConfig(
        name=folder.name,
        stems=STEMS,
        channels=shape.audio_channels,
        # About six seconds, a whole number of frames after every downscaling.
        chunking=Chunking(chunk_size=511 * shape.hop_length, overlap=2, convention="msst"),
        architecture="bandunet",
        network=settings,
        presets={"fast": 1.1, "balanced": 1.5, "best": 4.0},
        weights=WeightsFile("weights.safetensors", "safetensors"),
        description="a model trained with `lars train`",
        license="see training.json for what it heard",
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    write_weights(network, folder)
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return folder
