# SPDX-License-Identifier: GPL-3.0-or-later
"""A state machine over sessions: whatever clients do, exact streams stay exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.errors import ModelNotFoundError, NonFiniteError
from lars_plugin.model import Chunking
from lars_plugin.testing import IdentityModel

PARTS = [1, 0.5, 0.25, 0.125, 2, 4]
SHARES = np.array(PARTS, np.float32)
LIVE = Chunking(256, overlap=4, convention="live", lookahead=32, fade=16)
MODELS = {
    "live": lambda: IdentityModel(chunking=LIVE, shares=PARTS),
    "chunked": lambda: IdentityModel(chunk_size=256, shares=PARTS),
}


class Track:
    """One client's stream, with what it sent and what it got since the last reset."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.mode = ""
        self.sent = np.zeros((2, 0), np.float32)
        self.got = np.zeros((6, 2, 0), np.float32)
        self.ended = False

    def restart(self) -> None:
        self.sent, self.got = self.sent[:, :0], self.got[..., :0]
        self.ended = False

    def check(self) -> None:
        made = self.got[..., self.client.latency_samples :]
        wanted = SHARES[:, None, None] * self.sent[:, : made.shape[2]]
        np.testing.assert_allclose(made, wanted, atol=1e-5)


class Sessions(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.engine = EngineThread(MODELS, max_sessions=4)
        self.tracks: list[Track] = []

    def teardown(self) -> None:
        for track in self.tracks:
            track.client.close()
        self.engine.close()

    def pick(self, data: st.DataObject, *, streaming: bool = True) -> Track | None:
        tracks = [track for track in self.tracks if track.mode or not streaming]
        return data.draw(st.sampled_from(tracks)) if tracks else None

    @rule()
    @precondition(lambda self: len(self.tracks) < 4)
    def connect(self) -> None:
        self.tracks.append(Track(self.engine.client()))

    @rule(data=st.data(), model=st.sampled_from(["live", "chunked"]), live=st.booleans())
    def open(self, data: st.DataObject, model: str, live: bool) -> None:
        track = self.pick(data, streaming=False)
        if track is not None:
            track.mode = "live" if live else "offline"
            track.client.open(model, mode=track.mode, max_block=2000)  # type: ignore[arg-type]
            track.restart()

    @rule(data=st.data(), samples=st.integers(1, 2000), seed=st.integers(0, 99))
    def process(self, data: st.DataObject, samples: int, seed: int) -> None:
        track = self.pick(data)
        if track is None or track.ended:
            return
        rng = np.random.default_rng(seed)
        block = rng.uniform(-0.5, 0.5, (2, samples)).astype(np.float32)
        stems = track.client.process(block, patience=60)
        track.sent = np.concatenate([track.sent, block], axis=1)
        track.got = np.concatenate([track.got, np.stack(list(stems.values()))], axis=2)

    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        track = self.pick(data)
        if track is None or track.ended:
            return
        stems = track.client.flush()
        track.got = np.concatenate([track.got, np.stack(list(stems.values()))], axis=2)
        track.ended = True
        assert track.got.shape[2] - track.client.latency_samples == track.sent.shape[1]

    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        track = self.pick(data)
        if track is not None:
            track.client.reset()
            track.restart()

    @rule(data=st.data())
    def poison(self, data: st.DataObject) -> None:
        """NaN ends an offline stream with an error, a live one goes on; a reset helps both."""
        track = self.pick(data)
        if track is None or track.ended:
            return
        block = np.full((2, 700), np.nan, np.float32)
        if track.mode == "live":
            track.client.process(block, patience=60)
            track.client.flush()
            assert isinstance(track.client.error, NonFiniteError)
        else:
            track.client._send_audio(len(track.sent[0]), block)
            with pytest.raises(NonFiniteError):
                track.client.flush()
        track.client.reset()
        track.restart()

    @rule(data=st.data())
    def wrong(self, data: st.DataObject) -> None:
        track = self.pick(data, streaming=False)
        if track is not None:
            with pytest.raises(ModelNotFoundError):
                track.client.open("no such model")
            track.mode = ""

    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        track = self.pick(data, streaming=False)
        if track is not None:
            track.client.close()
            self.tracks.remove(track)

    @invariant()
    def streams_are_exact(self) -> None:
        for track in getattr(self, "tracks", []):
            if track.mode:
                track.check()


Sessions.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSessions = Sessions.TestCase
