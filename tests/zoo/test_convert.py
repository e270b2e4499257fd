# SPDX-License-Identifier: GPL-3.0-or-later
"""Model folders made from checkpoints and from trained networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lars_plugin.errors import InputError, ModelError, ModelFormatError, ModelIntegrityError
from lars_plugin.model import ModelConfig, WeightsFile
from lars_plugin.zoo import load_model
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.convert import convert, write_weights
from lars_plugin.zoo.integrity import weights_sha256 as sha256_of
from lars_plugin.zoo.registry import model_folders
from lars_plugin.zoo.yaml_configs import dump_config, read_config

Golden = tuple[Path, Path, dict[str, Tensor]]
Save = Callable[[ModelConfig, nn.Module], Path]


def test_a_converted_checkpoint_is_used_by_its_path_and_gives_the_golden_output(
    golden_files: Golden, tmp_path: Path
) -> None:
    config, weights, tensors = golden_files
    folder = convert(None, tmp_path / "new" / "My drums!", weights=weights, config=config)
    assert sorted(p.name for p in folder.iterdir()) == ["config.yaml", "weights.safetensors"]
    model = load_model(folder, device="cpu")
    result = model.backend(tensors["forward.input"].numpy())
    assert np.abs(result - tensors["forward.output"].numpy()).max() <= 1e-5
    assert model.config.name == "My-drums"
    assert model.config.stems == ("kick", "snare", "hihat")
    assert model.config.weights is not None
    assert model.config.weights.sha256 == sha256_of(folder / "weights.safetensors")


def test_float16_takes_half_the_room_and_stays_close(golden_files: Golden, tmp_path: Path) -> None:
    config, weights, tensors = golden_files
    sizes = {}
    for dtype in ("float32", "float16"):
        folder = convert(None, tmp_path / dtype, weights=weights, config=config, dtype=dtype)
        sizes[dtype] = (folder / "weights.safetensors").stat().st_size
    assert sizes["float16"] < 0.6 * sizes["float32"]
    result = load_model(tmp_path / "float16").backend(tensors["forward.input"].numpy())
    error = np.abs(result - tensors["forward.output"].numpy()).max()
    assert 1e-6 < error < 5e-3


def test_converting_again_gives_the_same_bytes(golden_files: Golden, tmp_path: Path) -> None:
    config, weights, _ = golden_files
    one = convert(None, tmp_path / "one", weights=weights, config=config, name="x")
    two = convert(None, tmp_path / "two", weights=weights, config=config, name="x")
    for file in ("config.yaml", "weights.safetensors"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


def test_torchscript_cannot_be_converted(
    golden_files: Golden, tmp_path: Path, configs: dict[str, ModelConfig]
) -> None:
    script = dataclasses.replace(
        configs["mdx23c"], architecture="torchscript", weights=WeightsFile("m.pt", "torchscript")
    )
    (tmp_path / "m.yaml").write_text(dump_config(script), encoding="utf-8")
    (tmp_path / "m.pt").write_bytes(b"")
    with pytest.raises(ModelFormatError, match="cannot be converted"):
        convert(tmp_path / "m.yaml", tmp_path / "new")
    with pytest.raises(InputError, match="unknown dtype"):
        convert(None, tmp_path / "new", weights=golden_files[1], config=golden_files[0], dtype="x")
    assert not (tmp_path / "new").exists()


def test_what_does_not_fit_is_refused_and_nothing_is_written(
    golden_files: Golden, tmp_path: Path
) -> None:
    config, weights, _ = golden_files
    state = torch.load(weights, weights_only=True)
    state["first_conv.weight"] = state["first_conv.weight"] * float("inf")
    torch.save(state, weights)
    with pytest.raises(ModelFormatError, match="NaN or Inf"):
        convert(None, tmp_path / "new", weights=weights, config=config)
    assert not (tmp_path / "new").exists()


CONFIG = """\
# A comment that stays.
name: {name}
architecture: bandunet
stems: [kick, snare, hihat]
chunking: {{chunk_size: 1000}}
network:
  n_fft: 256  # so does this
  hop_length: 64
  band_widths: {widths}
  features: [8, 12, 16]
  dilations: [1, 2]
  head: 8
