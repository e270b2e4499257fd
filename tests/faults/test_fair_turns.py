# SPDX-License-Identifier: GPL-3.0-or-later
"""One who wants everything gets a share: the others of the same model are served meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lars_plugin.audio import write_audio
from lars_plugin.bridge.engine.turns import Turns
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.bridge.protocol import messages


@pytest.fixture
def source(tmp_path: Path) -> Path:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32)
    write_audio(tmp_path / "drums.wav", wave, 44100)
    return tmp_path / "drums.wav"


@pytest.fixture(params=["live", "offline"])
def hog(request: pytest.FixtureRequest, process: EngineProcess) -> Iterator[str]:
    """A stream of the model "heavy" that needs many times real time, and never stops."""
    live = request.param == "live"
    with process.client() as client:
        client.open("heavy", mode=request.param, max_block=512, step=8 if live else None)
        stop, position = threading.Event(), 0
        block = np.zeros((2, 512), np.float32)

        def feed() -> None:
            nonlocal position
            while not stop.wait(512 / 44100):
                client._send_audio(position, block)
                client._link.pump()  # type: ignore[union-attr]
                position += 512

        thread = threading.Thread(target=feed)
        thread.start()
        time.sleep(1)
        yield request.param
        stop.set()
        thread.join()


def test_jobs_opens_and_streams_are_served_beside_one_that_takes_all(
    process: EngineProcess, hog: str, source: Path
) -> None:
    with process.client(timeout=120) as other:
        start = time.monotonic()
        other.open("heavy")
        other.flush()
        assert time.monotonic() - start < 10
        other.open("heavy", mode="offline")
        assert other.separate(np.zeros((2, 3000), np.float32)).samples == 3000
        assert time.monotonic() - start < 30
        # 0.6 s alone.
        assert len(other.separate_file(source, source.parent / "stems", "heavy")) == 6
        assert time.monotonic() - start < 60
        report = other.status()["sessions"]
        assert any(one["model"] == "heavy" and one["queued_samples"] for one in report), hog


def test_what_is_overdue_is_replaced_in_turns_too(
    process: EngineProcess, dial: Callable[[], Any]
) -> None:
    """Hours of it, sent at once: the fallback takes time as well."""
    with dial() as peer:
        peer.ask(messages.Open(model="live", step=8, max_block=64, request=2))
        wave = messages.Audio.planar(np.zeros((2, 65536), np.float32))
        for at in range(0, 15 * 65536, 65536):
            peer.send(messages.Audio(position=at, **wave))
        with process.client() as other:
            start = time.monotonic()
            other.open("live")
            other.process(np.zeros((2, 64), np.float32), patience=30)
            other.flush()
            assert time.monotonic() - start < 5


@given(st.lists(st.floats(0.001, 10), min_size=2, max_size=6))
def test_turns_share_time_evenly_whatever_each_turn_takes(costs: list[float]) -> None:
    turns, used = Turns(), dict.fromkeys(range(len(costs)), 0.0)
    for _ in range(2000):
        who = turns.order(used)[0]
        turns.spent(who, costs[who])
        used[who] += costs[who]
    assert max(used.values()) - min(used.values()) <= 2 * max(costs) + 1e-6


def test_nobody_saves_up_turns_by_staying_away() -> None:
    turns = Turns()
    for _ in range(100):
        assert turns.order(["one"]) == ["one"]
        turns.spent("one", 1)
    seen = []
    for _ in range(10):
        who = turns.order(["one", "late"])[0]
        turns.spent(who, 1)
        seen.append(who)
    assert seen.count("late") in (5, 6)
