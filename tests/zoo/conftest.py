# SPDX-License-Identifier: GPL-3.0-or-later
"""Small models for the zoo's tests, and a cache folder of each test's own."""

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

from lars_plugin.model import Chunking, ModelConfig, WeightsFile
from lars_plugin.networks.bandunet.network import BandUNet
from lars_plugin.networks.mdx23c.network import MDX23C
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.yaml_configs import dump_config

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's own is seen or touched, and PyTorch runs what names no backend: bits
    are compared here, and converting each tiny network would take most of the time."""
    monkeypatch.setenv("LARS_BACKEND", "torch")
    monkeypatch.setenv("LARS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LARS_MODELS_PATH", raising=False)
    return tmp_path / "cache"


def _randomised(network: nn.Module) -> nn.Module:
    """As after training: batch norms that are no identity, layers that start at zero filled."""
    generator = torch.Generator().manual_seed(1)
    for key, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator)
        if key.endswith("running_var"):
            value.copy_(0.5 + noise.abs())
        else:
            value.add_(0.05 * noise)
    return network.eval().requires_grad_(False)  # which PyTorch's choice of kernels depends on


@pytest.fixture
def configs() -> dict[str, ModelConfig]:
    """A small configuration per architecture."""
    file = WeightsFile("weights.safetensors", "safetensors")
    return {
        "mdx23c": ModelConfig(
            name="tiny-mdx23c",
            stems=("kick", "snare"),
            chunking=Chunking(960, 4),
            architecture="mdx23c",
            network={
                "n_fft": 256,
                "hop_length": 64,
                "dim_f": 128,
                "num_channels": 4,
                "growth": 4,
                "num_scales": 2,
                "num_subbands": 4,
                "num_blocks_per_scale": 1,
            },
            presets={"fast": 1.1, "balanced": 2.0, "best": 4.0},
            weights=file,
            license="CC0-1.0",
        ),
        "bandunet": ModelConfig(
            name="tiny-bandunet",
            stems=("kick", "snare", "hihat"),
            chunking=Chunking(1000, 2),
            architecture="bandunet",
            network={
                "n_fft": 256,
                "hop_length": 64,
                "head": 8,
                "dilations": (1, 2),
                "band_widths": (*(2,) * 16, *(4,) * 8, *(8,) * 8),
                "features": (8, 12, 16),
            },
            weights=file,
        ),
    }


@pytest.fixture
def networks(configs: dict[str, ModelConfig]) -> dict[str, nn.Module]:
    """The networks of :func:`configs` with random weights."""
    made = {name: _randomised(build_network(config)) for name, config in configs.items()}
    assert isinstance(made["mdx23c"], MDX23C)
    assert isinstance(made["bandunet"], BandUNet)
    return made


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
