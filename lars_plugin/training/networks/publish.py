# SPDX-License-Identifier: GPL-3.0-or-later
"""From a trained network to a model folder that `--model FOLDER` and the zoo can load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lars_plugin.model import Chunking, ModelConfig, WeightsFile
from lars_plugin.networks.livenet.network import LiveNet
from lars_plugin.networks.mdx23c.network import MDX23C
from lars_plugin.training.networks.start import Network
from lars_plugin.training.render.fullmix import FULLMIX_STEMS
from lars_plugin.zoo.convert import write_weights
from lars_plugin.zoo.yaml_configs import dump_config

__all__ = ["publish"]


def publish(network: Network, folder: Path, record: Mapping[str, Any]) -> Path:
    """Write ``config.yaml``, ``weights.safetensors`` and ``training.json``.

    Args:
        network: trained.
        folder: made if it is not there; its name becomes the model's.
        record: what the run was (command, time, settings), kept beside the weights.

    Returns:
        The folder.
    """
    shape = network.config
    settings = asdict(shape)
    for key in ("stems", "audio_channels"):  # the model's own entries say these
        del settings[key]
    live = isinstance(network, LiveNet)
    config = ModelConfig(
        name=folder.name,
        stems=FULLMIX_STEMS[: shape.stems],
        channels=shape.audio_channels,
        chunking=_chunking(network),
        architecture=_architecture(network),
        network=settings,
        presets={} if live else {"fast": 1.1, "balanced": 2.0, "best": 4.0},
        weights=WeightsFile("weights.safetensors", "safetensors"),
        description="a model trained with `lars train`",
        license="see training.json for what it heard",
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    write_weights(network, folder)
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return folder


def _architecture(network: Network) -> str:
    if isinstance(network, LiveNet):
        return "livenet"
    return "mdx23c" if isinstance(network, MDX23C) else "bandunet"


def _chunking(network: Network) -> Chunking:
    hop = network.config.hop_length
    if isinstance(network, LiveNet):
        # Offline, 64 hops at a time; a live session takes them one by one.
        return Chunking(hop, 1, "causal", batch_size=64, lookahead=network.delay)
    # About six seconds at a hop of 512, a whole number of frames after every downscaling.
    return Chunking(chunk_size=511 * hop, overlap=2, convention="msst")
