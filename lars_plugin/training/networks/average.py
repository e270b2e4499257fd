# SPDX-License-Identifier: GPL-3.0-or-later
"""The mean of the weights of models that were trained one from another.

Runs that start from the same weights end near each other. Their average has a smaller error than
each of them (Wortsman et al. 2022, "Model soups"): a fifth of a decibel for our models.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from lars_plugin.errors import InputError
from lars_plugin.model import ModelConfig
from lars_plugin.networks.registry import find
from lars_plugin.training.networks.publish import publish
from lars_plugin.training.networks.start import adopt, build, read_weights
from lars_plugin.zoo.load import read_model_config

__all__ = ["average"]


def _kind(config: ModelConfig) -> tuple[object, ...]:
    """What must be the same; settings that a configuration leaves out have their defaults."""
    architecture = find(config.architecture)
    if architecture is None:
        raise InputError(f"{config.name} is not a model with weights of its own; it has no average")
    shape = asdict(architecture.shape_class().of(config))
    shape.pop("levels", None)
    return config.architecture, shape, config.stems


def average(models: Sequence[str], folder: Path, shares: Sequence[float] | None = None) -> Path:
    """Write the mean of some models as a model folder, with a record of its parts.

    Args:
        models: names or folders of at least two models of one kind.
        folder: where to; its name becomes the model's.
        shares: of each model, above 0; they are divided by their sum. All alike for None.

    Raises:
        InputError: fewer than two, or models of different kinds or sizes, or shares that are not
            one positive number for each model.
        ModelError: one cannot be read.
    """
    if len(models) < 2:
        raise InputError("an average needs at least two models")
    given = [1.0] * len(models) if shares is None else list(shares)
    if len(given) != len(models) or not all(0 < share < math.inf for share in given):
        raise InputError(f"--shares must be {len(models)} positive numbers, one for each model")
    weights = torch.tensor(given, dtype=torch.float64) / sum(given)
    configs = [read_model_config(model) for model in models]
    first = configs[0][0]
    for (config, _), name in zip(configs, models, strict=True):
        if _kind(config) != _kind(first):
            raise InputError(f"{name} is not of the same kind and size as {models[0]}")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in first.network.items()}
    settings |= {"stems": len(first.stems), "audio_channels": first.channels}
    if any(config.network.get("levels") for config, _ in configs):
        settings["levels"] = True
    network = build(first.architecture, settings).eval()
    states = []
    for model in models:
        # A model without levels equals one that gives them no weight.
        adopt(network, read_weights(model))
        states.append({name: value.clone() for name, value in network.state_dict().items()})
    state = network.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            parts = torch.stack([part[name].double() for part in states], -1)
            value.copy_(parts @ weights)
    network.load_state_dict(state)
    parts_of = []
    for name, (_, path), share in zip(models, configs, weights.tolist(), strict=True):
        record = path / "training.json" if path is not None else None
        known = record is not None and record.is_file()
        parts_of.append(
            {
                "model": str(name),
                "share": round(share, 4),
                "training": json.loads(record.read_text("utf-8")) if known and record else None,
            }
        )
    command = " ".join(["python -m lars_plugin.training.prepare", *sys.argv[1:]])
    return publish(network, folder, {"command": command, "mean of": parts_of})
