# SPDX-License-Identifier: GPL-3.0-or-later
"""A row is all that an architecture needs: a toy gets one, and the whole package runs it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

import lars_plugin
from lars_plugin.backends.openvino.runtime import has_openvino
from lars_plugin.bench import cases
from lars_plugin.bench.price import price_of_precision
from lars_plugin.bench.worker import measure
from lars_plugin.cli import main
from lars_plugin.errors import InputError, ModelFormatError
from lars_plugin.evaluation.datasets import find_clips
from lars_plugin.model import AnyModel, Chunking, ModelConfig, Wave, WeightsFile
from lars_plugin.networks import registry
from lars_plugin.networks.mdx23c.config import MDX23CConfig
from lars_plugin.networks.registry import ARCHITECTURES, Architecture, Training
from lars_plugin.networks.shared.prepost import Core, Shapes
from lars_plugin.networks.shared.shape import Shape
from lars_plugin.separation.separator import Separator
from lars_plugin.training.networks.publish import publish
from lars_plugin.training.networks.start import build
from lars_plugin.training.networks.trainer import FitConfig, Trainer
from lars_plugin.zoo import load_model
from lars_plugin.zoo.yaml_configs import dump_config

PACKAGE = Path(lars_plugin.__file__).parent
STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")
RATE = 44100


# The one file of a new architecture: its configuration, its network, its pre- and postprocessing.


@dataclass(frozen=True)
class ToyConfig(Shape):
    stems: int = 6
    audio_channels: int = 2
    hop_length: int = 64

    def check_chunking(self, chunking: Chunking) -> None:
        if chunking.chunk_size % 2:
            raise InputError("a toy takes an even number of samples")


class Toy(nn.Module):
    """One convolution, ``(B, C, L)`` to ``(B, S, C, L)``."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        outputs = config.stems * config.audio_channels
        self.convolution = nn.Conv1d(config.audio_channels, outputs, 3, padding=1, bias=False)

    def forward(self, wave: Tensor) -> Tensor:
        made: Tensor = self.convolution(wave)
        batch, _, length = made.shape
        return made.reshape(batch, self.config.stems, self.config.audio_channels, length)


class ToyPrePost:
    def __init__(self, config: ToyConfig, load: Callable[[], Toy]) -> None:
        self._config, self._load = config, load

    def core(self) -> nn.Module:
        return self._load()

    def core_shapes(self, channels: int, samples: int) -> Shapes:
        return ((1, channels, samples),)

    def __call__(self, wave: Wave, core: Core, threads: int = 1) -> Wave:
        (made,) = core([wave[None]])
        return np.array(made[0])


# And its row.
TOY = Architecture(
    "toy",
    config=f"{__name__}:ToyConfig",
    network=f"{__name__}:Toy",
    prepost=f"{__name__}:ToyPrePost",
    precisions={"float32": 0.0},
    training=Training("for tests"),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LARS_MODELS_PATH", str(tmp_path / "models"))
    monkeypatch.delenv("LARS_BACKEND", raising=False)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "toy", TOY)


