# SPDX-License-Identifier: GPL-3.0-or-later
"""A third-party VST3 in a session's board: heard, in place, and its latency reported.

ZaMaximX2 is a stereo limiter with lookahead: what stays below its ceiling passes unchanged, late.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pedalboard
import pytest
import torch

from lars_plugin.bridge.local_engine import EngineProcess

PLUGIN = Path("/usr/lib/vst3/ZaMaximX2.vst3")

pytestmark = pytest.mark.skipif(
    not PLUGIN.exists(), reason="needs a VST3: apt-get install zam-plugins"
)


@pytest.fixture(autouse=True)
def _subnormals() -> Iterator[None]:
    """This plugin leaves its thread with subnormal numbers flushed to zero: set that right."""
    yield
    torch.set_flush_denormal(False)


def board(folder: Path, name: str, chain: list[dict[str, object]]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"stems": {"kick": chain}}))
    return path


def test_a_third_party_vst3_runs_on_its_stem_and_its_latency_is_in_the_reported_one(
    process: EngineProcess, tmp_path: Path
) -> None:
    plugin = pedalboard.load_plugin(str(PLUGIN))  # type: ignore[attr-defined]
    plugin.process(np.zeros((2, 4096), np.float32), 44100.0)
    own = plugin.reported_latency_samples  # type: ignore[attr-defined]
    assert own > 0
    limiter = board(tmp_path, "limiter", [{"vst3": str(PLUGIN)}])
    gain = board(tmp_path, "gain", [{"plugin": "Gain", "gain_db": 0.0}])
    audio = np.zeros((2, 6000), np.float32)
    audio[:, 1777] = 0.25
    with process.client() as client:
        without = client.open("live", max_block=250, board=gain).board_latency
        opened = client.open("live", max_block=250, board=limiter)
        assert opened.board_latency - without == own
        assert opened.latency == (
            opened.model_latency
            + opened.resampling_latency
            + opened.buffering_latency
            + opened.board_latency
        )
        parts = [client.process(audio[:, at : at + 250], patience=30) for at in range(0, 6000, 250)]
        parts.append(client.flush())
        for stem, share in (("kick", 1.0), ("snare", 0.5)):
            made = np.concatenate([part[stem] for part in parts], axis=1)
            assert (np.abs(made).argmax(axis=1) == 1777 + opened.latency).all(), stem
            np.testing.assert_allclose(np.abs(made).max(axis=1), 0.25 * share, rtol=0.02)


def test_a_parameter_of_a_third_party_vst3_is_set_from_the_file_and_changed_live(
    process: EngineProcess, tmp_path: Path
) -> None:
    chain: list[dict[str, object]] = [
        {"vst3": str(PLUGIN), "parameters": {"threshold_db": -20.0, "output_ceiling_db": -20.0}}
    ]
    loud = np.full((2, 500), 0.9, np.float32)
    with process.client() as client:
        client.open("live", max_block=500, board=board(tmp_path, "loud", chain), stems=["kick"])

        def level() -> float:
            for _ in range(40):
                made = client.process(loud, patience=30)["kick"]
            return float(np.abs(made).max())

        held = level()
        assert held < 0.2
        assert client.set_parameter("board/kick/0/output_ceiling_db", -6.0) == pytest.approx(-6)
        assert level() > 2 * held
        assert client.stats().errors == 0
