# SPDX-License-Identifier: GPL-3.0-or-later
"""A model folder, for what has to be loaded by other processes."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a small network of random weights."""
    import torch

    from lars_plugin.model import Chunking, ModelConfig, WeightsFile
    from lars_plugin.zoo.checkpoints import build_network
    from lars_plugin.zoo.convert import write_weights
    from lars_plugin.zoo.yaml_configs import dump_config

    config = ModelConfig(
        "tiny",
        ("kick", "snare", "toms", "hihat", "ride", "crash"),
        Chunking(16384, 2.0, batch_size=2),
        architecture="bandunet",
        network={
            "n_fft": 512,
            "hop_length": 256,
            "band_widths": (16,) * 16,
            "features": (8, 16),
            "dilations": (1,),
            "head": 8,
        },
        presets={"fast": 1.25},
        weights=WeightsFile("weights.safetensors", "safetensors"),
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    torch.manual_seed(0)
    write_weights(build_network(config), folder)
    return folder
