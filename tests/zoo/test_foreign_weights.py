# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of weights that fit no configuration, or cannot be read: one line that says what to do."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lars_plugin.errors import ModelFormatError
from lars_plugin.model import Chunking, ModelConfig
from lars_plugin.networks.registry import ARCHITECTURES
from lars_plugin.zoo import load_model
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.yaml_configs import read_config
from tests.field_files import files, golden


@pytest.mark.parametrize(
    ("config", "weights", "message"),
    [
        ("bsroformer_stereo", "melroformer_stereo", r"missing final_norm\.gamma.*unexpected"),
        ("melroformer_stereo", "bsroformer_stereo", r"missing layers.*unexpected band_split"),
        ("bsroformer_stereo", "mdx23c_groupnorm_relu", "holds no weights of a bsroformer network"),
        ("mdx23c_groupnorm_relu", "melroformer_stereo", "holds no weights of a mdx23c network"),
        ("bsroformer_stereo", "bsroformer_linear_mono", "missing .*unexpected "),
    ],
)
def test_weights_of_another_network_are_refused_in_one_line(
    config: str, weights: str, message: str, tmp_path: Path
) -> None:
    described, _ = files(config, tmp_path)
    _, stored = files(weights, tmp_path)
    with pytest.raises(ModelFormatError, match=message) as caught:
        load_model(stored, config=described, device="cpu", backend="torch")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_missing_and_a_renamed_key_are_named(tmp_path: Path) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    state = torch.load(weights, weights_only=True)
    state["layers.0.0.layers.0.0.branch.norm.gamma"] = state.pop("layers.0.0.layers.0.0.norm.gamma")
    torch.save(state, weights)
    with pytest.raises(
        ModelFormatError,
        match=r"missing layers\.0\.0\.layers\.0\.0\.norm\.gamma; unexpected .*branch\.norm\.gamma",
    ):
        load_model(weights, config=config, device="cpu", backend="torch")


@pytest.mark.parametrize("prefix", ["model.", "module.", "_orig_mod."])
def test_half_precision_and_wrapped_checkpoints_load(prefix: str, tmp_path: Path) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    state = torch.load(weights, weights_only=True)
    wrapped = {f"{prefix}{key}": tensor.half() for key, tensor in state.items()}
    torch.save({"state_dict": wrapped, "epoch": 17}, weights)
    model = load_model(weights, config=config, device="cpu", backend="torch")
    _, tensors = golden("bsroformer_stereo")
    made = model.backend(tensors["forward.input"].numpy())
    assert np.abs(made - tensors["forward.output"].numpy()).max() < 1e-2


def told(weights: Path, config: Path) -> str:
    """The one line that a file of weights is refused with."""
    with pytest.raises(ModelFormatError) as caught:
        load_model(weights, config=config, device="cpu", backend="torch")
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    assert len(line) < 400
    assert str(weights) in line
    return line


def zipped(source: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(source, f"model/{source.name}")


def tarred(source: Path, target: Path) -> None:
    with tarfile.open(target, "w") as archive:
        archive.add(source, source.name)


@pytest.mark.parametrize(
    ("pack", "message"),
    [
        (zipped, "it is a zip archive that holds model/bsroformer_stereo.ckpt: unpack it"),
        (tarred, "it is a tar archive: unpack it"),
        (lambda a, b: b.write_bytes(gzip.compress(a.read_bytes())), "it is a gzip archive: unpack"),
        (lambda a, b: b.write_bytes(bz2.compress(a.read_bytes())), "it is a bzip2 archive: unpack"),
        (lambda a, b: b.write_bytes(lzma.compress(a.read_bytes())), "it is an xz archive: unpack"),
        (lambda a, b: b.write_bytes(a.read_bytes()[:-999]), "was not downloaded completely"),
        (lambda _, b: b.write_bytes(b""), "it is empty"),
        (lambda _, b: b.write_bytes(b"<!DOCTYPE html>"), "it is a web page: download the file"),
        (
            lambda _, b: b.write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 9\n"),
            "it is a Git LFS pointer: download the file that it names",
        ),
        (lambda _, b: b.write_bytes(b"\x08\x08\x12\x07pytorch"), "supported: what torch.save"),
        (
            lambda a, b: save_file(torch.load(a, weights_only=True), b),
            "it is a safetensors file: give it the ending .safetensors",
        ),
    ],
)
@pytest.mark.parametrize("name", ["model.ckpt", "model.zip"])
def test_a_file_that_is_not_a_checkpoint_is_told_what_it_is(
    pack: Callable[[Path, Path], None], message: str, name: str, tmp_path: Path
) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    pack(weights, tmp_path / name)
    assert message in told(tmp_path / name, config)


def test_a_checkpoint_named_safetensors_is_told(tmp_path: Path) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    weights = weights.rename(tmp_path / "model.safetensors")
    assert "it is a checkpoint: give it the format checkpoint" in told(weights, config)


def lightning(state: dict[str, torch.Tensor], **more: Any) -> dict[str, Any]:
    """What Lightning's trainer writes, around a module that keeps the network as ``model``."""
    return {
        "epoch": 17,
        "global_step": 4000,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {f"model.{key}": tensor for key, tensor in state.items()},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(1.0)}
        },
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-4, "params": [0, 1]}]}],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 1e-4},
        **more,
    }


