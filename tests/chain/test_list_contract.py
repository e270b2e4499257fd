# SPDX-License-Identifier: GPL-3.0-or-later
"""The list side of a StemBoard: the same checks over pedalboard.Pedalboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pedalboard import Chain, Gain, Invert, Limiter, Pedalboard  # type: ignore[attr-defined]

from lars_plugin.chain import PluginList, StemBoard, StemSeparator
from lars_plugin.chain.plugins import check_item
from lars_plugin.errors import InputError, LarsError
from lars_plugin.testing import IdentityModel

AUDIO = np.linspace(-0.4, 0.4, 600, dtype=np.float32).reshape(2, 300)


@pytest.fixture(params=[Pedalboard, StemBoard])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_it_begins_with_what_it_is_given(make: Any) -> None:
    plugins = [Gain(1), Limiter()]
    assert list(make(plugins)) == plugins
    assert list(make(tuple(plugins))) == plugins
    assert list(make()) == list(make([])) == []
    assert len(make(plugins)) == 2
    assert not make([])


def test_indexing_counts_from_both_ends(make: Any) -> None:
    plugins = [Gain(1), Limiter(), Invert()]
    board = make(plugins)
    assert [board[i] for i in range(-3, 3)] == plugins * 2
    for index in (3, -4):
        with pytest.raises(IndexError):
            board[index]
        with pytest.raises(IndexError):
            board[index] = Gain()
        with pytest.raises(IndexError):
            del board[index]


def test_append_insert_set_delete_and_remove_change_the_list(make: Any) -> None:
    first, second, third, fourth = Gain(1), Gain(2), Gain(3), Gain(4)
    board = make([second])
    board.append(fourth)
    board.insert(0, first)
    board.insert(-1, third)
    assert list(board) == [first, second, third, fourth]
    board[1], board[2] = third, second
    del board[0]
    board.remove(second)
    assert list(board) == [third, fourth]
    assert third in board
    assert first not in board
    with pytest.raises(ValueError, match=r"not in (this )?list"):
        board.remove(first)


@pytest.mark.parametrize("index", [2, -2, 99])
def test_insert_refuses_an_index_out_of_range(make: Any, index: int) -> None:
    board = make([Gain()])
    with pytest.raises(IndexError):
        board.insert(index, Gain())
    assert len(board) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda board: board.append("Gain"),
        lambda board: board.insert(0, 1.0),
        lambda board: board.__setitem__(0, object()),
    ],
)
def test_what_is_no_plugin_is_a_type_error_and_changes_nothing(
    make: Any, change: Callable[[Any], object]
) -> None:
    gain = Gain()
    board = make([gain])
    with pytest.raises(TypeError):
        change(board)
    assert list(board) == [gain]


@pytest.mark.parametrize("plugins", [["Gain"], "Gain", 1, Gain()])
def test_a_list_of_anything_else_is_a_type_error(make: Any, plugins: Any) -> None:
    with pytest.raises(TypeError):
        make(plugins)


def test_none_is_an_empty_place(make: Any) -> None:
    board = make([None, Gain(0)])
    board.append(None)
    assert len(board) == 3
    np.testing.assert_array_equal(board(AUDIO, 44100), AUDIO)


def test_an_empty_board_is_a_wire(make: Any) -> None:
    board = make([])
    np.testing.assert_array_equal(board(AUDIO, 44100), AUDIO)
    np.testing.assert_array_equal(board(AUDIO, 44100, reset=False), AUDIO)


def test_a_plugin_in_two_places_is_refused_when_audio_comes(make: Any) -> None:
    gain = Gain()
    for board in (make([gain, gain]), make([gain, Chain([gain])]), make([make([gain]), gain])):
        for reset in (True, False):
            with pytest.raises(RuntimeError) as caught:
                board(AUDIO, 44100, reset=reset)
            assert isinstance(caught.value, LarsError) == (make is StemBoard)


def test_boards_nest(make: Any) -> None:
    board = make([Gain(-6), make([Gain(6), make([])])])
    np.testing.assert_allclose(board(AUDIO, 44100), AUDIO, atol=1e-6)


def test_iterating_and_printing_show_the_plugins(make: Any) -> None:
    board = make([Gain(3), Limiter()])
    assert list(reversed(board)) == list(board)[::-1]
    assert "with 2 plugins" in repr(board)
    assert "gain_db=3" in repr(board)


def test_a_stem_board_has_the_rest_of_a_list_too() -> None:
    first, second, third = Gain(1), Gain(2), Gain(3)
    board = StemBoard([first])
    board.extend([second, third])
    board += [Gain(4)]
    assert board.index(second) == 1
    assert isinstance(board.pop(), Gain)
    assert board[1:] == [second, third]
    board[:2] = [third]
    assert list(board) == [third, third]
    del board[1:]
    board.reverse()
    assert list(board) == [third]
    wrong: Any = "Gain"
    with pytest.raises(TypeError):
        board[:] = [first, wrong]
    assert list(board) == [third]
    board.clear()
    assert len(board) == 0


def test_a_board_inside_itself_is_refused() -> None:
    board = StemBoard([Gain()])
    board.append(board)
    with pytest.raises(RuntimeError, match="two places"):
        board(AUDIO, 44100)


def test_one_plugin_in_two_strips_is_refused() -> None:
    gain = Gain()
    board = StemBoard(separator=IdentityModel(), stems={"kick": [gain], "snare": [gain]})
    for call in (board.process, board.process_stems):
        with pytest.raises(RuntimeError, match="two places"):
            call(AUDIO, 44100)
    with pytest.raises(RuntimeError, match="two places"):
        board.stem_stream(44100, 2)


def test_a_separator_in_two_places_is_refused() -> None:
    node = StemSeparator(IdentityModel())
    with pytest.raises(RuntimeError, match="two places"):
        StemBoard([node, node])(AUDIO, 44100)


def test_an_instrument_is_refused() -> None:
    # pedalboard has none built in; any class of ours will do to stand for one.
    class Instrument(StemBoard):
        @property
        def is_effect(self) -> bool:
            return False

    instrument = Instrument()
    with pytest.raises(InputError, match="instrument"):
        check_item(instrument)
    with pytest.raises(ValueError, match="instrument"):
        StemBoard([instrument])
    plugins = PluginList()
    with pytest.raises(ValueError, match="instrument"):
        plugins.append(instrument)
