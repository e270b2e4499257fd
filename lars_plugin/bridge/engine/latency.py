# SPDX-License-Identifier: GPL-3.0-or-later
"""What a live stream is late by, term by term, for a model, a rate and a block.

No engine, and no weights, are needed for that: it is a matter of the configuration alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.bridge.engine.plan import Latency, plan_latency, plan_stream
from lars_plugin.bridge.protocol.messages import Open
from lars_plugin.errors import EngineError
from lars_plugin.model import Model, ModelConfig

__all__ = ["BLOCKS", "RATES", "latency_table", "live_latency"]

RATES = (44100, 48000, 96000)
BLOCKS = (64, 128, 512, 2048)

Wave = NDArray[np.float32]


class _Unloaded:
    """Stands where a network would."""

    name = "not loaded"

    def __call__(self, batch: Wave) -> Wave:
        raise EngineError(f"{len(batch)} chunks, but no network: use lars_plugin.zoo.load_model")

    def initial_state(self) -> Any:
        return ()

    def step(self, hops: Wave, state: Any) -> tuple[Wave, Any]:
        return self(hops[None])[0], state


def live_latency(config: ModelConfig, sample_rate: float, block: int) -> Latency:
    """The terms that OPENED would report for a live stream with the engine's own choices.

    Args:
        config: of the model.
        sample_rate: of the stream, Hz.
        block: the largest block to come, in samples.
    """
    requested = Open(mode=Open.LIVE, sample_rate=sample_rate, max_block=block)
    stream, chunking = plan_stream(Model(config, _Unloaded()), requested)
    return plan_latency(requested, stream, chunking, config.sample_rate, board=0)


def latency_table(
    configs: Sequence[ModelConfig], rates: Sequence[int] = RATES, blocks: Sequence[int] = BLOCKS
) -> str:
    """The same for every model, rate and block, in Markdown; samples of the stream's rate.

    Blocks for which all is the same share a row.
    """
    lines = [
        "| model | rate, Hz | block | model | resampling | buffering | total | total, ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for config in configs:
        for rate in rates:
            rows: dict[Latency, list[int]] = {}
            for block in blocks:
                rows.setdefault(live_latency(config, rate, block), []).append(block)
            for terms, alike in rows.items():
                lines.append(
                    f"| {config.name} | {rate} | {', '.join(map(str, alike))} | {terms.model}"
                    f" | {terms.resampling} | {terms.buffering} | {terms.total}"
                    f" | {1000 * terms.total / rate:.1f} |"
                )
    return "\n".join(lines)