@pytest.fixture
def folder(toy: None, tmp_path: Path) -> Path:
    """A model folder of a toy, where the zoo finds it."""
    torch.manual_seed(0)
    place = tmp_path / "models" / "little-toy"
    place.mkdir(parents=True)
    config = ModelConfig(
        name="little-toy",
        stems=STEMS,
        chunking=Chunking(4096, 2),
        architecture="toy",
        network={"hop_length": 64},
        presets={"fast": 1.1, "balanced": 2.0, "best": 4.0},
        weights=WeightsFile("weights.safetensors", "safetensors"),
    )
    (place / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    save_file(Toy(ToyConfig()).state_dict(), place / "weights.safetensors")
    return place


def noise(samples: int = 10000) -> Wave:
    return (0.1 * np.random.default_rng(0).standard_normal((2, samples))).astype(np.float32)


def expected(model: AnyModel, wave: Wave) -> Wave:
    with torch.inference_mode():
        made: Wave = model.backend.module(torch.from_numpy(wave)[None])[0].numpy()  # type: ignore[attr-defined]
    return made


def test_a_toy_loads_and_separates_on_every_backend(folder: Path) -> None:
    wave = noise()
    plain = load_model(folder, device="cpu", backend="torch")
    stems = Separator(plain).separate(wave, RATE)
    assert list(stems) == list(STEMS)
    # All but the edges, where the network alone sees nothing and the stream reflects.
    inner = expected(plain, wave)[0, :, 1:-1]
    np.testing.assert_allclose(stems["kick"][:, 1:-1], inner, atol=1e-5)
    if not has_openvino():
        pytest.skip("OpenVINO is not installed")
    for backend in ("openvino", "auto"):
        compiled = load_model(folder, device="cpu", backend=backend)
        assert compiled.backend.name == "openvino cpu float32"
        for name, stem in Separator(compiled).separate(wave, RATE).items():
            np.testing.assert_allclose(stem, stems[name], atol=1e-5)


def test_a_toy_without_prepost_runs_in_pytorch_and_is_refused_by_openvino(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Architecture("toy", TOY.config, TOY.network)
    monkeypatch.setitem(ARCHITECTURES, "toy", bare)
    assert load_model(folder, device="cpu", backend="auto").backend.name == "torch cpu float32"
    with pytest.raises(InputError, match=r"openvino runs .*not toy on cpu: use --backend torch"):
        load_model(folder, device="cpu", backend="openvino")
    with pytest.raises(InputError, match="unknown architecture 'toy'; use bandunet"):
        build("toy", {})


def test_a_toy_is_refused_chunks_and_settings_that_its_configuration_refuses(
    folder: Path,
) -> None:
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    for old, new, message in (
        ("chunk_size: 4096", "chunk_size: 4097", "even number"),
        ("hop_length", "hops", r"unsupported option network\.hops; supported: "),
        ("architecture: toy", "architecture: doll", r"unknown architecture 'doll'; known: .*toy"),
    ):
        (folder / "config.yaml").write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ModelFormatError, match=message):
            load_model(folder, device="cpu", backend="torch")


class _OneBatch:
    """As a pool of renderers, without waiting for them."""

    rendered = 2

    def draw(self) -> Wave:
        generator = np.random.default_rng(0)
        return (0.1 * generator.standard_normal((2, 6, 2, 8192))).astype(np.float32)


def test_a_toy_trains_a_step_and_is_published(toy: None, tmp_path: Path) -> None:
    clip = tmp_path / "clips" / "one"
    clip.mkdir(parents=True)
    for stem in STEMS:
        soundfile.write(clip / f"{stem}.flac", noise().T, RATE)
    network = build("toy", {"stems": 6})
    assert isinstance(network, Toy)
    before = network.convolution.weight.detach().clone()
    config = FitConfig(kits="", grooves="", clips=str(tmp_path / "clips"))
    trainer = Trainer(network, config, tmp_path / "run")
    trainer._train_step(_OneBatch())  # type: ignore[arg-type]
    assert trainer.step == 1
    assert not torch.equal(network.convolution.weight, before)
    trainer._validate()
    assert (tmp_path / "run" / "scores.csv").read_text().startswith("1,")

    made = publish(trainer.ema, tmp_path / "run" / "model", {"steps": 1})
    model = load_model(made, device="cpu", backend="torch")
    assert (model.config.architecture, model.config.stems) == ("toy", STEMS)
    assert model.config.chunking == ToyConfig().default_chunking()
    stored = Separator(model).separate(noise(), RATE)
    with torch.inference_mode():
        wanted = trainer.ema(torch.from_numpy(noise())[None])[0, 0].numpy()
    np.testing.assert_allclose(stored["kick"], wanted, atol=1e-3)  # stored in float16


def test_a_network_without_a_row_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no architecture Toy"):
        publish(Toy(ToyConfig()), tmp_path / "model", {})


def test_a_toy_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert "little-toy" in capsys.readouterr().out
    assert main(["models", "info", "little-toy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["architecture"] == "toy"


def test_a_toy_is_benchmarked(folder: Path, tmp_path: Path) -> None:
    case = cases.Case("little-toy", "torch", "float32", "balanced")
    found = measure(case, lengths=[1.0], seconds=0.0, threads=1, quick=True)
    assert found["backend"] == "torch cpu float32"
    assert found["rows"][0]["rtr"] > 0
    clip = tmp_path / "clips" / "one"
    clip.mkdir(parents=True)
    for stem in STEMS:
        soundfile.write(clip / f"{stem}.wav", noise(RATE).T, RATE, subtype="FLOAT")
    price = price_of_precision("little-toy", find_clips(tmp_path / "clips")[1])
    ways = [(row["backend"], row["precision"]) for row in price["rows"]]
    # All that PyTorch has, and of OpenVINO what the row says.
    compiled = [("openvino", "float32")] if has_openvino() else []
    torch_ways = [("torch", name) for name in ("float32", "bfloat16", "float16")]
    assert ways == torch_ways + compiled


@given(st.integers(1, 200_000), st.integers(0, 6), st.sampled_from([64, 441, 512]))
def test_a_clip_of_any_length_is_filled_up_to_frames_that_an_mdx23c_takes(
    samples: int, scales: int, hop: int
) -> None:
    shape = MDX23CConfig(hop_length=hop, dim_f=1024, num_scales=scales)
    whole = shape.whole_length(samples)
    assert whole >= samples
    assert (1 + whole // hop) % shape.frame_multiple == 0
    assert whole - samples < hop * (shape.frame_multiple + 1)


def test_each_row_names_parts_that_are_there_and_its_network_leads_back_to_it() -> None:
    for name, row in ARCHITECTURES.items():
        assert row.name == name
        assert issubclass(row.shape_class(), Shape)
        for part in filter(None, (row.network, row.prepost, row.on_device, row.stepper)):
            assert callable(registry._part(part))
        assert registry.of_network(registry._part(row.network).__new__(registry._part(row.network)))
        assert bool(row.prepost) == ("float32" in row.precisions)
        # What is chosen without being asked for costs next to nothing.
        price = row.precisions.get(row.automatic, 0.0)
        assert price is not None
        assert price < 0.1
    assert registry.find("torchscript") is None


def _words(path: Path) -> set[str]:
    """Strings in a file's code, its docstrings left out, and the modules that it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found: set[Any] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            found.add(node.value)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_nothing_outside_of_networks_names_an_architecture_or_imports_one() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE)
        if file.parts[0] == "networks":
            continue
        for word in _words(path):
            inside = word.startswith("lars_plugin.networks.") and word.split(".")[2]
            if word in ARCHITECTURES or inside in ARCHITECTURES:
                wrong.append(f"{file}: {word}")
    # Models of the zoo that are called as their architecture is.
    assert sorted(wrong) == ["bench/cases.py: htdemucs", "bench/cases.py: larsnet"]


def test_nothing_outside_of_networks_asks_a_network_for_its_class() -> None:
    # A network's configuration and its spectra are no networks.
    parts = {f"lars_plugin.networks.shared.{name}" for name in ("shape", "stft")}
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE)
        if file.parts[0] == "networks":
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        classes = {
            alias.asname or alias.name
            for node in nodes
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("lars_plugin.networks.")
            and node.module not in parts
            for alias in node.names
        }
        wrong += [
            f"{file}:{node.lineno}"
            for node in nodes
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
            and classes & {one.id for one in ast.walk(node.args[1]) if isinstance(one, ast.Name)}
        ]
    assert wrong == []
