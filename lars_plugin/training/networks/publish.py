# SPDX-License-Identifier: GPL-3.0-or-later
"""From a trained network to a model folder that `--model FOLDER` and the zoo can load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from lars_plugin.errors import InputError, ModelError
from lars_plugin.files import replacing
from lars_plugin.model import ModelConfig, WeightsFile
from lars_plugin.networks.registry import of_network
from lars_plugin.training.render.fullmix import FULLMIX_STEMS
from lars_plugin.zoo.convert import write_weights
from lars_plugin.zoo.yaml_configs import dump_config

__all__ = ["publish"]


def publish(network: nn.Module, folder: Path, record: Mapping[str, Any]) -> Path:
    """Write ``config.yaml``, ``weights.safetensors`` and ``training.json``.

    Args:
        network: trained.
        folder: created if missing; its name becomes the model's.
        record: describes the run (command, time, settings); stored beside the weights.

    Returns:
        The folder.

    Raises:
        InputError: a network of no architecture in the registry.
    """
    row = of_network(network)
    if row is None:
        raise InputError(
            f"no architecture {type(network).__name__}: give it a row in networks/registry.py"
        )
    shape: Any = network.config
    settings = asdict(shape)
    for key in ("stems", "audio_channels", "sample_rate"):  # the model's own entries say these
        settings.pop(key, None)
    config = ModelConfig(
        name=folder.name,
        stems=FULLMIX_STEMS[: shape.stems],
        channels=shape.audio_channels,
        chunking=shape.default_chunking(),
        architecture=row.name,
        network=settings,
        presets={} if row.causal else {"fast": 1.1, "balanced": 2.0, "best": 4.0},
        weights=WeightsFile("weights.safetensors", "safetensors"),
        description="a model trained with `lars train`",
        license="see training.json for its training data",
    )
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "config.yaml", error=ModelError) as temporary:
        temporary.write_text(dump_config(config), encoding="utf-8")
    write_weights(network, folder)
    with replacing(folder / "training.json", error=ModelError) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return folder
