# SPDX-License-Identifier: GPL-3.0-or-later
"""The zoo's entries and their search paths."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from lars_plugin.errors import ModelError, ModelFormatError, ModelNotFoundError
from lars_plugin.model import ModelConfig
from lars_plugin.zoo import find_weights, get_config, list_models, registry
from lars_plugin.zoo.checkpoints import build_network
from lars_plugin.zoo.registry import cache_folder, model_folders
from lars_plugin.zoo.yaml_configs import read_config

DRUMS6 = ("kick", "snare", "toms", "hihat", "ride", "crash")
DRUMS5 = ("kick", "snare", "toms", "hihat", "cymbals")
MUSIC = ("vocals", "bass", "drums", "other")
SONG = ("drums", "bass", "other", "vocals")

SIX = ("bass", "drums", "other", "vocals", "guitar", "piano")

# name: stems, chunk, convention, format, beginning of the SHA-256, size
PUBLISHED = {
    "bs-roformer-music": (SONG, 485100, "msst", "checkpoint", "3e9daecd", 527_385_512),
    "bs-roformer-sw": (SIX, 588800, "msst", "checkpoint", "24e7d35e", 699_412_152),
    "mdx23c-small": (DRUMS6, 130560, "msst", "checkpoint", "d2a4aa53", 437_652_699),
    "mdx23c-5stem": (DRUMS5, 523776, "msst", "checkpoint", "1f8e636f", 0),
    "mdx23c-music": (MUSIC, 261120, "msst", "checkpoint", "c1d31e3c", 0),
    "mdx23c-small-lars": (DRUMS6, 130560, "lars", "torchscript", "2cafb048", 437_826_928),
    "mdx23c-large": (DRUMS5, 130560, "lars", "torchscript", "0c6b57b6", 439_938_047),
    "mdx23c-music-lars": (MUSIC, 261120, "lars", "torchscript", "48924adf", 448_329_791),
}


def test_the_zoo_holds_the_embedded_and_the_published_models() -> None:
    assert {"lars-mini", "larsnet", "cascade", *PUBLISHED} <= {c.name for c in list_models()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_entries_say_what_was_published(name: str) -> None:
    stems, chunk, convention, kind, sha256, size = PUBLISHED[name]
    config = get_config(name)
    assert config.stems == stems
    assert (config.sample_rate, config.channels) == (44100, 2)
    assert config.chunking.chunk_size == chunk
    overlap = 2 if name.startswith("bs-roformer") else 4
    assert (config.chunking.convention, config.chunking.overlap) == (convention, overlap)
    assert config.presets == {"fast": 1.1, "balanced": 2, "best": 4}
    assert config.weights is not None
    assert config.weights.format == kind
    assert config.weights.sha256.startswith(sha256)
    assert config.weights.size == size
    # Nobody who may publish these weights has: they are not downloaded, but checked.
    assert bool(config.weights.urls) == (name != "bs-roformer-sw")
    assert len(config.weights.sha256) == 64
    assert all(url.startswith("https://") for url in config.weights.urls)


@pytest.mark.parametrize("name", ["lars-mini", "larsnet", *PUBLISHED])
def test_every_model_has_a_card(name: str) -> None:
    card = (model_folders()[name] / "README.md").read_text(encoding="utf-8")
    config = get_config(name)
    assert card.startswith(f"# {name}\n")
    assert ", ".join(config.stems) in card
    assert config.weights is not None
    assert config.weights.file in card
    assert config.weights.sha256 in card or name == "lars-mini"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mdx23c-small", 109_378_624),
        ("mdx23c-music", 111_994_368),
        ("lars-mini", 4_508_224),
        ("bs-roformer-music", 131_704_100),
        ("bs-roformer-sw", 174_656_500),
    ],
)
def test_entries_describe_networks_of_the_known_size(name: str, parameters: int) -> None:
    with torch.device("meta"):
        network = build_network(get_config(name))
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model 'lars-maxi'.*lars-mini.*mdx23c-5stem"):
        get_config("lars-maxi")


def test_weights_that_are_missing_are_named_with_their_addresses_and_their_place(
    cache: Path,
) -> None:
    config = get_config("mdx23c-small")
    assert config.weights is not None
    with pytest.raises(ModelNotFoundError) as caught:
        find_weights(config)
    message = str(caught.value)
    assert "\n" not in message
    for part in (config.weights.file, *config.weights.urls, str(cache / "mdx23c-small")):
        assert part in message


def test_a_model_may_use_the_weights_of_another_wherever_those_are(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_weights(get_config("lars-live-low")) == find_weights(get_config("lars-live"))
    folder = tmp_path / "models" / "shorter"
    folder.mkdir(parents=True)
    text = (model_folders()["lars-live-low"] / "config.yaml").read_text("utf-8")
    text = text.replace("name: lars-live-low", "name: shorter")
    text = text.replace("of: lars-live ", "of: somewhere ")
    (folder / "config.yaml").write_text(text)
    monkeypatch.setenv("LARS_MODELS_PATH", str(tmp_path / "models"))
    shorter = get_config("shorter")
    with pytest.raises(ModelNotFoundError, match=r"put weights\.safetensors into .*somewhere$"):
        find_weights(shorter)
    place = cache / "somewhere" / "weights.safetensors"
    place.parent.mkdir(parents=True)
    shutil.copy(find_weights(get_config("lars-live")), place)
    assert find_weights(shorter) == place
    # What is no name reaches out of the folders for models.
    (folder / "config.yaml").write_text(text.replace("of: somewhere", "of: ../somewhere"))
    with pytest.raises(ModelFormatError, match=r"weights\.of must be a plain name"):
        read_config(folder / "config.yaml")


def test_weights_are_found_in_the_cache_and_before_it_in_the_models_folder(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Callable[[ModelConfig, nn.Module], Path],
) -> None:
    config = configs["mdx23c"]
    folder = save_folder(config, networks["mdx23c"])
    cached = cache / config.name / "weights.safetensors"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"")
    assert find_weights(config) == cached
    monkeypatch.setenv("LARS_MODELS_PATH", str(folder.parent))
    assert find_weights(config) == folder / "weights.safetensors"


def test_users_folders_add_models_and_go_before_the_packages_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Callable[[ModelConfig, nn.Module], Path],
) -> None:
    mine = save_folder(configs["mdx23c"], networks["mdx23c"])
    own = save_folder(
        dataclasses.replace(configs["bandunet"], name="lars-mini"), networks["bandunet"]
    )
    (tmp_path / "empty").mkdir()
    paths = os.pathsep.join([str(tmp_path / "empty"), "", str(mine.parent)])
    monkeypatch.setenv("LARS_MODELS_PATH", paths)
    assert model_folders()["tiny-mdx23c"] == mine
    assert model_folders()["lars-mini"] == own
    assert get_config("tiny-mdx23c") == configs["mdx23c"]
    assert get_config("lars-mini").stems == ("kick", "snare", "hihat")


def test_broken_and_missing_folders_are_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.yaml").write_text("name: [", encoding="utf-8")
    paths = os.pathsep.join([str(broken.parent), str(tmp_path / "nowhere")])
    monkeypatch.setenv("LARS_MODELS_PATH", paths)
    with caplog.at_level(logging.WARNING):
        names = {config.name for config in list_models()}
    assert "broken" not in names
    assert "lars-mini" in names
    assert "nowhere" in caplog.text
    assert str(broken / "config.yaml") in caplog.text


def test_a_folder_and_its_model_must_have_one_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configs: dict[str, ModelConfig],
    networks: dict[str, nn.Module],
    save_folder: Callable[[ModelConfig, nn.Module], Path],
) -> None:
    folder = save_folder(configs["mdx23c"], networks["mdx23c"])
    folder.rename(folder.with_name("renamed"))
    monkeypatch.setenv("LARS_MODELS_PATH", str(folder.parent))
    with pytest.raises(ModelError, match="rename one"):
        get_config("renamed")


def test_the_cache_is_the_platforms_unless_it_is_chosen(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("LARS_CACHE")
    assert "lars-plugin" in cache_folder().parts


@pytest.mark.parametrize("place", ["lars_plugin/_models", "models"])
def test_the_packages_models_are_found_in_a_wheel_and_in_a_checkout(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = model_folders()["lars-mini"]
    module = tmp_path / "lars_plugin" / "zoo" / "registry.py"
    module.parent.mkdir(parents=True)
    monkeypatch.setattr(registry, "__file__", str(module))
    with pytest.raises(ModelError, match="this installation has no models"):
        list_models()
    shutil.copytree(source, tmp_path / place / "lars-mini")
    assert model_folders() == {"lars-mini": tmp_path / place / "lars-mini"}


def test_listing_models_does_not_wait_for_torch() -> None:
    code = (
        "import sys, lars_plugin.zoo.command as c\n"
        "assert c.overview(c.list_models())\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
