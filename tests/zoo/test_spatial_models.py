# SPDX-License-Identifier: GPL-3.0-or-later
"""Models with the multichannel filter in their configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from lars_plugin.errors import InputError, ModelFormatError
from lars_plugin.model import Chunking, ModelConfig
from lars_plugin.refine.spatial_wiener import SpatialFilter
from lars_plugin.zoo.load import load_model
from lars_plugin.zoo.registry import model_folders
from lars_plugin.zoo.yaml_configs import read_config


def test_a_configuration_asks_for_the_filter(
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Callable[[ModelConfig, nn.Module], Path],
) -> None:
    plain = save_folder(configs["bandunet"], networks["bandunet"])
    asked = dataclasses.replace(configs["bandunet"], name="filtered", spatial=512)
    folder = save_folder(asked, networks["bandunet"])
    assert read_config(folder / "config.yaml").spatial == 512
    size = asked.chunking.chunk_size
    wave = np.random.default_rng(2).uniform(-0.5, 0.5, (2, size)).astype(np.float32)
    one, other = (load_model(path, device="cpu").backend for path in (plain, folder))
    wanted = SpatialFilter(one, 512)(wave[None])
    np.testing.assert_allclose(other(wave[None]), wanted, atol=1e-6)
    assert not np.allclose(wanted, one(wave[None]), atol=1e-4)


def test_a_causal_model_with_the_filter_is_refused_as_an_object_and_as_a_file(
    tmp_path: Path,
) -> None:
    hops = Chunking(504, 1, "causal", lookahead=504)
    with pytest.raises(InputError, match="spatial: model 'mine' is causal"):
        ModelConfig("mine", ("kick", "snare"), hops, spatial=8192)
    with pytest.raises(InputError, match="leave spatial out"):
        dataclasses.replace(
            ModelConfig("mine", ("kick",), Chunking(504), spatial=64), chunking=hops
        )
    text = (model_folders()["lars-live"] / "config.yaml").read_text()
    path = tmp_path / "config.yaml"
    path.write_text(text.replace("network:", "spatial: 8192\nnetwork:"))
    with pytest.raises(ModelFormatError, match="is causal"):
        read_config(path)
