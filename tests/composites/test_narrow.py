# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of some of their stems: networks leave out the work for the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lars_plugin import Cascade, Separator
from lars_plugin.backends.choice import Choice
from lars_plugin.backends.openvino.runtime import has_openvino
from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.composites.narrow import narrowed
from lars_plugin.model import Backend, Model, ModelConfig, Wave
from lars_plugin.testing import GainModel, IdentityModel
from lars_plugin.zoo.backends import network_backend
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.registry import get_config

SMALL: dict[str, Any] = {
    "dim": 16,
    "depth": 1,
    "heads": 2,
    "dim_head": 8,
    "n_fft": 256,
    "hop_length": 64,
    "freqs_per_bands": (16,) * 7 + (17,),
    "mlp_expansion_factor": 1,
}


def music_config() -> ModelConfig:
    config = get_config("bs-roformer-music")
    chunking = dataclasses.replace(config.chunking, chunk_size=4096)
    network = {**config.network, **SMALL}
    return dataclasses.replace(config, network=network, chunking=chunking, presets={})


def backend(kind: str, config: ModelConfig, cache: Path, monkeypatch: Any) -> Backend:
    monkeypatch.setenv("LARS_CACHE", str(cache))
    torch.manual_seed(0)
    network = build_network(config).eval()
    return network_backend(
        config, lambda: network, Choice(kind, "float32"), device="cpu", digest="x"
    )


def recordings() -> list[Wave]:
    """What a network is shown whole, without its direct current, and one side of: the rest goes
    back to all stems alike."""
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal((2, 9000))).astype(np.float32)
    return [audio, audio + np.float32(0.02), audio * np.array([[1], [0]], np.float32)]


@pytest.mark.parametrize(
    "kind",
    [
        "torch",
        pytest.param(
            "openvino",
            marks=pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed"),
        ),
    ],
)
def test_a_roformer_runs_the_mask_estimators_of_the_wanted_stems_alone(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = music_config()
    model = Model(config, backend(kind, config, tmp_path, monkeypatch))
    one = narrowed(model, ["drums"])
    assert one.config.stems == config.stems
    assert narrowed(model, config.stems) is model
    # PyTorch computes each estimator by itself; OpenVINO may order sums otherwise.
    atol = 0 if kind == "torch" else 1e-5
    kit = GainModel([0.5, 0.25], ("kick", "snare"), 512)
    for audio in recordings():
        drums = Separator(model).separate(audio, 44100)["drums"]
        alone = Separator(model, stems=["drums"]).separate(audio, 44100)["drums"]
        np.testing.assert_allclose(alone, drums, rtol=0, atol=atol)
        # As the first stage of a cascade, where nobody wants its other stems.
        made = Separator(Cascade(model, kit), stems=["snare"]).separate(audio, 44100)
        np.testing.assert_allclose(made["snare"], 0.25 * drums, atol=1e-5)
    shapes = [chunks.shape for chunks in outputs(model.backend, audio, monkeypatch)]
    assert set(shapes) == {(1, 1, 2, 4096)}


def outputs(whole: Any, audio: np.ndarray[Any, Any], monkeypatch: Any) -> list[Any]:
    """What the backend for the drums alone gives; the whole one must not be run."""
    drums = whole.only((0,))
    seen: list[Any] = []
    kind = type(drums)
    call = kind.__call__

    def noted(self: Any, batch: Any) -> Any:
        assert self is drums
        seen.append(call(self, batch))
        return seen[-1]

    monkeypatch.setattr(kind, "__call__", noted)
    model = Model(music_config(), whole)
    Separator(model, stems=["drums"]).separate(audio, 44100)
    return seen


def test_narrowed_networks_share_their_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = TorchBackend(build_network(music_config()), device="cpu")
    part = whole.only((0, 2))
    assert part is not None
    assert whole.only((0, 2)) is part
    own = {tensor.data_ptr() for tensor in whole.module.parameters()}
    kept = [tensor.data_ptr() for tensor in part.module.parameters()]
    assert set(kept) < own
    # The whole network is still whole.
    assert whole(np.zeros((1, 2, 4096), np.float32)).shape[1] == 4


def test_models_that_compute_all_at_once_stay_as_they_are() -> None:
    model = IdentityModel()
    assert narrowed(model, ["kick"]) is model
    plain = Model(model.config, TorchBackend(nn.Identity(), device="cpu"))
    assert narrowed(plain, ["kick"]) is plain
