# SPDX-License-Identifier: GPL-3.0-or-later
"""The chains behind an engine's stream: where their plugins end, and what is told of many."""

from __future__ import annotations

import json
import socket
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pedalboard
import pytest

from lars_plugin.bridge.engine.board import Board
from lars_plugin.bridge.engine.chain_desk import build_chain
from lars_plugin.bridge.engine.chains import Built, Entry
from lars_plugin.bridge.engine.connection import Connection
from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.messages import Chain, Open
from lars_plugin.chain.live_chain import Slot
from lars_plugin.chain.plugin_thread import on_plugin_thread, start_on_plugin_thread
from lars_plugin.testing import STEMS, IdentityModel

RATE = 44100.0
ONE_GAIN = b'{"stems": {"kick": [{"id": "1", "effect": "Gain"}]}}'


def nothing() -> None:
    """Has been done when all that came before it on the plugin thread is."""


def watched(plugin: pedalboard.Plugin) -> list[str]:
    """Will have the name of the thread on which the plugin ends."""
    ended: list[str] = []
    weakref.finalize(plugin, lambda: ended.append(threading.current_thread().name))
    return ended


def test_plugins_of_a_board_file_end_on_their_thread_when_a_chain_takes_their_place(
    tmp_path: Path,
) -> None:
    path = tmp_path / "board.json"
    path.write_text(json.dumps({"stems": {"kick": [{"plugin": "Gain", "gain_db": -6.0}]}}))
    board = Board(str(path), STEMS, RATE, 2)
    ended = watched(board._plugins["kick"][0])
    assert board.change(Built({}, {}))
    on_plugin_thread(nothing)
    assert ended == ["plugins_0"]


def test_more_than_a_message_holds_is_shortened_and_says_so() -> None:
    names = [f"plugin {number}" for number in range(20_000)]
    error = "too many " * 100_000
    slots = {
        stem: [Slot("1", "vst3/Shell.vst3", "", None, error, 2, RATE, names)] for stem in STEMS
    }
    board = Board("", STEMS, RATE, 2)
    board.change(Built(slots, {stem: [Entry("1", "vst3/Shell.vst3")] for stem in STEMS}))
    report = board.described(states=True)
    assert len(report) <= limits.MAX_CHAIN
    chains = json.loads(report)["stems"]
    assert [chains[stem][0]["id"] for stem in STEMS] == ["1"] * len(STEMS)
    assert any(chains[stem][0].get("shortened") for stem in STEMS)


@pytest.fixture
def session() -> Session:
    """One that is open."""
    session = Session(1, Open(model="identity", mode=Open.OFFLINE))
    session.prepare(IdentityModel())
    return session


@pytest.fixture
def connection() -> Iterator[Connection]:
    """One that nobody reads from."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours, 1, lambda _: None, trusted=True, remote=False)
    yield connection
    connection.close()
    theirs.close()


def test_effects_that_no_stream_had_yet_end_on_their_thread(
    session: Session, connection: Connection
) -> None:
    build_chain(connection, session, Chain(request=1, chains=ONE_GAIN), nothing)
    on_plugin_thread(nothing)
    unit = session.built[0].slots["kick"][0].unit
    assert unit is not None
    ended = watched(unit.plugins[0])
    del unit
    session.closed = True
    session.release()
    on_plugin_thread(nothing)
    assert ended == ["plugins_0"]


def test_effects_that_are_made_when_their_stream_has_ended_do_not_stay_with_it(
    session: Session, connection: Connection
) -> None:
    goes_on = threading.Event()

    def wait() -> None:
        goes_on.wait(60)

    start_on_plugin_thread(wait)
    build_chain(connection, session, Chain(request=1, chains=ONE_GAIN), nothing)
    session.closed = True
    session.release()
    goes_on.set()
    on_plugin_thread(nothing)
    assert session.chain_builder is None
    assert not session.built
