# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams over a real socket: aligned, exact, and as late as they say."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.engine.plan import live_chunking
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.bridge.protocol import limits
from lars_plugin.errors import BridgeError, InputError, LimitError, ModelNotFoundError
from lars_plugin.model import Chunking
from lars_plugin.separation.separator import Separator
from lars_plugin.separation.streams.open import open_stream
from lars_plugin.stems import Stems
from lars_plugin.testing import IdentityModel

Wave = NDArray[np.float32]

SHARES = np.array([1, 0.5, 0.25, 0.125, 2, 4], np.float32)


def noise(samples: int, channels: int = 2, seed: int = 0) -> Wave:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def stack(parts: list[Stems]) -> Wave:
    """``(stems, channels, n)``"""
    return np.concatenate([np.stack(list(part.values())) for part in parts], axis=2)


def through(client: Client, audio: Wave, blocks: list[int]) -> Wave:
    """All of the audio, in blocks of these sizes over and over, without the latency."""
    parts, start, turn = [], 0, 0
    while start < audio.shape[1]:
        block = audio[:, start : start + blocks[turn % len(blocks)]]
        parts.append(client.process(block, patience=20))
        assert parts[-1].samples == block.shape[1]
        start, turn = start + block.shape[1], turn + 1
    parts.append(client.flush())
    return stack(parts)[..., client.latency_samples :]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_live_stems_are_those_of_the_stream_in_process_however_blocks_fall(
    engine: EngineThread, data: st.DataObject
) -> None:
    rate = data.draw(st.sampled_from([44100, 48000, 22050, 96000]))
    channels = data.draw(st.sampled_from([1, 2]))
    blocks = data.draw(st.lists(st.sampled_from([1, 17, 64, 128, 500, 4096]), min_size=1))
    samples = data.draw(st.integers(1, 3000))
    audio = noise(samples, channels)
    with engine.client() as client:
        client.open("live", rate, channels, max_block=max(blocks))
        made = through(client, audio, blocks)
        assert client.stats().missing == client.stats().replaced == 0
    model = engine.settings.load("live")
    stream = open_stream(model, rate, channels, live=True)
    wanted = np.concatenate([stream.push(audio), stream.flush()], axis=2)
    np.testing.assert_array_equal(made, wanted)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_offline_stems_are_those_of_separator_to_the_bit(
    engine: EngineThread, data: st.DataObject
) -> None:
    rate = data.draw(st.sampled_from([44100, 48000]))
    channels = data.draw(st.sampled_from([1, 2]))
    model = data.draw(st.sampled_from(["chunked", "delayed", "refined"]))
    overlap = data.draw(st.sampled_from([1, 2, 4]))
    audio = noise(data.draw(st.integers(0, 20000)), channels)
    wanted = Separator(engine.settings.load(model), overlap=overlap).separate(audio, rate)
    with engine.client() as client:
        client.open(model, rate, channels, mode="offline", overlap=overlap)
        made = client.separate(audio)
        assert list(made) == list(wanted)
        for name in wanted:
            np.testing.assert_array_equal(made[name], wanted[name])
        if audio.shape[1]:
            client.reset()
            blocks = data.draw(st.lists(st.integers(200, 9000), min_size=1))
            np.testing.assert_array_equal(
                through(client, audio, blocks), np.stack(list(wanted.values()))
            )


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
@pytest.mark.parametrize("mode", ["live", "offline"])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_that_add_up_do_so_through_the_bridge_at_every_rate(
    rate: int, mode: Literal["live", "offline"], channels: int
) -> None:
    audio = noise(9000, channels)
    models = {"whole": lambda: IdentityModel(chunking=Chunking(128, 1, "live"))}
    with EngineThread(models) as engine, engine.client() as client:
        client.open("whole", rate, channels, mode=mode, max_block=700)
        made = through(client, audio, [700, 1, 64])
    assert made.shape == (6, channels, 9000)
    np.testing.assert_allclose(made.sum(axis=0), audio, atol=1e-6)


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("block", [32, 441, 4096])
def test_an_impulse_arrives_exactly_at_the_reported_latency(
    engine: EngineThread, rate: int, block: int
) -> None:
    audio = np.zeros((2, 3 * block + 1000), np.float32)
    audio[:, 777] = 0.5
    with engine.client() as client:
        opened = client.open("live", rate, max_block=block)
        terms = (
            opened.model_latency,
            opened.resampling_latency,
            opened.buffering_latency,
            opened.board_latency,
        )
        assert sum(terms) == opened.latency
        assert (opened.resampling_latency > 0) == (rate != 44100)
        parts = [
            client.process(audio[:, start : start + block], patience=20)
            for start in range(0, audio.shape[1], block)
        ]
        made = stack([*parts, client.flush()])
        peaks = np.abs(made).argmax(axis=2)
        assert (peaks == 777 + opened.latency).all()


