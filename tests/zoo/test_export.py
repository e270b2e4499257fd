# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported files, loaded back, compute what their source does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from torch import Tensor, nn

from lars_plugin.backends.torch_backend import TorchBackend
from lars_plugin.errors import EngineError, InputError, ModelError
from lars_plugin.model import Chunking, Model, ModelConfig
from lars_plugin.zoo import load_model
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.export import export
from tests.field_files import golden_network
from tests.models import trained

KINDS = ("mdx23c", "bandunet")
Wave = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@pytest.fixture
def models(configs: dict[str, ModelConfig], networks: dict[str, nn.Module]) -> dict[str, Model]:
    return {
        kind: Model(configs[kind], TorchBackend(networks[kind], device="cpu")) for kind in KINDS
    }


def chunk(model: Model, batch: int = 1) -> Wave:
    shape = (batch, model.config.channels, model.config.chunking.chunk_size)
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_torchscript_loads_back_and_agrees_with_its_source(
    kind: str, models: dict[str, Model], tmp_path: Path
) -> None:
    model = models[kind]
    assert export(model, tmp_path / "out" / "m.pt", "torchscript") <= 1e-5
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["m.pt", "m.yaml"]
    loaded = load_model(tmp_path / "out" / "m.yaml", device="cpu")
    assert loaded.config.architecture == "torchscript"
    assert loaded.config.stems == model.config.stems
    assert loaded.config.chunking == model.config.chunking
    assert loaded.config.presets == model.config.presets
    waves = chunk(model, batch=2)
    np.testing.assert_allclose(loaded.backend(waves), model.backend(waves), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_loads_back_and_agrees_with_its_source(
    kind: str, models: dict[str, Model], tmp_path: Path
) -> None:
    model, path = models[kind], tmp_path / "m.onnx"
    assert export(model, path, "onnx") <= 1e-4
    assert list(tmp_path.glob("*.yaml")) == []
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wave = chunk(model)
    result = session.run(["stems"], {"wave": wave})[0]
    np.testing.assert_allclose(result, model.backend(wave), atol=1e-4)
    notes = session.get_modelmeta().custom_metadata_map
    assert notes["stems"] == ",".join(model.config.stems)
    assert notes["sample_rate"] == "44100"
    assert notes["license"] == model.config.license
    operators = {node.op_type for node in onnx.load(str(path)).graph.node}
    assert operators.isdisjoint({"STFT", "DFT", "Loop", "If"})


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_exporting_leaves_the_model_as_it_was(
    kind: str, models: dict[str, Model], tmp_path: Path
) -> None:
    model = models["bandunet"]
    wave = chunk(model)
    before = model.backend(wave)
    export(model, tmp_path / "m", kind)
    np.testing.assert_array_equal(model.backend(wave), before)


@pytest.mark.parametrize("options", ["stereo", "linear_mono"])
@pytest.mark.parametrize("kind", ["bsroformer", "melroformer"])
def test_golden_roformers_as_onnx_give_the_golden_output(
    kind: str, options: str, tmp_path: Path
) -> None:
    network, tensors = golden_network(f"{kind}_{options}")
    waves, wanted = (tensors[f"forward.{key}"].numpy() for key in ("input", "output"))
    described = ModelConfig(
        "golden",
        ("drums", "bass", "vocals")[: wanted.shape[1]],
        Chunking(waves.shape[-1]),
        channels=waves.shape[1],
    )
    model = Model(described, TorchBackend(network, device="cpu"))
    path = tmp_path / "m.onnx"
    assert export(model, path, "onnx") <= 1e-4
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for wave, stems in zip(waves, wanted, strict=True):
        found = session.run(["stems"], {"wave": wave[None]})[0]
        np.testing.assert_allclose(found[0], stems, atol=1e-5)


@pytest.mark.parametrize("architecture", ["htdemucs", "hdemucs"])
def test_demucs_as_onnx_ends_in_one_line_and_as_torchscript_loads_back(
    architecture: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sizes = {
        "htdemucs": {"nfft": 256, "depth": 2, "t_layers": 1, "t_heads": 1},
        "hdemucs": {"nfft": 64, "depth": 3},
    }
    small = ModelConfig(
        "small",
        ("drums", "bass"),
        Chunking(600, 4 / 3, "demucs"),
        architecture=architecture,
        network={"channels": 8, "dconv_depth": 1, **sizes[architecture]},
    )
    model = Model(small, TorchBackend(trained(build_network(small)), device="cpu"))
    with pytest.raises(EngineError, match=r"^ONNX lacks .*\(.+\): export torchscript$") as caught:
        export(model, tmp_path / "m.onnx", "onnx")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert export(model, tmp_path / "m.pt", "torchscript") <= 1e-5
    wave = chunk(model)
    loaded = load_model(tmp_path / "m.yaml", device="cpu")
    np.testing.assert_allclose(loaded.backend(wave), model.backend(wave), atol=1e-5)


class _Fickle(nn.Module):
    """Its graph doubles, the module itself does not: what a wrong export looks like."""

    def forward(self, wave: Tensor) -> Tensor:
        traced = not isinstance(wave.shape[0], int)
        return wave[:, None].expand(-1, 2, -1, -1) * (2.0 if traced else 1.0)


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_a_file_that_does_not_compute_the_same_is_not_written(
    kind: str, configs: dict[str, ModelConfig], tmp_path: Path
) -> None:
    model = Model(configs["mdx23c"], TorchBackend(_Fickle(), device="cpu"))
    with pytest.raises(EngineError, match="differs from its network"):
        export(model, tmp_path / "m", kind)
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_one_line_says_what_to_install(
    models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxruntime"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)  # what Python does for a missing package
            with pytest.raises(InputError, match=r"pip install lars-plugin\[onnx\]"):
                export(models["mdx23c"], tmp_path / "m.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_named(models: dict[str, Model], tmp_path: Path) -> None:
    model = models["mdx23c"]
    with pytest.raises(InputError, match="unknown format 'coreml'"):
        export(model, tmp_path / "m", "coreml")
    export(model, tmp_path / "m.pt", "torchscript")
    script = load_model(tmp_path / "m.yaml", device="cpu")
    with pytest.raises(InputError, match="does not hold a PyTorch network"):
        export(script, tmp_path / "again.pt", "torchscript")


def test_a_place_that_cannot_be_written_is_a_model_error(
    models: dict[str, Model], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot write"):
        export(models["mdx23c"], tmp_path / "file" / "m.pt", "torchscript")
