# SPDX-License-Identifier: GPL-3.0-or-later
"""Published packages of Demucs: tensors and plain values, never a class of theirs."""

from __future__ import annotations

import math
import sys
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
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
from lars_plugin.zoo.yaml_configs import dump_config
from tests.field_files import their_class

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


def kwargs(**changes: Any) -> dict[str, Any]:
    return {"kwargs": {**SETTINGS, **changes}}


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


def test_what_a_program_allows_for_its_own_files_is_not_for_packages(tmp_path: Path) -> None:
    own, package = tmp_path / "own.pt", tmp_path / "a.th"
    torch.save({"took": timedelta(1)}, own)
    write(package, training_args={"took": timedelta(1)})
    with torch.serialization.safe_globals([timedelta]):
        before = set(torch.serialization.get_safe_globals())
        with pytest.raises(ModelFormatError, match=r"holds an object of datetime\.timedelta"):
            load(package)
        assert set(torch.serialization.get_safe_globals()) == before
        assert torch.load(own, weights_only=True) == {"took": timedelta(1)}
        load(write(package))
        assert set(torch.serialization.get_safe_globals()) == before
        assert torch.load(own, weights_only=True) == {"took": timedelta(1)}


@pytest.mark.parametrize("says", [{}, {"nfft": 256, "segment_length": 2205}])
def test_a_package_that_is_converted_in_place_keeps_its_settings(
    says: dict[str, Any], tmp_path: Path
) -> None:
    package, folder = write(tmp_path / "a.th"), tmp_path / "own"
    folder.mkdir()
    file = folder / "config.yaml"
    file.write_text(dump_config(changed(network=says)), encoding="utf-8")
    assert convert(None, folder, config=file, weights=package) == folder
    package.unlink()
    model = load_model(folder, device="cpu")
    assert model.config.stems == CONFIG.stems
    assert model.config.network["t_layers"] == 1
    assert model.config.network["segment_length"] == 2205
    # Again, now that all is written down.
    before = model.config.network
    text = "# A comment that stays.\n" + file.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    convert(folder, folder, dtype="float16")
    assert load_model(folder, device="cpu").config.network == before


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
        (changed(stems=("bass", "drums")), "stem 1 is 'drums', not 'bass'"),
        (changed(stems=("drums", "vocals")), "stem 2 is 'bass', not 'vocals'"),
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
        ("demucs.htdemucs.HTDemucs", {"args": (["bass"], 2, 8, 3)}, "args or kwargs are wrong"),
        ("demucs.htdemucs.HTDemucs", {"args": ()}, "sources must be a list of stems, got None"),
        ("demucs.htdemucs.HTDemucs", {"args": ("ab",)}, "must be a list of stems, got 'ab'"),
        (
            "demucs.htdemucs.HTDemucs",
            {"args": (["drums", "gato"],)},
            "sources: unknown stem 'gato'; known stems: kick",
        ),
        ("demucs.htdemucs.HTDemucs", {"args": (["drums", None],)}, "unknown stem 'None'"),
    ],
)
def test_packages_that_cannot_be_used_are_told_in_one_line(
    name: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match=message) as caught:
        load(write(tmp_path / "a.th", name, **changes))
    assert "\n" not in str(caught.value)


def nested() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segment": math.inf}, "'segment' is inf, not a plain setting"),
        ({"segment": math.nan}, "'segment' is nan, not a plain setting"),
        ({"segment": torch.tensor(2)}, "'segment' is a Tensor, not a plain setting"),
        ({"segment": None}, "HT-Demucs: segment must be a finite number, got None"),
        ({"segment": "x"}, "HT-Demucs: segment must be a finite number, got 'x'"),
        ({"segment": [2]}, r"HT-Demucs: segment must be a finite number, got \[2\]"),
        ({"segment": True}, "segment must be a finite number, got True"),
        ({"segment": -1}, "a segment of -1 s cannot be used"),
        ({"segment": 1e300}, r"a segment of 1e\+300 s cannot be used"),
        ({"samplerate": None}, "samplerate must be a finite number, got None"),
        ({"samplerate": 1e308, "segment": 10}, "a segment of 10 s cannot be used"),
        ({"nfft": torch.tensor(256)}, "'nfft' is a Tensor"),
        ({"nfft": "x"}, "nfft must be a whole number of at least 1, got 'x'"),
        ({"nfft": None}, "nfft must be a whole number of at least 1, got None"),
        ({"channels": 8.0}, "channels must be a whole number of at least 1, got 8.0"),
        ({"channels_time": "8"}, "channels_time must be a whole number"),
        ({"growth": None}, "growth must be a finite number, got None"),
        ({"dconv_depth": "2"}, "dconv_depth must be a whole number, got '2'"),
        ({"wiener_iters": None}, "wiener_iters must be a whole number, got None"),
        ({"cac": "no"}, "cac must be true or false, got 'no'"),
        ({"t_norm_out": None}, "t_norm_out must be a whole number of at least 0, got None"),
        ({"t_max_period": "x"}, "t_max_period must be a finite number"),
        ({"depth": 10**9}, "depth must be at most 16"),
        ({"multi_freqs": 0.5}, "multi_freqs must be a list of shares, got 0.5"),
        ({"multi_freqs": "ab"}, "multi_freqs must be a list of shares, got 'ab'"),
        ({"multi_freqs": ["a"]}, "multi_freqs must be a finite number, got 'a'"),
        ({"multi_freqs": [torch.zeros(1)]}, "'multi_freqs' is a list, not a plain setting"),
        ({"multi_freqs": nested()}, "'multi_freqs' is a list, not a plain setting"),
        (
            {"multi_freqs": [0.5], "multi_freqs_depth": None},
            "multi_freqs_depth must be a whole number of at least 0, got None",
        ),
        ({"multi_freqs_depth": "3"}, "multi_freqs_depth must be a whole number"),
        ({"multi_freqs_depth": math.inf}, "'multi_freqs_depth' is inf"),
        (
            {"t_emb": "scaled", "t_max_positions": 137},
            "t_max_positions is 137, but chunks of 2205 samples need 138: make chunk_size smaller",
        ),
        ({"t_emb": "scaled", "t_max_positions": None}, "t_max_positions must be a whole number"),
    ],
)
def test_settings_of_a_package_that_are_wrong_are_named_in_one_line(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match=message) as caught:
        load(write(tmp_path / "a.th", **kwargs(**settings)))
    assert "\n" not in str(caught.value)


def test_stems_that_drumsep_names_in_spanish_are_known_and_their_order_is_checked(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.th", args=(["Bombo", "Platillos"],))
    assert load(path, changed(stems=("kick", "cymbals"))).config.stems == ("kick", "cymbals")
    with pytest.raises(ModelFormatError, match="stem 1 is 'kick', not 'cymbals'"):
        load(path, changed(stems=("cymbals", "kick")))