def test_blocks_from_1_to_65536_may_change_at_each_call(engine: EngineThread) -> None:
    blocks = [1, 65536, 3, 512, 40000, 2]
    audio = noise(sum(blocks))
    with engine.client() as client:
        client.open("live", max_block=65536)
        made = through(client, audio, blocks)
        np.testing.assert_allclose(made, SHARES[:, None, None] * audio, atol=1e-6)
        with pytest.raises(InputError, match="1 to 65536"):
            client.process(noise(65537))
        with pytest.raises(InputError, match="1 to 65536"):
            client.process(noise(0))


def test_a_chunked_model_goes_live_by_a_chosen_step_and_says_what_it_costs(
    engine: EngineThread,
) -> None:
    audio = noise(5000)
    latencies = []
    with engine.client() as client:
        for step in (64, 128, 256):
            opened = client.open("chunked", step=step, lookahead=100, max_block=64)
            assert opened.model_latency == step - 1 + 100 + step // 4
            assert opened.buffering_latency == max(64, step)
            latencies.append(opened.latency)
            made = through(client, audio, [64])
            np.testing.assert_allclose(made, SHARES[:, None, None] * audio, atol=1e-6)
        assert latencies == sorted(set(latencies))
        with pytest.raises(InputError, match="step"):
            client.open("chunked", step=5000)


