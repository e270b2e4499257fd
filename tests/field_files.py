# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden RoFormers as networks, and as the files that the field publishes; its classes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from lars_plugin.networks.registry import field_architecture
from lars_plugin.networks.roformer.config import RoFormerConfig
from lars_plugin.networks.roformer.network import RoFormer

__all__ = ["GOLDEN", "files", "golden", "golden_network", "shape_of", "state_of", "their_class"]

GOLDEN = Path(__file__).parent / "golden"
STATE = "state."


def golden(case: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    field = json.loads((GOLDEN / f"{case}.json").read_text(encoding="utf-8"))
    return field, load_file(GOLDEN / f"{case}.safetensors")


def state_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(STATE): tensors[key] for key in tensors if key.startswith(STATE)}


def shape_of(field: dict[str, Any]) -> RoFormerConfig:
    shape: Any = field_architecture(field["model"]).shape_class()
    made: RoFormerConfig = shape.from_field(field)
    return made


def golden_network(case: str, *, portable: bool = False) -> tuple[RoFormer, dict[str, Tensor]]:
    field, tensors = golden(case)
    row = field_architecture(field["model"])
    assert row.name == case.partition("_")[0]
    network = row.build(shape_of(field)).eval()
    assert isinstance(network, RoFormer)
    if portable:
        network.stft = type(network.stft)(
            network.stft.n_fft, network.stft.hop_length, portable=True
        )
    network.load_state_dict(state_of(tensors))  # strict: the published names and no others
    return network, tensors


def files(case: str, folder: Path, **changes: Any) -> tuple[Path, Path]:
    """A golden case as it would be published: a YAML file and a checkpoint."""
    field, tensors = golden(case)
    for section, values in changes.items():
        field[section] |= values
    config, weights = folder / f"config_{case}.yaml", folder / f"{case}.ckpt"
    config.write_text(yaml.safe_dump(field), encoding="utf-8")
    torch.save(state_of(tensors), weights)
    return config, weights


@contextmanager
def their_class(name: str) -> Iterator[Any]:
    """A class of the field, there only while a package is written."""
    module_name, _, own = name.rpartition(".")
    names = [module_name.split(".")[0], module_name]
    before = {one: sys.modules.get(one) for one in names}
    for one in names:
        sys.modules[one] = ModuleType(one)
    made = type(own, (), {"__module__": module_name})
    setattr(sys.modules[module_name], own, made)
    try:
        yield made
    finally:
        for one, module in before.items():
            del sys.modules[one]
            if module is not None:
                sys.modules[one] = module
