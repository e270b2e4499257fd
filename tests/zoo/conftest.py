# SPDX-License-Identifier: GPL-3.0-or-later
"""Small models for the zoo's tests, and a separate cache folder for each test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

from lars_plugin.model import Chunking, ModelConfig
from lars_plugin.networks.bandunet.network import BandUNet
from lars_plugin.networks.mdx23c.network import MDX23C
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.yaml_configs import dump_config
from tests.models import SMALL_BANDUNET, config, trained

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own files are not used, and PyTorch is the default backend: tests compare bits,
    and converting each tiny network would take most of the time."""
    monkeypatch.setenv("LARS_BACKEND", "torch")
    monkeypatch.setenv("LARS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LARS_MODELS_PATH", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def configs() -> dict[str, ModelConfig]:
    """A small configuration per architecture."""
    return {
        "mdx23c": config(
            "mdx23c",
            name="tiny-mdx23c",
            stems=("kick", "snare"),
            chunking=Chunking(960, 4),
            presets={"fast": 1.1, "balanced": 2.0, "best": 4.0},
            license="CC0-1.0",
        ),
        "bandunet": config(
            name="tiny-bandunet",
            stems=("kick", "snare", "hihat"),
            chunking=Chunking(1000, 2),
            network=SMALL_BANDUNET,
        ),
    }


@pytest.fixture
def networks(configs: dict[str, ModelConfig]) -> dict[str, nn.Module]:
    """The networks of :func:`configs` with random weights."""
    result = {name: trained(build_network(config)) for name, config in configs.items()}
    assert isinstance(result["mdx23c"], MDX23C)
    assert isinstance(result["bandunet"], BandUNet)
    return result


@pytest.fixture
def save_folder(tmp_path: Path) -> Callable[[ModelConfig, nn.Module], Path]:
    """Writes a model folder as a user may have one: configuration and float32 safetensors."""
    from safetensors.torch import save_file

    def save(config: ModelConfig, network: nn.Module) -> Path:
        folder = tmp_path / "models" / config.name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        save_file(network.state_dict(), folder / "weights.safetensors")
        return folder

    return save


class _Tuples(yaml.SafeDumper):
    """Writes tuples as the field's files do."""


_Tuples.add_representer(
    tuple, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:python/tuple", value)
)


@pytest.fixture
def golden_files(tmp_path: Path) -> tuple[Path, Path, dict[str, torch.Tensor]]:
    """A golden case as published: YAML with ``!!python/tuple``, a checkpoint, and its tensors."""
    case = GOLDEN / "mdx23c_instancenorm_gelu"
    field: dict[str, Any] = json.loads(case.with_suffix(".json").read_text(encoding="utf-8"))
    field["model"]["scale"] = tuple(field["model"]["scale"])
    config = tmp_path / "config_golden.yaml"
    config.write_text(yaml.dump(field, Dumper=_Tuples), encoding="utf-8")
    assert "!!python/tuple" in config.read_text(encoding="utf-8")
    tensors = load_file(case.with_suffix(".safetensors"))
    prefix = "state."
    weights = tmp_path / "golden.ckpt"
    torch.save({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}, weights)
    return config, weights, tensors