weights:
  file: weights.safetensors
  format: safetensors
  sha256:
  size: 0
"""


@pytest.fixture
def own(tmp_path: Path, configs: dict[str, ModelConfig]) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    widths = list(configs["bandunet"].network["band_widths"])
    text = CONFIG.format(name="own", widths=widths)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder


def test_written_weights_are_sealed_in_the_configuration_whose_comments_stay(
    own: Path, networks: dict[str, nn.Module]
) -> None:
    before = (own / "config.yaml").read_text(encoding="utf-8").splitlines()
    sha256 = write_weights(networks["bandunet"], own)
    after = (own / "config.yaml").read_text(encoding="utf-8").splitlines()
    size = (own / "weights.safetensors").stat().st_size
    assert sha256 == sha256_of(own / "weights.safetensors")
    assert after == [*before[:-2], f"  sha256: {sha256}", f"  size: {size}"]
    assert {t.dtype for t in load_file(own / "weights.safetensors").values()} == {
        torch.float16,
        torch.int64,  # the batch norms' counters
    }
    wave = torch.randn(1, 2, 1000)
    with torch.inference_mode():
        expected = networks["bandunet"](wave).numpy()
    assert np.abs(load_model(own).backend(wave.numpy()) - expected).max() < 0.02
    assert write_weights(networks["bandunet"], own, dtype="float32") != sha256
    np.testing.assert_allclose(load_model(own).backend(wave.numpy()), expected, atol=1e-6)
    (own / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(ModelIntegrityError):
        load_model(own)


def test_the_embedded_models_configuration_takes_weights(tmp_path: Path) -> None:
    folder = tmp_path / "lars-mini"
    folder.mkdir()
    text = (model_folders()["lars-mini"] / "config.yaml").read_text(encoding="utf-8")
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    sha256 = write_weights(build_network(read_config(folder / "config.yaml")), folder)
    assert load_model(folder, device="cpu").config.weights == WeightsFile(
        "weights.safetensors",
        "safetensors",
        sha256,
        (folder / "weights.safetensors").stat().st_size,
    )


def test_a_checkpoint_of_our_own_training_is_put_into_its_folder_by_convert(
    own: Path, networks: dict[str, nn.Module], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    network = build_network(read_config(own / "config.yaml"))
    average = networks["bandunet"].state_dict()
    torch.save({"network": network.state_dict(), "ema": average, "step": 3}, checkpoint)
    assert convert(checkpoint, own, config=own / "config.yaml", dtype="float16") == own
    assert (own / "config.yaml").read_text(encoding="utf-8").startswith("# A comment")
    stored = load_file(own / "weights.safetensors")
    torch.testing.assert_close(stored["position"], average["position"].half())


def test_weights_that_cannot_be_stored_change_nothing(
    own: Path, networks: dict[str, nn.Module]
) -> None:
    write_weights(networks["bandunet"], own)
    before = {p.name: p.read_bytes() for p in own.iterdir()}
    position = networks["bandunet"].state_dict()["position"]
    position += 1e6  # finite, but not in float16
    with pytest.raises(ModelFormatError, match="too large for"):
        write_weights(networks["bandunet"], own)
    with pytest.raises(ModelFormatError, match="does not fit"):
        write_weights(networks["mdx23c"], own)
    with pytest.raises(InputError, match="unknown dtype"):
        write_weights(networks["bandunet"], own, dtype="int8")
    assert {p.name: p.read_bytes() for p in own.iterdir()} == before


def test_a_configuration_without_room_for_the_checksum_is_named(
    own: Path, networks: dict[str, nn.Module]
) -> None:
    path = own / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  sha256:\n", ""), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"no line for weights\.sha256"):
        write_weights(networks["bandunet"], own)
    assert not (own / "weights.safetensors").exists()


def test_a_folder_that_cannot_be_made_is_a_model_error(
    golden_files: Golden, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot write"):
        convert(None, tmp_path / "file", weights=golden_files[1], config=golden_files[0])
