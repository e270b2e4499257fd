# SPDX-License-Identifier: GPL-3.0-or-later
"""Live sessions show networks the views of recordings that streams in the process show them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.bridge.local_engine import EngineThread
from lars_plugin.model import Chunking, Model, ModelConfig

Wave = NDArray[np.float32]

STEMS = ("kick", "snare")


class Middle:
    """What both channels share, and the rest; hop by hop if asked."""

    name = "middle"

    def __call__(self, batch: Wave) -> Wave:
        middle = np.repeat(batch.mean(axis=1, keepdims=True), 2, axis=1)
        return np.stack([middle, batch - middle], axis=1)


class MiddleHops(Middle):
    def initial_state(self) -> None:
        return None

    def step(self, hops: Wave, state: None) -> tuple[Wave, None]:
        return self(hops[None])[0], state


MODELS = {
    "chunks": lambda: Model(
        ModelConfig(
            "chunks", STEMS, Chunking(512, 4, "live", lookahead=64, fade=32), architecture="toy"
        ),
        Middle(),
    ),
    "hops": lambda: Model(
        ModelConfig("hops", STEMS, Chunking(128, 1, "causal"), architecture="toy"), MiddleHops()
    ),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with EngineThread(MODELS) as engine:
        yield engine


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("gains", [(1, 0), (0, 1), (1, -1), (-0.4, 0.9)])
def test_a_live_session_separates_one_signal_as_mono(
    engine: EngineThread, model: str, gains: tuple[float, float]
) -> None:
    drum = np.random.default_rng(0).standard_normal(4096).astype(np.float32) * 0.2
    audio = np.array(gains, np.float32)[:, None] * drum
    with engine.client() as client:
        client.open(model, 44100, 2, max_block=128)
        parts = [
            client.process(audio[:, at : at + 128], patience=30)
            for at in range(0, audio.shape[1], 128)
        ]
        parts.append(client.flush())
        made = np.concatenate([np.stack(list(part.values())) for part in parts], axis=2)
        made = made[..., client.latency_samples :]
        assert client.stats().missing == client.stats().replaced == 0
    # The first hop is where the view of a causal network fades in.
    np.testing.assert_allclose(made[0, :, 128:], audio[:, 128:], atol=1e-5)
    np.testing.assert_allclose(made[1, :, 128:], 0, atol=1e-5)
    np.testing.assert_allclose(made.sum(0), audio, atol=1e-6)