@settings(deadline=None)
@given(st.integers(1, 100_000), st.data())
def test_a_chosen_step_is_taken_exactly(size: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(-(-size // limits.MAX_OVERLAP), size))
    assert live_chunking(Chunking(size, 1), step, None).step == step


def test_stems_can_be_chosen_and_come_in_that_order(engine: EngineThread) -> None:
    audio = noise(2000)
    with engine.client() as client:
        opened = client.open("live", stems=["crash", "kick"])
        assert opened.stems == ("crash", "kick")
        made = through(client, audio, [500])
        np.testing.assert_allclose(made, SHARES[[5, 0], None, None] * audio, atol=1e-6)
        with pytest.raises(InputError, match="vocals"):
            client.open("live", stems=["vocals"])


def test_opening_again_changes_rate_model_and_mode_on_the_same_connection(
    engine: EngineThread,
) -> None:
    audio = noise(4000)
    with engine.client() as client:
        latency = {client.open("live", rate).latency for rate in (44100, 48000, 88200)}
        assert len(latency) == 3
        client.process(audio[:, :100])  # left unread: its stems must not show up below
        client.open("chunked", mode="offline")
        wanted = Separator(engine.settings.load("chunked")).separate(audio, 44100)
        np.testing.assert_array_equal(client.separate(audio)["kick"], wanted["kick"])
        assert len(client.status()["sessions"]) == 1


def test_reset_starts_anew_without_a_trace_of_the_past(engine: EngineThread) -> None:
    first, second = noise(3000, seed=1), noise(3000, seed=2)
    with engine.client() as client:
        client.open("live", max_block=100)
        for start in range(0, 3000, 100):
            client.process(first[:, start : start + 100], patience=0)
        client.reset()
        made = through(client, second, [100])
        np.testing.assert_allclose(made, SHARES[:, None, None] * second, atol=1e-6)
        with pytest.raises(InputError, match="flushed"):
            client.process(second)


def test_sessions_share_a_model_and_get_their_own_stems(engine: EngineThread) -> None:
    clients = [engine.client(name=f"client {number}") for number in range(5)]
    try:
        audio = [noise(4000, seed=number) for number in range(5)]
        for client in clients:
            client.open("live", max_block=250)
        parts: list[list[Stems]] = [[] for _ in clients]
        for start in range(0, 4000, 250):
            for number, client in enumerate(clients):
                block = audio[number][:, start : start + 250]
                parts[number].append(client.process(block, patience=20))
        status = clients[0].status()
        assert {session["client"] for session in status["sessions"]} == {
            f"client {number}" for number in range(5)
        }
        assert [model["leases"] for model in status["models"] if model["name"] == "live"] == [5]
        for number, client in enumerate(clients):
            made = stack([*parts[number], client.flush()])[..., client.latency_samples :]
            np.testing.assert_allclose(
                made, SHARES[:, None, None] * audio[number], atol=1e-6, err_msg=str(number)
            )
    finally:
        for client in clients:
            client.close()


def test_unknown_models_and_wrong_settings_are_typed_errors(engine: EngineThread) -> None:
    with engine.client() as client:
        with pytest.raises(ModelNotFoundError, match="no model"):
            client.open("/etc/passwd")
        with pytest.raises(InputError, match="rate"):
            client.open("live", 10.0)
        with pytest.raises(InputError, match="mono or 2"):
            client.open("live", 44100, 3)
        with pytest.raises(InputError, match="max_block"):
            client.open("live", max_block=0)
        with pytest.raises(InputError, match="preset"):
            client.open("chunked", mode="offline", preset="loud")
        with pytest.raises(BridgeError, match="no stream"):
            client.process(noise(10))
        client.open("live")  # and after all that it still works
        client.process(noise(10))


def test_a_session_too_many_is_a_limit_error_and_closing_one_makes_room() -> None:
    models = {"live": lambda: IdentityModel(chunking=Chunking(64, 2, "live"))}
    with EngineThread(models, max_sessions=2) as engine:
        clients = [engine.client() for _ in range(3)]
        clients[0].open("live")
        clients[1].open("live")
        with pytest.raises(LimitError, match="2 streams"):
            clients[2].open("live")
        clients[0].close()
        while len(clients[1].status()["sessions"]) > 1:
            pass
        clients[2].open("live")
        for client in clients:
            client.close()


def test_statistics_and_parameters(engine: EngineThread) -> None:
    with engine.client() as client:
        client.open("live")
        client.process(noise(1000), patience=20)
        stats = client.stats()
        assert stats.taken == 1000
        assert stats.real_time_ratio > 0
        assert client.set_parameter("fallback", 1) == 1
        for name, value in (("fallback", 2.0), ("board/kick/0/gain_db", 1.0), ("x", 0.0)):
            with pytest.raises(InputError):
                client.set_parameter(name, value)


def test_two_models_run_side_by_side(engine: EngineThread) -> None:
    audio = noise(3000)
    with engine.client() as one, engine.client() as two:
        one.open("live", max_block=500)
        two.open("chunked", mode="offline")
        a: list[Any] = [one.process(audio[:, :500], patience=20)]
        whole = two.separate(audio)
        for start in range(500, 3000, 500):
            a.append(one.process(audio[:, start : start + 500], patience=20))
        made = stack([*a, one.flush()])[..., one.latency_samples :]
        np.testing.assert_allclose(made, SHARES[:, None, None] * audio, atol=1e-6)
        np.testing.assert_allclose(whole["ride"], 2 * audio, atol=1e-6)
