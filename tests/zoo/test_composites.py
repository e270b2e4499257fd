# SPDX-License-Identifier: GPL-3.0-or-later
"""Composites by name, by file and as entries of the zoo; LarsNet's folder of checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lars_plugin.composites.composite import Cascade, Ensemble
from lars_plugin.errors import InputError, ModelFormatError, ModelNotFoundError
from lars_plugin.model import Chunking, Model, ModelConfig, WeightsFile
from lars_plugin.separation.separator import Separator
from lars_plugin.zoo import composite_specs, get_config, load_model
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.composite_specs import (
    CascadeSpec,
    EnsembleSpec,
    load_composite,
    parse_name,
    part_names,
    spec_of,
)
from lars_plugin.zoo.convert import convert
from lars_plugin.zoo.registry import model_folders
from lars_plugin.zoo.yaml_configs import dump_config


@pytest.fixture
def models(
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Callable[[ModelConfig, nn.Module], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder of models of the zoo: two drum models and a music model."""
    save_folder(configs["mdx23c"], networks["mdx23c"])
    folder = save_folder(configs["bandunet"], networks["bandunet"])
    music = dataclasses.replace(
        configs["bandunet"], name="tiny-music", stems=("vocals", "drums", "other")
    )
    save_folder(music, networks["bandunet"])
    monkeypatch.setenv("LARS_MODELS_PATH", str(folder.parent))
    return folder.parent


def audio(samples: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(4)
    return rng.uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("lars-mini", None),
        ("cascade", None),
        ("cascade:a,b", CascadeSpec("a", "b")),
        ("cascade:a, b+c", CascadeSpec("a", "b+c")),
        ("a+b", EnsembleSpec(("a", "b"))),
        ("a + folder/b+c", EnsembleSpec(("a", "folder/b", "c"))),
    ],
)
def test_names_spell_composites(text: str, spec: object) -> None:
    assert parse_name(text) == spec


@pytest.mark.parametrize(
    "text", ["cascade:", "cascade:a", "cascade:a,", "cascade:a,b,c", "a+", "+"]
)
def test_names_that_spell_nothing_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"write (cascade:MUSIC,DRUMS|A\+B)"):
        parse_name(text)


def test_a_cascade_by_name_is_the_two_models_one_after_the_other(models: Path) -> None:
    cascade = load_model("cascade:tiny-music,tiny-mdx23c", device="cpu")
    assert isinstance(cascade, Cascade)
    assert cascade.config.stems == ("vocals", "other", "kick", "snare")
    assert not cascade.fused
    result = Separator(cascade).separate(audio(), 44100)
    above = Separator("tiny-music", device="cpu").separate(audio(), 44100)
    below = Separator("tiny-mdx23c", device="cpu").separate(above["drums"], 44100)
    for name, wave in {"vocals": above["vocals"], **below}.items():
        np.testing.assert_allclose(result[name], wave, atol=1e-5)


def test_an_ensemble_by_name_takes_presets_part_by_part(models: Path) -> None:
    ensemble = load_model("tiny-mdx23c+tiny-bandunet", device="cpu")
    assert isinstance(ensemble, Ensemble)
    assert ensemble.config.stems == ("kick", "snare", "hihat")
    result = Separator(ensemble, preset="fast").separate(audio(), 44100)
    alone = [
        Separator(name, preset="fast", device="cpu").separate(audio(), 44100)
        for name in ("tiny-mdx23c", "tiny-bandunet")
    ]
    kick = (alone[0]["kick"] + alone[1]["kick"]) / 2
    np.testing.assert_allclose(result["kick"], kick, atol=1e-5)
    np.testing.assert_allclose(result["hihat"], alone[1]["hihat"], atol=1e-5)


YAML = """\
stems:
  kick: {tiny-mdx23c: 1, tiny-bandunet: 3}
  hh: tiny-bandunet
"""
TOML = """\
name = "mine"
[stems]
hh = "tiny-bandunet"
kick = {tiny-mdx23c = 1, tiny-bandunet = 3}
"""


