# SPDX-License-Identifier: GPL-3.0-or-later
"""Separators, nodes and models that are pickled for other processes, or copied."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import numpy as np
import pedalboard
import pytest

from lars_plugin import (
    Cascade,
    Ensemble,
    PostProcessing,
    Separator,
    StemBoard,
    StemSeparator,
    load_model,
)
from lars_plugin.composites.composite import Composite
from lars_plugin.errors import InputError, ModelError
from lars_plugin.model import Model
from lars_plugin.testing import IdentityModel

RATE = 44100
AUDIO = np.random.default_rng(0).standard_normal((2, 30000)).astype(np.float32) * 0.1


@pytest.fixture
def separator(tiny_model: Path) -> Separator:
    return Separator(
        tiny_model,
        preset="fast",
        batch_size=1,
        stems=["snare", "kick"],
        backend="torch",
        post=PostProcessing(gate=-40),
    )


def test_a_pickled_separator_is_loaded_again_with_all_its_settings(separator: Separator) -> None:
    data = pickle.dumps(separator)
    assert len(data) < 4096  # no weights
    made = pickle.loads(data)
    assert made.model is not separator.model
    assert made.model.config == separator.model.config
    assert made.model.backend.name == separator.model.backend.name
    assert (made.chunking, made.post, made.stems) == (
        separator.chunking,
        separator.post,
        separator.stems,
    )
    for name, wave in separator.separate(AUDIO, RATE).items():
        np.testing.assert_array_equal(made.separate(AUDIO, RATE)[name], wave)


def test_a_worker_loads_a_model_once_for_all_that_it_is_sent(separator: Separator) -> None:
    data = pickle.dumps(separator)
    assert pickle.loads(data).model is pickle.loads(data).model


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_share_the_network(separator: Separator, copied: object) -> None:
    made = copied(separator)  # type: ignore[operator]
    assert made is not separator
    assert made.model is separator.model
    assert (made.chunking, made.post, made.stems) == (
        separator.chunking,
        separator.post,
        separator.stems,
    )


def test_a_relative_folder_is_found_from_elsewhere(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)
    for source in ("tiny", Path("tiny"), "./tiny"):
        data = pickle.dumps(Separator(source, backend="torch"))
        monkeypatch.chdir(tmp_path)
        assert pickle.loads(data).model.config.name == "tiny"
        monkeypatch.chdir(tiny_model.parent)


def test_models_loaded_from_files_of_any_kind_come_back(tiny_model: Path) -> None:
    config, weights = tiny_model / "config.yaml", tiny_model / "weights.safetensors"
    loaded = load_model(tiny_model, backend="torch")
    for model in (
        loaded,
        load_model(config=config, weights=weights, backend="torch"),
        load_model(config=loaded.config, weights=weights, backend="torch"),
    ):
        made = pickle.loads(pickle.dumps(Separator(model))).model
        assert made.config == model.config
        np.testing.assert_array_equal(made.backend(AUDIO[None]), model.backend(AUDIO[None]))


def test_composites_come_back_part_by_part(tiny_model: Path) -> None:
    cascade = Cascade("lars-fullmix", tiny_model, backend="torch")
    ensemble = Ensemble([tiny_model], {"kick": {"tiny": 1.0}}, backend="torch")
    named = load_model(f"cascade:lars-fullmix,{tiny_model}", backend="torch")
    for model in (cascade, ensemble, named):
        assert isinstance(model, Composite)
        made = pickle.loads(pickle.dumps(model))
        assert type(made) is type(model)
        assert made.config == model.config
        assert isinstance(model, Composite)
        assert isinstance(made, Composite)
        assert [part.config for part in made.parts] == [part.config for part in model.parts]


def test_a_model_that_was_not_loaded_says_so(separator: Separator) -> None:
    by_hand = Model(separator.model.config, separator.model.backend)
    with pytest.raises(InputError, match="name or folder"):
        pickle.dumps(Separator(by_hand))
    assert copy.deepcopy(Separator(by_hand)).model is by_hand
    with pytest.raises(InputError, match="name or folder"):
        pickle.dumps(separator.stream(RATE, 2))


def test_a_model_that_is_plain_python_goes_as_it_is() -> None:
    made = pickle.loads(pickle.dumps(Separator(IdentityModel())))
    np.testing.assert_allclose(made.separate(AUDIO, RATE).sum(), AUDIO, atol=1e-5)


def test_a_model_that_is_gone_is_a_typed_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in os.listdir(tiny_model):
        (folder / name).write_bytes((tiny_model / name).read_bytes())
    data = pickle.dumps(Separator(folder, backend="torch"))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(ModelError):
        pickle.loads(data)


def test_nodes_and_boards_go_with_their_strips_and_without_a_stream(separator: Separator) -> None:
    node = StemSeparator(separator, gains={"kick": -3})
    node.strips["snare"].mute = True
    node(AUDIO, RATE, reset=False)
    board = StemBoard([node])
    for made in (pickle.loads(pickle.dumps(board)), copy.deepcopy(board)):
        assert made.strips["kick"].gain_db == -3
        assert made.strips["snare"].mute
        assert made.latency_samples == 0
        np.testing.assert_array_equal(made(AUDIO, RATE), board(AUDIO, RATE))


def test_plugins_of_pedalboard_are_named_as_what_cannot_be_pickled(separator: Separator) -> None:
    for board in (
        StemBoard([StemSeparator(separator), pedalboard.Gain(3)]),
        StemBoard(separator=separator, stems={"kick": [pedalboard.Gain(3)]}),
    ):
        with pytest.raises(InputError, match="Gain"):
            pickle.dumps(board)
