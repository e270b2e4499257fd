# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading: a matching file runs as its source does, others are named errors, no code is run."""

from __future__ import annotations

import dataclasses
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.errors import (
    InputError,
    ModelError,
    ModelFormatError,
    ModelIntegrityError,
    ModelNotFoundError,
)
from lars_plugin.model import Chunking, ModelConfig, WeightsFile
from lars_plugin.zoo import get_config, load_model
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.integrity import weights_sha256 as sha256_of
from lars_plugin.zoo.yaml_configs import dump_config

Golden = tuple[Path, Path, dict[str, Tensor]]
Save = Callable[[ModelConfig, nn.Module], Path]


def expected(network: nn.Module, wave: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """By the backend, whose sums have another order than the network's; tests/backends compares
    the two."""
    return TorchBackend(network, device="cpu")(wave.numpy())


def test_a_published_checkpoint_with_its_yaml_gives_the_golden_output(golden_files: Golden) -> None:
    config, weights, tensors = golden_files
    model = load_model(config=config, weights=weights, device="cpu")
    result = model.backend(tensors["forward.input"].numpy())
    assert np.abs(result - tensors["forward.output"].numpy()).max() <= 1e-5
    assert model.config.stems == ("kick", "snare", "hihat")
    assert model.backend.name == "torch cpu float32"


@pytest.mark.parametrize("wrapper", ["state", "state_dict", "model_state_dict", "ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_may_be_wrapped(golden_files: Golden, wrapper: str, prefix: str) -> None:
    config, weights, tensors = golden_files
    state = {prefix + k: v for k, v in torch.load(weights, weights_only=True).items()}
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, wrapper: state}, weights)
    result = load_model(config=config, weights=weights).backend(tensors["forward.input"].numpy())
    assert np.abs(result - tensors["forward.output"].numpy()).max() <= 1e-5


@pytest.mark.parametrize("suffix", [".th", ".pt", ".bin"])
def test_a_checkpoint_is_known_by_its_content(golden_files: Golden, suffix: str) -> None:
    config, weights, tensors = golden_files
    renamed = weights.rename(weights.with_suffix(suffix))
    model = load_model(renamed, config=config)
    assert model.backend(tensors["forward.input"].numpy()).shape == (2, 3, 2, 1920)


@pytest.mark.parametrize("kind", ["mdx23c", "bandunet"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_model_folder_runs_as_its_network_does(
    kind: str,
    dtype: torch.dtype,
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Save,
) -> None:
    network = networks[kind]
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.to(dtype))  # so that nothing but the storage differs
    folder = save_folder(configs[kind], network)
    state = {
        k: v.to(dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()
    }
    save_file(state, folder / "weights.safetensors")
    wave = torch.randn(1, 2, configs[kind].chunking.chunk_size)
    for source in (folder, str(folder), folder / "config.yaml"):
        result = load_model(source).backend(wave.numpy())
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, expected(network, wave))


def test_a_name_finds_the_users_model_even_beside_a_folder_of_that_name(
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = save_folder(configs["mdx23c"], networks["mdx23c"])
    monkeypatch.setenv("LARS_MODELS_PATH", str(folder.parent))
    (tmp_path / "here" / "tiny-mdx23c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert load_model("tiny-mdx23c").config == configs["mdx23c"]
    assert load_model(configs["mdx23c"]).config == configs["mdx23c"]


class Bomb:
    """Its pickle creates a file when it is loaded unsafely."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("form", ["bare pickle", "torch zip", "torch legacy", "wrapped"])
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(
    form: str, golden_files: Golden, tmp_path: Path
) -> None:
    config, weights, _ = golden_files
    canary = tmp_path / "canary"
    bomb = {"state_dict": Bomb(canary)} if form == "wrapped" else Bomb(canary)
    if form == "bare pickle":
        weights.write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, weights, _use_new_zipfile_serialization=form != "torch legacy")
    with pytest.raises(ModelFormatError, match="not a safe checkpoint") as caught:
        load_model(config=config, weights=weights)
    assert "\n" not in str(caught.value)
    assert not canary.exists()
    # The trap is a real one: a careless reader springs it.
    torch.load(weights, weights_only=False) if form != "bare pickle" else pickle.loads(
        weights.read_bytes()
    )
    assert canary.is_dir()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 not a zip", b"\x80\x04.", b"hello", b"\x00" * 1000]
)
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".pt"])
def test_broken_files_are_format_errors(
    content: bytes, suffix: str, golden_files: Golden, tmp_path: Path
) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=path.name) as caught:
        load_model(config=golden_files[0], weights=path)
    assert "\n" not in str(caught.value)


def test_a_truncated_checkpoint_is_a_format_error(golden_files: Golden) -> None:
    config, weights, _ = golden_files
    weights.write_bytes(weights.read_bytes()[:-2000])
    with pytest.raises(ModelFormatError):
        load_model(config=config, weights=weights)


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": 3}, {"a": "b"}, {1: torch.ones(1)}])
def test_a_checkpoint_without_a_state_dict_is_a_format_error(
    content: object, golden_files: Golden
) -> None:
    torch.save(content, golden_files[1])
    with pytest.raises(ModelFormatError, match=r"(holds no|not a) state dict"):
        load_model(config=golden_files[0], weights=golden_files[1])


def test_torchscript_with_the_fields_yaml_is_run_as_torchscript(golden_files: Golden) -> None:
    config, weights, _ = golden_files
    with zipfile.ZipFile(weights, "w") as archive:
        archive.writestr("model/constants.pkl", b"")
    with pytest.raises(ModelFormatError, match="not a TorchScript file"):
        load_model(config=config, weights=weights)


def change_missing(state: dict[str, Tensor]) -> None:
    del state["first_conv.weight"]


def change_unexpected(state: dict[str, Tensor]) -> None:
    for index in range(5):
        state[f"extra.{index}"] = torch.zeros(1)


def change_shape(state: dict[str, Tensor]) -> None:
    state["first_conv.weight"] = state["first_conv.weight"][:-1]


def change_dtype(state: dict[str, Tensor]) -> None:
    state["first_conv.weight"] = state["first_conv.weight"].to(torch.int32)


def change_finite(state: dict[str, Tensor]) -> None:
    state["first_conv.weight"][0] = float("nan")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_missing, r"missing first_conv\.weight;$"),
        (change_unexpected, r"unexpected extra\.0, extra\.1, extra\.2 and 2 more;$"),
        (change_shape, r"first_conv\.weight has shape \(7, 16, 1, 1\) instead of \(8, 16, 1, 1\)"),
        (change_dtype, r"first_conv\.weight is torch\.int32"),
        (change_finite, r"first_conv\.weight holds NaN or Inf"),
    ],
)
def test_weights_that_do_not_fit_are_told_apart(
    change: Callable[[dict[str, Tensor]], None], message: str, golden_files: Golden
) -> None:
    config, weights, _ = golden_files
    state = torch.load(weights, weights_only=True)
    change(state)
    torch.save(state, weights)
    with pytest.raises(ModelFormatError, match=message) as caught:
        load_model(config=config, weights=weights)
    assert "\n" not in str(caught.value)
    assert weights.name in str(caught.value)


def test_the_checksum_is_verified_before_the_file_is_parsed(
    configs: dict[str, ModelConfig], networks: dict[str, nn.Module], save_folder: Save
) -> None:
    folder = save_folder(configs["mdx23c"], networks["mdx23c"])
    path = folder / "weights.safetensors"
    good = WeightsFile(path.name, "safetensors", sha256_of(path), path.stat().st_size)
    sealed = dump_config(dataclasses.replace(configs["mdx23c"], weights=good))
    (folder / "config.yaml").write_text(sealed, encoding="utf-8")
    assert load_model(folder).config.weights == good
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # still a valid file of finite numbers
    path.write_bytes(content)
    with pytest.raises(ModelIntegrityError, match="SHA-256"):
        load_model(folder)
    path.write_bytes(b"not even safetensors".ljust(len(content)))
    with pytest.raises(ModelIntegrityError, match="SHA-256"):
        load_model(folder)
    path.write_bytes(content[:-1])
    with pytest.raises(ModelIntegrityError, match="bytes"):
        load_model(folder)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"n_fft": 256, "magic": 1}, "magic"),
        ({"n_fft": 256, "hop_length": 64, "dim_f": 100}, "divisible"),
        ({"hop_length": 0}, "hop_length"),
        ({"scale": 2}, "settings fail"),
    ],
)
def test_settings_that_make_no_network_are_format_errors(
    network: dict[str, object], message: str, configs: dict[str, ModelConfig]
) -> None:
    merged = {**configs["mdx23c"].network, **network}
    with pytest.raises(ModelFormatError, match=message):
        build_network(dataclasses.replace(configs["mdx23c"], network=merged))


def test_a_chunk_that_cannot_be_scaled_down_evenly_is_a_format_error(
    configs: dict[str, ModelConfig],
) -> None:
    config = dataclasses.replace(configs["mdx23c"], chunking=Chunking(1024))
    with pytest.raises(ModelFormatError, match="17 frames, which must be divisible by 4"):
        build_network(config)


@pytest.mark.parametrize(
    "network", [{"features": ()}, {"band_widths": (3,)}, {"head": -4}, {"n_fft": "big"}]
)
def test_settings_that_make_no_bandunet_are_format_errors(
    network: dict[str, object], configs: dict[str, ModelConfig]
) -> None:
    merged = {**configs["bandunet"].network, **network}
    with pytest.raises(ModelFormatError, match="model tiny-bandunet"):
        build_network(dataclasses.replace(configs["bandunet"], network=merged))


def test_an_unknown_architecture_is_named(configs: dict[str, ModelConfig]) -> None:
    with pytest.raises(ModelFormatError, match="unknown architecture 'wavenet'"):
        build_network(dataclasses.replace(configs["mdx23c"], architecture="wavenet"))


def test_arguments_that_do_not_go_together_are_explained(
    golden_files: Golden, tmp_path: Path
) -> None:
    config, weights, _ = golden_files
    with pytest.raises(InputError, match="name a model"):
        load_model()
    with pytest.raises(InputError, match="give its config"):
        load_model(weights)
    with pytest.raises(InputError, match="not all of them"):
        load_model("lars-mini", config=config, weights=weights)
    with pytest.raises(InputError, match="unknown precision"):
        load_model(config=config, weights=weights, precision="int4")
    with pytest.raises(InputError, match="unknown device"):
        load_model(config=config, weights=weights, device="abacus")
    with pytest.raises(ModelNotFoundError, match="no weights file"):
        load_model(config=config, weights=tmp_path / "none.ckpt")
    with pytest.raises(ModelNotFoundError, match="does not name a weights file"):
        load_model(config=config)
    with pytest.raises(ModelNotFoundError, match="no model folder"):
        load_model(tmp_path / "nothing" / "here")
    with pytest.raises(ModelNotFoundError, match="no model 'nothing'"):
        load_model("nothing")
    with pytest.raises(ModelFormatError, match="is a TorchScript file, but"):
        load_model("mdx23c-large", weights=weights)
    with pytest.raises(ModelError):
        load_model(tmp_path)


def test_a_full_size_checkpoint_fits_the_zoos_configuration(tmp_path: Path) -> None:
    network = build_network(get_config("mdx23c-small"))
    path = tmp_path / "full.safetensors"
    save_file({k: v.half() for k, v in network.state_dict().items()}, path)
    assert path.stat().st_size > 2 * 109_378_624
    model = load_model("mdx23c-small", weights=path, device="cpu")
    assert model.config.weights == WeightsFile("full.safetensors", "safetensors")