@pytest.mark.parametrize(("file", "text"), [("mine.yaml", YAML), ("other.toml", TOML)])
def test_a_file_weighs_models_by_stem(models: Path, tmp_path: Path, file: str, text: str) -> None:
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    result = Separator(str(path), device="cpu", stems=["kick", "hihat"])
    assert result.model.config.name == "mine"
    assert part_names(path) in (
        ("tiny-mdx23c", "tiny-bandunet"),
        ("tiny-bandunet", "tiny-mdx23c"),
    )
    stems = result.separate(audio(), 44100)
    one, two = (
        Separator(name, device="cpu").separate(audio(), 44100)["kick"]
        for name in ("tiny-mdx23c", "tiny-bandunet")
    )
    np.testing.assert_allclose(stems["kick"], 0.25 * one + 0.75 * two, atol=1e-5)


def test_entries_of_the_zoo_can_be_composites_of_folders_and_of_each_other(models: Path) -> None:
    (models / "pair").mkdir()
    config = ModelConfig(
        name="pair",
        stems=("kick", "snare"),
        chunking=Chunking(1000, 2),
        architecture="ensemble",
        network={"models": ["tiny-bandunet", str(models / "tiny-mdx23c")]},
    )
    (models / "pair" / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    both = dataclasses.replace(
        config,
        name="both",
        architecture="cascade",
        network={"music": "tiny-music", "drums": "pair"},
    )
    (models / "both").mkdir()
    (models / "both" / "config.yaml").write_text(dump_config(both), encoding="utf-8")
    model = load_model("both", device="cpu")
    assert isinstance(model, Cascade)
    assert isinstance(model.drums, Ensemble)
    assert model.config.name == "both"
    assert model.config.stems == ("vocals", "other", "kick", "snare", "hihat")
    assert part_names("both") == ("tiny-music", "tiny-bandunet", str(models / "tiny-mdx23c"))
    assert load_model(models / "pair", device="cpu").config.name == "pair"


def test_the_cascade_of_the_paper_is_in_the_zoo() -> None:
    config = get_config("cascade")
    assert spec_of("cascade") == CascadeSpec("mdx23c-music", "mdx23c-small", "cascade")
    above, below = get_config("mdx23c-music"), get_config("mdx23c-small")
    loaded = Cascade(*(Model(c, lambda batch: batch) for c in (above, below)))  # type: ignore[arg-type]
    assert config.stems == loaded.config.stems
    assert config.chunking == loaded.config.chunking
    assert (config.sample_rate, config.channels) == (above.sample_rate, above.channels)
    card = (model_folders()["cascade"] / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# cascade\n")
    assert ", ".join(config.stems) in card
    with pytest.raises(ModelNotFoundError, match="lars models download mdx23c-music"):
        load_model("cascade", device="cpu")


def test_the_best_first_stage_that_is_here_is_taken_and_named(
    models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stages = ("bs-roformer-music", "absent", "tiny-music", "tiny-mdx23c")
    monkeypatch.setattr(composite_specs, "_first_stages", lambda: stages)
    cascade = load_model("cascade:best,tiny-mdx23c", device="cpu")
    assert isinstance(cascade, Cascade)
    assert cascade.music.config.name == "tiny-music"
    assert "the first stage of the cascade is tiny-music" in caplog.text
    assert part_names("cascade:best,tiny-mdx23c") == ("tiny-music", "tiny-mdx23c")


def test_without_a_first_stage_the_download_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LARS_CACHE", str(tmp_path))
    stages = tuple(get_config("cascade-best").network["music"])
    assert spec_of("cascade-best") == CascadeSpec(stages, "lars-mini", "cascade-best")
    assert parse_name("cascade:best,lars-live") == CascadeSpec(stages, "lars-live")
    with pytest.raises(ModelNotFoundError, match="lars models download bs-roformer-music") as told:
        load_model("cascade-best", device="cpu")
    assert "\n" not in str(told.value)
    # That is what a download of the cascade gets: the best cannot be downloaded.
    assert stages[0] == "bs-roformer-sw"
    assert part_names("cascade-best") == ("bs-roformer-music", "lars-mini")


def test_all_first_stages_are_models_of_the_zoo_with_drums_best_first() -> None:
    stages = get_config("cascade-best").network["music"]
    decibels = list(stages.values())
    assert decibels == sorted(decibels, reverse=True)
    card = (model_folders()["cascade-best"] / "README.md").read_text(encoding="utf-8")
    for name, value in stages.items():
        assert "drums" in get_config(name).stems
        assert f"`{name}`" in card
        assert f"| {value:.2f} |" in card


def test_a_model_named_twice_is_loaded_once() -> None:
    loaded: list[str] = []

    def load(name: str) -> Model:
        loaded.append(name)
        raise ModelNotFoundError(name)

    with pytest.raises(ModelNotFoundError):
        load_composite("cascade:a,b", load)
    assert loaded == ["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stems: {kick: 3}", "kick must be a model's name, or weights by name, got 3"),
        ("stems: {kick: {a: yes}}", "kick must be a model's name"),
        ("stems: {trumpet: a}", "unknown stem 'trumpet'"),
        ("stems: {}", "stems must be a mapping of stems to weights"),
        ("{stems: {kick: a}, tempo: 3}", "an ensemble has models"),
        ("{stems: {kick: a}, models: a}", "an ensemble has models"),
        ("{stems: {kick: a}, name: 3}", "name must be a text"),
    ],
)
def test_files_that_say_something_else_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelFormatError, match=message):
        spec_of(path)
    broken = tmp_path / "x.toml"
    broken.write_text("[stems", encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"x\.toml"):
        spec_of(broken)


