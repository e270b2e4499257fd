# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations: the field's, ours, and invalid ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin.errors import InputError, ModelFormatError, ModelNotFoundError
from lars_plugin.model import STEM_NAMES, ModelConfig, canonical_stem
from lars_plugin.zoo.yaml_configs import (
    config_from_dict,
    config_from_field,
    dump_config,
    parse_yaml,
    read_config,
)

GOLDEN = Path(__file__).parents[1] / "golden"


def ours() -> dict[str, Any]:
    return {
        "name": "mine",
        "architecture": "mdx23c",
        "stems": ["kick", "hh"],
        "chunking": {"chunk_size": 960, "overlap": 2, "convention": "lars"},
        "weights": {"file": "w.safetensors", "format": "safetensors"},
    }


def test_python_tuples_of_the_field_become_tuples() -> None:
    data = parse_yaml("model:\n  scale: !!python/tuple\n  - 2\n  - [3, 4]\n")
    assert data == {"model": {"scale": (2, [3, 4])}}


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['touch canary']",
        "a: !!python/object/new:subprocess.Popen [['touch', 'canary']]",
        "a: !!python/name:os.system ''",
        "a: !!python/module:os ''",
        "a: !!python/object:builtins.object {}",
        "a: !!python/list [1]",
        "a: !!python/tuple 1",
        "a: !custom 1",
        "a: [1",
        "- a\n- b",
        "",
        "1: 2",
        "a: " + "[" * 1500,
        "a: 2001-99-99",
    ],
)
def test_any_other_tag_and_any_broken_yaml_is_a_format_error_and_runs_nothing(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFormatError) as caught:
        parse_yaml(text, "x.yaml")
    assert str(caught.value).startswith("x.yaml: ")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@given(st.text())
def test_any_text_is_a_mapping_or_a_format_error(text: str) -> None:
    try:
        data, message = parse_yaml(text), ""
    except ModelFormatError as error:
        data, message = {}, str(error)
    assert isinstance(data, dict)
    assert "\n" not in message


def test_the_fields_yaml_gives_a_model_with_canonical_stems(
    golden_files: tuple[Path, Path, dict[str, torch.Tensor]],
) -> None:
    config = read_config(golden_files[0])
    assert config.name == "config_golden"
    assert config.stems == ("kick", "snare", "hihat")
    assert config.architecture == "mdx23c"
    assert (config.chunking.chunk_size, config.chunking.overlap) == (1920, 4)
    assert (config.sample_rate, config.channels) == (44100, 2)
    assert config.network["scale"] == (2, 2)


def field() -> dict[str, Any]:
    text = (GOLDEN / "mdx23c_instancenorm_gelu.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def test_a_target_instrument_is_the_only_stem() -> None:
    data = field()
    data["training"]["target_instrument"] = "Snare"
    assert config_from_field(data, name="x").stems == ("snare",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["training"].update(instruments=["kick", "theremin"]), "unknown stem"),
        (lambda d: d["training"].update(instruments=["hh", "hihat"]), "names a stem twice"),
        (lambda d: d["training"].update(instruments=[1]), "a stem must be a plain text"),
        (lambda d: d["model"].pop("growth"), "model.growth is missing"),
        (lambda d: d["model"].update(norm=None), "model.norm is missing"),
        (lambda d: d["model"].update(scale=2), "model.scale must be a list"),
        (lambda d: d["audio"].update(chunk_size="long"), "audio.chunk_size must be a whole"),
        (lambda d: d["audio"].update(n_fft=2.5), "n_fft must be a whole number of at least 1"),
        (lambda d: d["inference"].update(num_overlap=0), "overlap must be"),
    ],
)
def test_what_the_field_gets_wrong_is_named(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    data = field()
    change(data)
    with pytest.raises(ModelFormatError, match=message) as caught:
        config_from_field(data, name="x", source="x.yaml")
    assert str(caught.value).startswith("x.yaml: ")


def test_what_is_dumped_is_read_back_unchanged(
    configs: dict[str, ModelConfig], tmp_path: Path
) -> None:
    for config in configs.values():
        path = tmp_path / "config.yaml"
        path.write_text(dump_config(config), encoding="utf-8")
        assert read_config(path) == config


def test_the_least_configuration_has_the_documented_defaults() -> None:
    config = config_from_dict(ours())
    assert config.stems == ("kick", "hihat")
    assert (config.sample_rate, config.channels) == (44100, 2)
    assert config.weights is not None
    assert (config.weights.sha256, config.weights.size, config.weights.urls) == ("", 0, ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("stems"), "stems is missing"),
        (lambda d: d.update(colour="red"), "unknown key colour"),
        (lambda d: d.update(name="../x"), "name must be a plain name"),
        (lambda d: d.update(stems="kick"), "stems must be a list"),
        (lambda d: d.update(stems=[]), "has no stems"),
        (lambda d: d.update(sample_rate=-1), "sample_rate must be a whole number"),
        (lambda d: d.update(channels=True), "channels must be a whole number"),
        (lambda d: d.update(presets={"fast": 0.5}), "presets.fast must be 1 or more"),
        (lambda d: d.update(presets={"fast": float("nan")}), "presets.fast must be 1 or more"),
        (lambda d: d.update(presets=[1]), "presets must be a mapping"),
        (lambda d: d["chunking"].pop("chunk_size"), "chunking.chunk_size is missing"),
        (lambda d: d["chunking"].update(overlap=float("nan")), "overlap must be"),
        (lambda d: d["chunking"].update(window="hann"), "unknown chunking window"),
        (lambda d: d["chunking"].update(convention="mine"), "unknown convention"),
        (lambda d: d["chunking"].update(convention=[1]), "unknown convention"),
        (lambda d: d["weights"].update(file="../../etc/passwd"), "without folders"),
        (lambda d: d["weights"].update(file="C:\\x"), "without folders"),
        (lambda d: d["weights"].update(file=".."), "without folders"),
        (lambda d: d["weights"].update(file="/"), "without folders"),
        (lambda d: d["weights"].update(format="pickle"), "weights.format must be one of"),
        (lambda d: d["weights"].update(sha256="abc"), "64 lower-case hexadecimal"),
        (lambda d: d["weights"].update(urls=["file:///etc/passwd"]), "only https and http"),
        (lambda d: d["weights"].update(urls="https://x"), "weights.urls must be a list"),
        (lambda d: d["weights"].update(size=-5), "weights.size must be a whole number"),
        (lambda d: d["weights"].update(md5="0"), "unknown weights md5"),
    ],
)
def test_what_our_format_refuses_is_named(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    data = ours()
    change(data)
    with pytest.raises(ModelFormatError, match=message) as caught:
        config_from_dict(data, source="x.yaml")
    assert str(caught.value).startswith("x.yaml: ")
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_binary_or_huge_are_errors_of_their_kind(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no configuration file"):
        read_config(tmp_path / "none.yaml")
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(ModelFormatError, match="cannot be read"):
        read_config(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(ModelFormatError, match="too large"):
        read_config(path)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("hh", "hihat"), ("Hi-Hat", "hihat"), ("Kick drum", "kick"), ("VOCALS", "vocals")],
)
def test_checkpoints_names_of_stems_become_canonical(name: str, canonical: str) -> None:
    assert canonical_stem(name) == canonical


@pytest.mark.parametrize("name", STEM_NAMES)
def test_canonical_names_stay(name: str) -> None:
    assert canonical_stem(name) == name


@pytest.mark.parametrize("name", ["", "../kick", "kick/snare", "cowbell"])
def test_unknown_stems_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown stem"):
        canonical_stem(name)
