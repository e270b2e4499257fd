# SPDX-License-Identifier: GPL-3.0-or-later
"""Published packages of Demucs: tensors and plain values, never a class of theirs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lars_plugin.errors import ModelFormatError
from lars_plugin.model import Chunking, Model, ModelConfig
from lars_plugin.networks.demucs.config import HTDemucsConfig
from lars_plugin.networks.demucs.network import HTDemucs
from lars_plugin.zoo import load_model
from lars_plugin.zoo.convert import convert

SETTINGS: dict[str, Any] = {
    "channels": 8,
    "nfft": 256,
    "depth": 2,
    "t_layers": 1,
    "t_heads": 1,
    "segment": Fraction(1, 20),
    "samplerate": 44100,
    "t_dropout": 0.02,
}
CONFIG = ModelConfig(
    "small", ("drums", "bass"), Chunking(2205, 4 / 3, "demucs"), architecture="htdemucs"
)


def network() -> HTDemucs:
    torch.manual_seed(0)
    other = ("segment", "samplerate", "t_dropout")
    kept = {key: value for key, value in SETTINGS.items() if key not in other}
    return HTDemucs(HTDemucsConfig(2, segment_length=2205, **kept)).eval()


@contextmanager
def their_class(name: str) -> Iterator[Any]:
    """A class of the field, there only while a package is written."""
    module_name, _, own = name.rpartition(".")
    names = [module_name.split(".")[0], module_name]
    before = {one: sys.modules.get(one) for one in names}
    for one in names:
        sys.modules[one] = ModuleType(one)
    made = type(own, (), {"__module__": module_name})
    setattr(sys.modules[module_name], own, made)
    try:
        yield made
    finally:
        for one, module in before.items():
            del sys.modules[one]
            if module is not None:
                sys.modules[one] = module


def write(path: Path, name: str = "demucs.htdemucs.HTDemucs", **changes: Any) -> Path:
    with their_class(name) as klass:
        package = {
            "klass": klass,
            "args": (["drums", "bass"],),
            "kwargs": SETTINGS,
            "state": {key: value.half() for key, value in network().state_dict().items()},
            "training_args": {"epochs": 360, "seeds": [1, None, True]},
            **{key: value(klass) if callable(value) else value for key, value in changes.items()},
        }
        torch.save(package, path)
    return path


def load(path: Path, config: ModelConfig = CONFIG) -> Model:
    model = load_model(config=config, weights=path, device="cpu")
    assert isinstance(model, Model)
    return model


def changed(**changes: Any) -> ModelConfig:
    return ModelConfig(**{**vars(CONFIG), **changes})


def test_a_package_loads_without_its_class_and_brings_its_settings(tmp_path: Path) -> None:
    model = load(write(tmp_path / "a.th"))
    assert "demucs" not in sys.modules
    wave = np.random.default_rng(0).standard_normal((1, 2, 2205)).astype(np.float32)
    with torch.inference_mode():
        halved = network()
        halved.load_state_dict({k: v.half().float() for k, v in halved.state_dict().items()})
        wanted = halved(torch.from_numpy(wave)).numpy()
    np.testing.assert_allclose(model.backend(wave), wanted, atol=1e-6)


def test_what_pytorch_allows_is_afterwards_as_before(tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    load(write(tmp_path / "a.th"))
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_converted_package_keeps_its_settings(tmp_path: Path) -> None:
    folder = convert(None, tmp_path / "own", config=CONFIG, weights=write(tmp_path / "a.th"))
    model = load_model(folder, device="cpu")
    assert model.config.network["nfft"] == 256
    assert model.config.network["segment_length"] == 2205


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            changed(architecture="hdemucs"),
            r"holds a demucs.htdemucs.HTDemucs, but model small is of architecture hdemucs; use"
            " architecture htdemucs",
        ),
        (changed(architecture="mdx23c"), "is of architecture mdx23c; use architecture htdemucs"),
        (changed(stems=("drums",)), "stems is 2, not 1"),
        (changed(channels=1), "channels is 2, not 1"),
        (changed(sample_rate=48000), "sample_rate is 44100, not 48000"),
        (changed(network={"t_layers": 5}), "network.t_layers is 1, not 5"),
        (changed(chunking=Chunking(4410)), "longer than the 2205 samples"),
    ],
)
def test_a_package_and_a_configuration_that_contradict_each_other_are_told(
    config: ModelConfig, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match=message) as caught:
        load(write(tmp_path / "a.th"), config)
    assert "\n" not in str(caught.value)


def test_a_config_of_demucs_with_weights_of_another_network_is_told(tmp_path: Path) -> None:
    torch.save({"stft.weight": torch.zeros(2)}, tmp_path / "a.ckpt")
    with pytest.raises(ModelFormatError, match="holds no weights of a htdemucs network; missing"):
        load(tmp_path / "a.ckpt", changed(network={"segment_length": 2205}))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("demucs.demucs.Demucs", {}, "holds a demucs.demucs.Demucs, .*are not supported"),
        (
            "diffq.diffq.DiffQuantizer",
            {"state": lambda klass: {"__quantized": True, "meta": {"klass": klass}}},
            "quantised by diffq, which is not supported",
        ),
        (
            "demucs.htdemucs.HTDemucs",
            {"kwargs": {**SETTINGS, "t_sparse_self_attn": True}},
            "HT-Demucs: t_sparse_self_attn can only be False, got True",
        ),
        ("demucs.htdemucs.HTDemucs", {"training_args": lambda klass: klass()}, "not a safe"),
        ("demucs.htdemucs.HTDemucs", {"klass": "HTDemucs"}, "is not a package of a network"),
        ("demucs.htdemucs.HTDemucs", {"kwargs": {1: 2}}, "is not a package of a network"),
        ("demucs.other.Thing", {}, "is not a safe checkpoint file"),
        (
            "demucs.htdemucs.HTDemucs",
            {"kwargs": {**SETTINGS, "segment": Fraction(10**30, 3)}},
            "not a safe checkpoint file: it holds a fraction that is not one",
        ),
        ("demucs.htdemucs.HTDemucs", {"kwargs": {**SETTINGS, "nfft": "x"}}, "settings fail"),
        ("demucs.htdemucs.HTDemucs", {"kwargs": {**SETTINGS, "segment": "x"}}, "a.th: "),
    ],
)
def test_packages_that_cannot_be_used_are_told_in_one_line(
    name: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match=message) as caught:
        load(write(tmp_path / "a.th", name, **changes))
    assert "\n" not in str(caught.value)