def larsnet(folder: Path, config: ModelConfig) -> nn.Module:
    """Random weights as they are published: a training checkpoint per stem, in folders."""
    network = build_network(config)
    for stem in config.stems:
        path = folder / stem / f"pretrained_{stem}_unet.pth"
        path.parent.mkdir(parents=True)
        part = network.get_submodule(stem)
        state = {"model_state_dict": part.state_dict(), "epoch": 22, "optimizer_state_dict": {}}
        torch.save(state, path)
    return network


@pytest.fixture
def tiny() -> ModelConfig:
    """A LarsNet of the published names, but narrow."""
    return dataclasses.replace(
        get_config("larsnet"),
        name="tiny-larsnet",
        chunking=Chunking(63 * 64, 1.25),
        network={
            "n_fft": 256,
            "hop_length": 64,
            "bins": 128,
            "frames": 64,
            "features": (2, 3, 4, 5, 6, 7),
        },
        weights=WeightsFile("pretrained_larsnet_models", "checkpoints"),
    )


def test_a_folder_of_checkpoints_loads_runs_and_converts(tmp_path: Path, tiny: ModelConfig) -> None:
    folder = tmp_path / "tiny-larsnet"
    network = larsnet(folder / "pretrained_larsnet_models", tiny).eval()
    (folder / "config.yaml").write_text(dump_config(tiny), encoding="utf-8")
    model = load_model(folder, device="cpu")
    chunk = audio(tiny.chunking.chunk_size)[None]
    with torch.inference_mode():
        wanted = network(torch.from_numpy(chunk)).numpy()
    np.testing.assert_array_equal(model.backend(chunk), wanted)
    result = Separator(model).separate(audio(9000), 44100)
    assert list(result) == ["kick", "snare", "toms", "hihat", "cymbals"]
    single = load_model(convert(folder, tmp_path / "single"), device="cpu")
    np.testing.assert_array_equal(single.backend(chunk), wanted)
    elsewhere = load_model(folder, weights=folder / "pretrained_larsnet_models", device="cpu")
    np.testing.assert_array_equal(elsewhere.backend(chunk), wanted)


def test_a_folder_that_lacks_a_checkpoint_says_which(tmp_path: Path, tiny: ModelConfig) -> None:
    folder = tmp_path / "tiny-larsnet"
    weights = folder / "pretrained_larsnet_models"
    larsnet(weights, tiny)
    (folder / "config.yaml").write_text(dump_config(tiny), encoding="utf-8")
    toms = weights / "toms" / "pretrained_toms_unet.pth"
    toms.with_name("toms-2.pth").write_bytes(toms.read_bytes())
    with pytest.raises(ModelFormatError, match=r"toms in its name, but there is pretrained_toms"):
        load_model(folder, device="cpu")
    for path in weights.glob("toms/*"):
        path.unlink()
    with pytest.raises(ModelFormatError, match="toms in its name, but there is none"):
        load_model(folder, device="cpu")
    with pytest.raises(ModelNotFoundError, match="no weights file"):
        load_model("lars-mini", weights=weights, device="cpu")


def test_the_published_larsnet_loads_at_its_full_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match="put pretrained_larsnet_models into"):
        load_model("larsnet", device="cpu")
    network = larsnet(tmp_path / "larsnet" / "pretrained_larsnet_models", get_config("larsnet"))
    backend = load_model("larsnet", device="cpu").backend
    loaded = backend.module.state_dict()  # type: ignore[attr-defined]
    assert loaded.keys() == network.state_dict().keys()
    for key, tensor in network.state_dict().items():
        assert torch.equal(loaded[key], tensor)
