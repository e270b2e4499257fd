# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that training starts from: a new one, or one with trained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from lars_plugin.errors import InputError
from lars_plugin.networks.registry import find, of_network, trainable_names
from lars_plugin.networks.shared.bands import BandNetwork
from lars_plugin.zoo.checkpoints import read_state
from lars_plugin.zoo.load import resolve

__all__ = ["adopt", "build", "read_weights"]


def build(architecture: str, settings: Mapping[str, Any]) -> nn.Module:
    """A network with random weights.

    Raises:
        InputError: unknown architecture, or settings that make no such network.
    """
    row = find(architecture)
    if row is None or row.training is None:
        known = ", ".join(trainable_names())
        raise InputError(f"unknown architecture {architecture!r}; use {known}")
    try:
        return row.build(row.shape_class()(**settings))
    except (TypeError, ValueError, InputError) as error:
        raise InputError(f"--network: {error}") from error


def read_weights(source: str) -> dict[str, Tensor]:
    """Tensors of a model (a name or a folder) or of a training's ``checkpoint.pt`` (its average).

    Raises:
        ModelError: it is missing or cannot be read.
    """
    path = Path(source)
    if path.suffix == ".pt" and path.is_file():
        return read_state(path, "checkpoint")
    config, weights = resolve(source)
    assert config.weights is not None
    return read_state(weights, config.weights.format)


def _complex_inputs(network: BandNetwork, name: str) -> int:
    """Numbers that a band of this embedding gets without levels."""
    _, width = network.groups[int(name.split(".")[1])]
    return 2 * network.audio_channels * width


def adopt(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy trained weights into a network that may have more stems.

    Additional stems start as silence: their masks are 0 except for a bias, the mean of the
    others'. Levels that the trained network did not have (``bands.levels_of``) start with
    weights of 0, so the new network starts out equal to the trained one.

    Raises:
        InputError: the weights are of another network.
    """
    row = of_network(network)
    bands = None
    if row is not None and row.training is not None and row.training.loss == "bands":
        bands = cast(BandNetwork, network)
    own = network.state_dict()
    if set(own) != set(state):
        raise InputError("--init: the weights are of another architecture")
    for name, value in state.items():
        target = own[name]
        if target.shape == value.shape:
            target.copy_(value)
        elif (
            bands is not None
            and bands.levels
            and name.startswith("embed.")
            and value.shape == (target.shape[0], _complex_inputs(bands, name), target.shape[2])
        ):
            target.zero_()
            target[:, : value.shape[1]] = value
        elif (
            bands is not None
            and name.startswith(("masks.", "mask_bias."))
            and value.shape[2] == target.shape[2]
        ):
            count, width = bands.groups[int(name.split(".")[1])]
            per_stem = target.shape[1] // bands.stems  # (real, imaginary) x channels x bins
            stems, rest = divmod(value.shape[1], per_stem)
            if rest or value.shape[0] != count:
                raise InputError(f"--init: {name} does not fit the network")
            if stems > bands.stems:
                raise InputError(f"--init: a model of {stems} stems for one of {bands.stems}")
            tail = value.shape[2]
            into = target.view(count, 2, bands.stems, -1, width, tail)
            given = value.reshape(count, 2, stems, -1, width, tail)
            into.zero_()
            into[:, :, :stems] = given
            if name.startswith("mask_bias."):
                into[:, 0, stems:] = given[:, 0].mean(dim=1, keepdim=True)
        else:
            raise InputError(f"--init: {name} does not fit the network")
    with torch.no_grad():
        network.load_state_dict(own)
