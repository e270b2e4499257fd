# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that fail: the live track goes on in place, offline says what happened."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lars_plugin.bridge.client.streams import Client
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.errors import EngineError, LarsError, ModelFormatError, NonFiniteError

Check = Callable[[], None]

SHARES = np.array([1, 0.5, 0.25, 0.125, 2, 4], np.float32)


def live_run(client: Client, audio: np.ndarray, block: int = 250) -> np.ndarray:
    parts = [
        client.process(audio[:, at : at + block], patience=30)
        for at in range(0, audio.shape[1], block)
    ]
    parts.append(client.flush())
    made = np.concatenate([np.stack(list(part.values())) for part in parts], axis=2)
    return made[..., client.latency_samples :]


@pytest.mark.parametrize(
    ("model", "kind"),
    [("raises", EngineError), ("nan", NonFiniteError), ("out-of-memory", EngineError)],
)
@pytest.mark.parametrize("fallback", ["dry", "silence"])
def test_a_live_model_that_fails_once_is_replaced_for_that_moment_only(
    process: EngineProcess, witness: Check, model: str, kind: type[LarsError], fallback: str
) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 5000)).astype(np.float32)
    with process.client() as client:
        client.open(f"{model}-{fallback}", max_block=250, fallback=fallback)  # type: ignore[arg-type]
        made = live_run(client, audio)
        stats = client.stats()
        assert stats.errors == 1
        assert isinstance(client.error, kind)
    wrong = np.abs(made - SHARES[:, None, None] * audio).max(axis=(0, 1)) > 1e-6
    where = np.flatnonzero(wrong)
    assert 0 < len(where) <= 512
    assert where[-1] - where[0] < 512
    assert stats.replaced >= len(where)
    middle = made[..., where[len(where) // 2]]
    dry = audio[:, where[len(where) // 2]] / 6 if fallback == "dry" else np.zeros(2)
    np.testing.assert_allclose(middle, np.broadcast_to(dry, (6, 2)), atol=1e-6)
    witness()


@pytest.mark.parametrize(
    ("model", "kind"), [("raises-chunked", EngineError), ("nan-chunked", NonFiniteError)]
)
def test_an_offline_model_that_fails_is_a_typed_error_and_reset_starts_anew(
    process: EngineProcess, witness: Check, model: str, kind: type[LarsError]
) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 20000)).astype(np.float32)
    with process.client() as client:
        client.open(model, mode="offline")
        with pytest.raises(kind):
            client.separate(audio)
        client.reset()
        made = client.separate(audio)
        np.testing.assert_allclose(made["crash"], 4 * audio, atol=1e-5)
    witness()


def test_a_model_that_cannot_be_loaded_is_a_typed_error_each_time(
    process: EngineProcess, witness: Check
) -> None:
    with process.client() as one, process.client() as two:
        for client in (one, two, one):
            with pytest.raises(ModelFormatError, match="cannot be loaded"):
                client.open("broken")
        one.open("live")
    witness()


def test_a_session_whose_chunks_fail_does_not_fail_those_batched_with_it(
    process: EngineProcess,
) -> None:
    good = np.full((2, 4000), 0.25, np.float32)
    bad = np.full((2, 4000), 3.0, np.float32)
    with process.client() as one, process.client() as two:
        one.open("picky", max_block=4000)
        two.open("picky", max_block=4000)
        two.process(bad, patience=0)
        made = one.process(good, patience=30)["kick"]
        np.testing.assert_allclose(made[:, one.latency_samples :], 0.25, atol=1e-6)
        assert one.stats().errors == 0
        two.flush()
        assert isinstance(two.error, EngineError)
        assert two.stats().errors > 0


def test_a_model_slower_than_real_time_is_replaced_counted_and_stays_in_place(
    process: EngineProcess, witness: Check
) -> None:
    samples = 60000
    ramp = np.arange(1, samples + 1, dtype=np.float32) / 131072  # each sample says where it is
    audio = np.stack([ramp, -ramp])
    with process.client() as client:
        opened = client.open("slow", max_block=500, fallback="silence")
        parts = [
            client.process(audio[:, at : at + 500], patience=0.002) for at in range(0, samples, 500)
        ]
        made = np.concatenate([part["kick"] for part in parts], axis=1)[:, opened.latency :]
        wanted = audio[:, : made.shape[1]]
        right = (np.abs(made - wanted) < 1e-6).all(axis=0)
        silent = (made == 0).all(axis=0)
        # A chunk may fade in or out of the silence that stands in for its neighbours.
        assert (np.abs(made) <= np.abs(wanted) + 1e-6).all()
        assert (right | silent).mean() > 0.7
        stats = client.stats()
        assert stats.missing > samples / 2
        assert stats.missing == int((~right).sum()) or stats.replaced > 0
        client.flush()
        client.reset()
        again = live_run_exactly(client, audio[:, :2000])
        np.testing.assert_allclose(again, audio[:, :2000], atol=1e-6)


def live_run_exactly(client: Client, audio: np.ndarray) -> np.ndarray:
    made: np.ndarray = live_run(client, audio)[0]
    return made


def test_a_slow_model_does_not_hold_up_another(process: EngineProcess, witness: Check) -> None:
    with process.client() as client:
        client.open("slow-chunked", mode="offline")
        for at in range(0, 20000, 1000):
            client._send_audio(at, np.zeros((2, 1000), np.float32))
        witness()
