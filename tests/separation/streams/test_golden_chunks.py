# SPDX-License-Identifier: GPL-3.0-or-later
"""Long-file separation equals the field's two implementations, recorded in golden vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.model import Chunking, Convention, Model, ModelConfig
from lars_plugin.networks.mdx23c.network import MDX23C, MDX23CConfig
from lars_plugin.separation.separator import Separator

GOLDEN = Path(__file__).parents[2] / "golden"


def golden() -> tuple[Model, dict[str, np.ndarray]]:
    settings = json.loads((GOLDEN / "mdx23c_instancenorm_gelu.json").read_text())
    tensors = load_file(GOLDEN / "mdx23c_instancenorm_gelu.safetensors")
    network = MDX23C(MDX23CConfig.from_field(settings))
    network.load_state_dict(
        {
            k.removeprefix("state."): torch.from_numpy(v)
            for k, v in tensors.items()
            if k[:6] == "state."
        }
    )
    config = ModelConfig(
        "golden", ("kick", "snare", "hihat"), Chunking(settings["audio"]["chunk_size"])
    )
    return Model(config, TorchBackend(network, device="cpu")), tensors


@pytest.mark.parametrize("case", ["demix", "demix_short"])
@pytest.mark.parametrize("convention", ["msst", "lars"])
@pytest.mark.parametrize("batch", [1, 3])
def test_separation_equals_the_recorded_one(case: str, convention: Convention, batch: int) -> None:
    model, tensors = golden()
    recorded = {
        int(key.split("overlap")[1].split(".")[0]): value
        for key, value in tensors.items()
        if key.startswith(f"{case}.{convention}.")
    }
    assert recorded
    for overlap, expected in recorded.items():
        chunking = Chunking(model.config.chunking.chunk_size, overlap, convention, batch)
        fixed = Model(ModelConfig(model.config.name, model.config.stems, chunking), model.backend)
        stems = Separator(fixed).separate(tensors[f"{case}.input"], 44100)
        made = np.stack(list(stems.values()))
        assert np.abs(made - expected).max() <= 1e-5
