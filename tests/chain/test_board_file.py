# SPDX-License-Identifier: GPL-3.0-or-later
"""Board files, and what runs them in the engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pedalboard
import pytest

from lars_plugin.bridge.engine.board import Board
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.chain.board_file import read_board_file
from lars_plugin.errors import InputError
from lars_plugin.model import Chunking
from lars_plugin.testing import IdentityModel

BOARD = {
    "stems": {
        "kick": [{"plugin": "Gain", "gain_db": 6.0}],
        "hh": [{"plugin": "Gain", "gain_db": -6.0}, {"plugin": "Gain", "gain_db": -6.0}],
    }
}
SIX_DB = 10 ** (6 / 20)


def settings_of(plugin: object, name: str) -> float:
    return float(getattr(plugin, name))


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.json"
    path.write_text(json.dumps(BOARD))
    return path


def test_a_json_board_is_read_with_its_settings(board: Path) -> None:
    found = read_board_file(board)
    assert list(found) == ["kick", "hihat"]
    assert [type(plugin) for plugin in found["hihat"]] == [pedalboard.Gain] * 2
    assert settings_of(found["kick"][0], "gain_db") == pytest.approx(6)


def test_a_toml_board_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text(
        '[[stems.kick]]\nplugin = "Gain"\ngain_db = 6.0\n'
        '[[stems.snare]]\nplugin = "Compressor"\nthreshold_db = -20.0\nratio = 4.0\n'
    )
    found = read_board_file(path)
    assert settings_of(found["kick"][0], "gain_db") == pytest.approx(6)
    assert settings_of(found["snare"][0], "threshold_db") == pytest.approx(-20)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"stems": 1}',
        '{"other": {}}',
        '{"stems": {}, "more": 1}',
        '{"stems": {"kick": 1}}',
        '{"stems": {"kick": [1]}}',
        '{"stems": {"kick": [{}]}}',
        '{"stems": {"triangle": []}}',
        '{"stems": {"kick": [{"plugin": "Nothing"}]}}',
        '{"stems": {"kick": [{"plugin": "Pedalboard"}]}}',
        '{"stems": {"kick": [{"plugin": "load_plugin"}]}}',
        '{"stems": {"kick": [{"plugin": "Gain", "gain": 1}]}}',
        '{"stems": {"kick": [{"plugin": "Gain", "gain_db": "loud"}]}}',
        '{"stems": {"kick": [{"plugin": "Gain", "vst3": "x"}]}}',
        '{"stems": {"kick": [{"vst3": "/no/such/file.vst3"}]}}',
        '{"stems": {"kick": [{"vst3": "x", "decay": 1}]}}',
        '{"stems": {"hh": [], "hihat": []}}',
        "[" * 5000,
        "x" * 70000,
    ],
)
def test_boards_that_make_no_sense_are_one_line_errors(tmp_path: Path, text: str) -> None:
    path = tmp_path / "board.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_board_file(path)
    assert str(path) in str(caught.value)


def test_a_board_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match="board file"):
            read_board_file(path)


@pytest.mark.parametrize("sizes", [[1000], [1, 77, 300, 128], [4096]])
def test_the_board_keeps_stems_aligned_and_is_as_late_as_it_says(
    board: Path, sizes: list[int]
) -> None:
    chains = Board(str(board), ("kick", "snare", "hihat"), 44100, 2)
    rng = np.random.default_rng(0)
    audio = rng.uniform(-0.2, 0.2, (3, 2, 5000)).astype(np.float32)
    for _ in range(2):
        parts, at, turn, made = [], 0, 0, 0
        while at < 5000:
            part = audio[..., at : at + sizes[turn % len(sizes)]]
            parts.append(chains.push(part))
            at, turn, made = at + part.shape[2], turn + 1, made + parts[-1].shape[2]
            assert made == max(0, at - chains.latency_samples)
        parts.append(chains.flush())
        out = np.concatenate(parts, axis=2)
        factors = np.array([SIX_DB, 1, SIX_DB**-2], np.float32)[:, None, None]
        np.testing.assert_allclose(out, audio * factors, rtol=1e-4, atol=1e-6)
        chains.reset()


def test_no_board_adds_nothing() -> None:
    chains = Board("", ("kick",), 44100, 2)
    audio = np.ones((1, 2, 5), np.float32)
    assert chains.latency_samples == 0
    np.testing.assert_array_equal(chains.push(audio), audio)
    assert chains.flush().shape == (1, 2, 0)


def test_stems_of_a_live_stream_pass_through_their_chains_in_the_engine(board: Path) -> None:
    live = Chunking(256, overlap=4, convention="live", lookahead=32, fade=16)
    models = {"live": lambda: IdentityModel(chunking=live)}
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32)
    with EngineThread(models) as engine, engine.client() as client:
        opened = client.open("live", board=board, max_block=200)
        assert opened.board_latency > 0
        assert client.set_parameter("board/kick/0/gain_db", 0.0) == pytest.approx(0, abs=1e-6)
        with pytest.raises(InputError):
            client.set_parameter("board/kick/0/no_such_thing", 0.0)
        with pytest.raises(InputError):
            client.set_parameter("board/kick/7/gain_db", 0.0)
        parts = [client.process(audio[:, at : at + 200], patience=20) for at in range(0, 4000, 200)]
        parts.append(client.flush())
        for name, factor in (("kick", 1), ("snare", 1), ("hihat", SIX_DB**-2)):
            made = np.concatenate([part[name] for part in parts], axis=1)[:, opened.latency :]
            np.testing.assert_allclose(made, audio / 6 * factor, rtol=1e-3, atol=1e-4)
        with pytest.raises(InputError, match="no stem kick"):
            client.open("live", board=board, stems=["snare"])
        board.write_text("{")
        with pytest.raises(InputError, match="understood"):
            client.open("live", board=board)
