# SPDX-License-Identifier: GPL-3.0-or-later
"""A third-party VST3 in a session's board: heard, in place, and its latency reported.

ZaMaximX2 is a stereo limiter with lookahead: what stays below its ceiling passes unchanged, late.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
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


def latency_that_it_reports() -> int:
    """In a process of its own: one process has one thread for plugins, and this one has had its."""
    lines = (
        "import numpy, pedalboard",
        f"plugin = pedalboard.load_plugin({str(PLUGIN)!r})",
        "plugin.process(numpy.zeros((2, 4096), 'f4'), 44100.0)",
        "print(plugin.reported_latency_samples)",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


def board(folder: Path, name: str, chain: list[dict[str, object]]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"stems": {"kick": chain}}))
    return path


def test_a_third_party_vst3_runs_on_its_stem_and_its_latency_is_in_the_reported_one(
    process: EngineProcess, tmp_path: Path
) -> None:
    own = latency_that_it_reports()
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


def test_a_third_party_vst3_in_a_chain_is_heard_late_as_told_and_kept_with_its_state(
    process: EngineProcess,
) -> None:
    limiter = {"id": "a", "effect": f"vst3/{PLUGIN.name}"}
    audio = np.zeros((2, 6000), np.float32)
    audio[:, 3777] = 0.25
    with process.client() as client:
        listed = {one["effect"]: one["title"] for one in client.effects()["plugins"]}
        assert listed[f"vst3/{PLUGIN.name}"] == "ZaMaximX2"
        before = client.open("live", 44100, 2, max_block=250)
        (found,) = client.set_chain({"kick": [limiter]})["kick"]
        assert "error" not in found
        assert found["latency"] > 0
        assert client.latency_samples == before.latency + 127 + found["latency"]
        parts = [client.process(audio[:, at : at + 250], patience=30) for at in range(0, 6000, 250)]
        for stem, share in (("kick", 1.0), ("snare", 0.5)):
            heard = np.concatenate([part[stem] for part in parts], axis=1)
            assert (np.abs(heard).argmax(axis=1) == 3777 + client.latency_samples).all(), stem
            np.testing.assert_allclose(np.abs(heard).max(axis=1), 0.25 * share, rtol=0.02)

        names = {one["name"]: one for one in found["parameters"]}
        assert names["output_ceiling_db"]["text"].endswith("dB")
        loud = np.full((2, 500), 0.9, np.float32)

        def level(ceiling: float) -> tuple[float, dict[str, Any]]:
            entry = {**limiter, "parameters": {"output_ceiling_db": ceiling, "threshold_db": 0.5}}
            client.set_chain({"kick": [entry]})
            for _ in range(40):
                heard = client.process(loud, patience=30)["kick"]
            # Once a plugin has run with its parameters, its state has them, too.
            (state,) = client.set_chain({"kick": [entry]})["kick"]
            return float(np.abs(heard).max()), state

        quiet, _ = level(0.3)
        louder, state = level(0.8)
        assert louder > 2 * quiet
        values = {one["name"]: one["value"] for one in state["parameters"]}
        assert values["output_ceiling_db"] == pytest.approx(0.8)
        assert state["state"]
        again = {**limiter, "id": "b", "state": state["state"]}
        (same,) = client.set_chain({"kick": [again]})["kick"]
        restored = {one["name"]: one["value"] for one in same["parameters"]}
        for name in ("output_ceiling_db", "threshold_db", "release_ms"):
            assert restored[name] == pytest.approx(values[name]), name
        assert client.stats().errors == 0


def test_a_plugin_that_is_mono_runs_on_both_channels(process: EngineProcess) -> None:
    with process.client() as client:
        client.open("live", 44100, 2, max_block=500, stems=["kick"])
        (found,) = client.set_chain({"kick": [{"id": "a", "effect": "vst3/ZamComp.vst3"}]})["kick"]
        assert "error" not in found
        wave = np.stack([np.full(500, 0.2), np.zeros(500)]).astype(np.float32)
        for _ in range(20):
            heard = client.process(wave, patience=30)["kick"]
        assert np.abs(heard[0]).max() > 0.05
        assert np.abs(heard[1]).max() < 1e-3