def test_a_lightning_file_loads_and_one_with_objects_says_what_is_supported(
    tmp_path: Path,
) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    state = torch.load(weights, weights_only=True)
    torch.save(lightning(state), weights)
    assert load_model(weights, config=config, device="cpu", backend="torch").config.stems
    torch.save(lightning(state, hyper_parameters={"time": timedelta(1)}), weights)
    line = told(weights, config)
    assert "it holds an object of datetime.timedelta; supported: tensors and plain values" in line
    assert "save the network's state_dict alone" in line
    torch.save(lightning(state, best=np.float64(1)), weights)
    assert "it holds an object of numpy." in told(weights, config)


def test_a_whole_module_and_an_optimizer_are_no_state_dicts(tmp_path: Path) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    torch.save(torch.nn.Linear(2, 2), weights)
    assert "an object of torch.nn.modules.linear.Linear; supported: tensors" in told(
        weights, config
    )
    torch.save({"optimizer": {"state": {}}, "epoch": 3}, weights)
    assert "holds no state dict: 'optimizer' is not a named tensor" in told(weights, config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: (one * 100).to(torch.int8), "is torch.int8, not torch.float32; supported: fl"),
        (lambda one: one.to(torch.float8_e4m3fn), "is torch.float8_e4m3fn, not torch.float32; sup"),
        (lambda one: one * float("nan"), "holds NaN or Inf, the file is damaged"),
        (lambda one: one[:1], "has shape"),
    ],
)
def test_quantised_and_damaged_tensors_are_named(
    change: Callable[[torch.Tensor], torch.Tensor], message: str, tmp_path: Path
) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    state = torch.load(weights, weights_only=True)
    key = "band_split.to_features.0.1.weight"
    state[key] = change(state[key])
    torch.save(state, weights)
    line = told(weights, config)
    assert key in line
    assert message in line


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_load_as_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    config, weights = files("bsroformer_stereo", tmp_path)
    state = torch.load(weights, weights_only=True)
    torch.save({key: tensor.to(dtype) for key, tensor in state.items()}, weights)
    model: Any = load_model(weights, config=config, device="cpu", backend="torch")
    assert {one.dtype for one in model.backend.module.parameters()} == {torch.float32}


def test_an_unknown_option_is_named_with_what_is_supported(tmp_path: Path) -> None:
    config, _ = files("bsroformer_stereo", tmp_path, model={"polar_attention": True})
    with pytest.raises(ModelFormatError, match=r"model\.polar_attention; supported: .*dim_head"):
        read_config(config)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_unknown_setting_of_our_own_format_is_named_with_what_is_supported(
    architecture: str,
) -> None:
    config = ModelConfig("m", ("kick", "snare"), Chunking(8192), architecture=architecture)
    for network in ({"polar": True}, {"stems": 3}):
        with pytest.raises(ModelFormatError) as caught:
            build_network(dataclasses.replace(config, network=network))
        line = str(caught.value)
        assert f"unsupported option network.{next(iter(network))}; supported: " in line
        assert "hop_length" in line or "nfft" in line
        assert "\n" not in line
