# SPDX-License-Identifier: GPL-3.0-or-later
"""CHAIN and EFFECTS: effects behind the stems of a stream, set while it plays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pedalboard import Compressor, PeakFilter, Reverb

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.messages import Open
from lars_plugin.chain import StemBoard
from lars_plugin.errors import BridgeError, InputError, ProtocolError
from lars_plugin.model import Chunking
from lars_plugin.testing import IdentityModel
from tests.bridge.test_hearing import Peer
from tests.models import SHARES

RATE = 44100
STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")
Entry = dict[str, Any]


def offline() -> Any:
    return IdentityModel(shares=SHARES)


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    models = {
        "offline": offline,
        "live": lambda: IdentityModel(chunking=Chunking(256, 2, "live"), shares=SHARES),
    }
    with EngineThread(models) as engine:
        yield engine


def noise(samples: int = 30_000, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


def effect(name: str, key: str = "", **values: float) -> Entry:
    return {"id": key or name, "effect": name, "parameters": values}


def separated(client: Client, wave: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    stems = client.separate(wave)
    return {name: stems[name] for name in stems}


def goes_on(client: Client) -> None:
    """The stream gives stems as if nothing had been."""
    found = client.separate(noise(4000)).sum()
    np.testing.assert_allclose(found, sum(SHARES) * noise(4000), atol=1e-5)


SQUASH = effect("Compressor", threshold_db=-30.0, ratio=8.0, attack_ms=2.0, release_ms=50.0)
BELL = effect("PeakFilter", cutoff_frequency_hz=900.0, gain_db=9.0, q=2.0)
ROOM = effect("Reverb", room_size=0.7, damping=0.2, wet_level=0.5, dry_level=0.5, width=1.0)


def test_a_chain_is_stem_boards_offline_to_the_sample(engine: EngineThread) -> None:
    wave = noise()
    board = StemBoard(
        separator=offline(),
        stems={
            "kick": [
                Compressor(-30.0, 8.0, 2.0, 50.0),
                PeakFilter(cutoff_frequency_hz=900.0, gain_db=9.0, q=2.0),
            ],
            "hihat": [Reverb(0.7, 0.2, 0.5, 0.5, 1.0)],
        },
    )
    expected = board.process_stems(wave, RATE, 128)
    with engine.client() as client:
        client.open("offline", RATE, 2, mode="offline")
        state = client.set_chain({"kick": [SQUASH, BELL], "hihat": [ROOM]})
        assert not any("error" in entry for chain in state.values() for entry in chain)
        found = separated(client, wave)
    for name in STEMS:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6, err_msg=name)


def test_the_order_of_a_chain_matters_and_can_be_changed(engine: EngineThread) -> None:
    wave = noise()
    drive = effect("Distortion", drive_db=30.0)
    with engine.client() as client:
        client.open("offline", RATE, 2, mode="offline")
        client.set_chain({"snare": [drive, BELL]})
        one = separated(client, wave)
        client.set_chain({"snare": [BELL, drive]})
        other = separated(client, wave)
    assert np.abs(one["snare"] - other["snare"]).max() > 0.05
    np.testing.assert_array_equal(one["kick"], other["kick"])


def test_a_bypassed_chain_and_one_that_was_removed_are_none_to_the_bit(
    engine: EngineThread,
) -> None:
    wave = noise()
    limit = effect("BrickwallLimiter", ceiling_db=-20.0)
    with engine.client() as client:
        latency = client.open("offline", RATE, 2, mode="offline").latency
        plain = separated(client, wave)
        client.set_chain({"kick": [SQUASH, limit]})
        late = client.latency_samples
        assert late > latency
        assert np.abs(separated(client, wave)["kick"] - plain["kick"]).max() > 0.01
        off = [{**entry, "bypass": True} for entry in (SQUASH, limit)]
        state = client.set_chain({"kick": off})
        assert client.latency_samples == late
        assert [entry["bypass"] for entry in state["kick"]] == [True, True]
        for name, stem in separated(client, wave).items():
            np.testing.assert_array_equal(stem, plain[name])
        client.set_chain({})
        assert client.latency_samples == latency
        for name, stem in separated(client, wave).items():
            np.testing.assert_array_equal(stem, plain[name])


def test_an_entry_that_cannot_be_had_is_named_and_the_others_play(engine: EngineThread) -> None:
    wave = noise()
    bad = {"id": "x", "effect": "Flanger"}
    gone = {"id": "y", "effect": "vst3/Nowhere.vst3", "state": "AAAA"}
    path = {"id": "z", "effect": "vst3//usr/lib/vst3/ZaMaximX2.vst3"}
    with engine.client() as client:
        client.open("offline", RATE, 2, mode="offline")
        client.set_chain({"kick": [SQUASH, BELL]})
        good = separated(client, wave)["kick"]
        state = client.set_chain({"kick": [bad, SQUASH, gone, BELL, path]})["kick"]
        assert "no effect 'Flanger'" in state[0]["error"]
        assert client.status()["sessions"][-1]["effects"] == 5
        assert "Nowhere.vst3 is not installed" in state[2]["error"]
        assert "is not installed" in state[4]["error"]  # never by a path
        assert "error" not in state[1]
        assert "error" not in state[3]
        np.testing.assert_array_equal(separated(client, wave)["kick"], good)


def test_the_state_that_is_told_makes_the_same_chain_again(engine: EngineThread) -> None:
    wave = noise()
    with engine.client() as client:
        client.open("offline", RATE, 2, mode="offline")
        described = client.set_chain({"toms": [SQUASH, {**BELL, "bypass": True}, ROOM]})
        first = separated(client, wave)
    again = {
        stem: [
            {
                "id": entry["id"],
                "effect": entry["effect"],
                "bypass": entry["bypass"],
                "parameters": {one["name"]: one["value"] for one in entry["parameters"]},
            }
            for entry in chain
        ]
        for stem, chain in described.items()
    }
    with engine.client() as client:
        client.open("offline", RATE, 2, mode="offline")
        assert client.set_chain(again) == described
        for name, stem in separated(client, wave).items():
            np.testing.assert_array_equal(stem, first[name])


@pytest.mark.parametrize("mode", ["live", "offline"])
def test_an_impulse_is_where_the_latency_says_on_every_stem(
    engine: EngineThread, mode: Any
) -> None:
    audio = np.zeros((2, 9000), np.float32)
    audio[:, 3333] = 0.25
    with engine.client() as client:
        before = client.open(mode, RATE, 2, mode=mode, max_block=250)
        for at in range(0, 1000, 250):
            client.process(audio[:, at : at + 250], patience=30)
        client.set_chain({"kick": [effect("BrickwallLimiter")], "ride": [effect("Gain")]})
        assert client.latency_samples == before.latency + 127 + 220
        # The stream begins anew where it is; what goes in from now on is in its place.
        start = 1000
        parts = [
            client.process(audio[:, at : at + 250], patience=30) for at in range(start, 9000, 250)
        ]
        for stem in STEMS:
            heard = np.concatenate([part[stem] for part in parts], axis=1)
            at = np.abs(heard).argmax(axis=1) + start
            assert (at == 3333 + client.latency_samples).all(), stem
        assert client.stats().missing == client.stats().late == 0


def test_settings_and_bypasses_change_nothing_else_while_a_live_stream_plays(
    engine: EngineThread,
) -> None:
    level = np.full((2, 256), 0.25, np.float32)
    with engine.client() as client:
        client.open("live", RATE, 2, max_block=256)

        def wanted(gain: float, bypass: bool = False) -> dict[str, list[Entry]]:
            return {"kick": [{**effect("Gain", gain_db=gain), "bypass": bypass}]}

        client.set_chain(wanted(0.0))
        epoch, late = client._epoch, client.latency_samples
        heard = []
        for turn in range(120):
            if turn in (30, 60, 90):
                client.set_chain(wanted(-12.0 if turn == 30 else 6.0, turn == 90))
            heard.append(client.process(level, patience=30))
        assert (client._epoch, client.latency_samples) == (epoch, late)
        share = heard[-1]["kick"][0, -1]
        kick = np.concatenate([part["kick"] for part in heard], axis=1)[0, late + 256 :]
        snare = np.concatenate([part["snare"] for part in heard], axis=1)[0, late + 256 :]
        # 0, -12, +6 dB and bypassed; each is reached, and no step on the way is a click.
        for turn, db in ((28, 0.0), (58, -12.0), (88, 6.0), (118, 0.0)):
            at = turn * 256 - late - 256
            assert kick[at] == pytest.approx(share * 10 ** (db / 20), rel=0.01)
        assert np.abs(np.diff(kick)).max() < 0.04  # at once it would be 0.44
        assert np.ptp(snare) < 1e-6
        assert client.stats().errors == client.stats().replaced == 0


def test_another_stem_gets_its_first_effect_and_loses_it_while_a_live_stream_goes_on(
    engine: EngineThread,
) -> None:
    level = np.full((2, 256), 0.25, np.float32)
    kick = {"kick": [effect("Gain")]}
    with engine.client() as client:
        client.open("live", RATE, 2, max_block=256)
        client.set_chain(kick)
        epoch, late = client._epoch, client.latency_samples
        heard = []
        for turn in range(60):
            if turn in (20, 40):
                client.set_chain(kick if turn == 40 else {**kick, "snare": [effect("Invert")]})
            heard.append(client.process(level, patience=30)["snare"])
        assert (client._epoch, client.latency_samples) == (epoch, late)
        assert heard[35].min() == heard[35].max() == -heard[-1].max() < 0
        assert client.stats().missing == 0


def test_what_was_missing_stays_counted_when_a_chain_begins_the_stream_anew(
    engine: EngineThread,
) -> None:
    with engine.client() as client:
        client.open("live", RATE, 2, max_block=256)
        for _ in range(40):
            client.process(np.zeros((2, 256), np.float32), patience=0)
        missing = client.missing_samples
        assert missing > 0
        client.set_chain({"kick": [effect("Gain")]})
        assert client.missing_samples >= missing


def test_the_sum_before_the_chains_goes_along_when_it_is_wanted(engine: EngineThread) -> None:
    wave = noise(20_000)
    peer = Peer(engine)
    peer.ask(Open(mode=Open.OFFLINE, model="offline"), messages.Opened)
    chains = json.dumps({"stems": {"kick": [effect("BrickwallLimiter", ceiling_db=-24.0)]}})
    state = peer.ask(messages.Chain(total=1, chains=chains.encode()), messages.ChainState)
    assert isinstance(state, messages.ChainState)
    assert (state.anew, state.total, state.board_latency) == (1, 1, 127 + 220)
    # Until RESET nothing comes.
    peer.play(wave, 4000)
    peer.ask(messages.Flush(position=20_000), messages.Error)
    assert not any(isinstance(one, messages.Stems) for one in peer.got)
    peer.ask(messages.Reset(epoch=5), messages.ResetDone)
    peer.play(wave, 4000, epoch=5)
    peer.ask(messages.Flush(position=20_000, epoch=5), messages.Flushed)
    parts = [one.wave() for one in peer.got if isinstance(one, messages.Stems)]
    stems = np.concatenate(parts, axis=2)
    assert stems.shape == (7, 2, 20_000)
    np.testing.assert_allclose(stems[6], sum(SHARES) * wave, atol=1e-5)
    assert np.abs(stems[:6].sum(axis=0) - stems[6]).max() > 0.01
    state = peer.ask(messages.Chain(total=1, chains=b'{"stems": {}}'), messages.ChainState)
    assert isinstance(state, messages.ChainState)
    assert (state.anew, state.total, state.board_latency) == (1, 0, 0)
    peer.link.close()


@pytest.mark.parametrize(
    "chains",
    [
        b"not json",
        b"[" * 5000,
        b"[]",
        b'{"stems": []}',
        b'{"stems": {"kick": {}}}',
        b'{"stems": {"kick": [{"id": "a"}]}}',
        b'{"stems": {"kick": [{"id": "a", "effect": "Gain", "bypass": 1}]}}',
        b'{"stems": {"kick": [{"id": "a", "effect": "Gain", "parameters": {"gain_db": "x"}}]}}',
        b'{"stems": {"kick": [{"id": "a", "effect": "Gain", "parameters": {"gain_db": NaN}}]}}',
        b'{"stems": {"kick": [{"id": "a", "effect": "Gain", "state": "?"}]}}',
        '{"stems": {"kick": [{"id": "a", "effect": "Gain", "state": "é"}]}}',
        b'{"stems": {"kick": [{"id": "\\ud800", "effect": "Gain"}]}}',  # half a character
        b'{"stems": {"kick": [{"id": "a", "effect": "Gain", "parameters": {"q": 1%s}}]}}'
        % (b"0" * 400),
        b'{"stems": {"kick": [{"id": "a", "effect": "Gain"}, {"id": "a", "effect": "Gain"}]}}',
        json.dumps({"stems": {"kick": [{"id": str(i), "effect": "Gain"} for i in range(17)]}}),
    ],
)
def test_what_is_no_chain_is_refused_and_the_stream_goes_on(
    engine: EngineThread, chains: bytes | str
) -> None:
    data = chains.encode() if isinstance(chains, str) else chains
    with engine.client() as client:
        client.open("offline", RATE, 2, mode="offline")
        with pytest.raises(InputError):
            client._ask(messages.Chain(chains=data), messages.ChainState)
        goes_on(client)


def test_a_chain_without_a_stream_and_one_for_another_models_stem(engine: EngineThread) -> None:
    with engine.client() as client:
        with pytest.raises(ProtocolError, match="without a stream"):
            client._ask(messages.Chain(chains=b'{"stems": {}}'), messages.ChainState)
        client.open("offline", RATE, 2, mode="offline", stems=["kick", "snare"])
        with pytest.raises(InputError, match="float32 cannot be in a chain"):
            client.set_chain({"kick": [{**BELL, "parameters": {"q": np.float32(1)}}]})
        described = client.set_chain({"kick": [BELL], "ride": [BELL]})
        assert [len(described[stem]) for stem in described] == [1, 0]


def test_the_effects_are_listed_with_their_ranges(engine: EngineThread) -> None:
    with engine.client() as client:
        found = client.effects()
    by_name = {one["effect"]: one for one in found["effects"]}
    assert by_name["Compressor"]["parameters"][0] == {
        "name": "threshold_db",
        "title": "Threshold",
        "min": -60.0,
        "max": 0.0,
        "default": -18.0,
        "unit": "dB",
    }
    assert all(one["effect"].startswith("vst3/") for one in found["plugins"])
    assert not any("lars" in one["effect"].lower() for one in found["plugins"])


def test_older_versions_never_see_a_chain(
    engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.client() as client:
        monkeypatch.setattr(client._live_link(), "version", 2)
        for ask in (client.effects, lambda: client.set_chain({})):
            with pytest.raises(BridgeError, match="too old for effects"):
                ask()
    monkeypatch.undo()
    with monkeypatch.context() as patch:
        patch.setattr("lars_plugin.bridge.client.link.limits.VERSION_MAX", 2)
        old = engine.client()
    with old:
        assert old.engine.version == 2
        old.open("offline", RATE, 2, mode="offline")
        goes_on(old)
