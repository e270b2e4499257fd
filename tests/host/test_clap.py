# SPDX-License-Identifier: GPL-3.0-or-later
"""The CLAP plugin in a host of ours: what it says of itself, and its stems offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.testing import STEMS


@pytest.fixture
def clap(build: Path) -> Path:
    """The plugin's file."""
    file = build / "LARS_artefacts" / "Release" / "CLAP" / "LARS.clap"
    if not file.exists():
        pytest.skip("no CLAP plugin: clap-juce-extensions is in no package; set LARS_CLAP_DIR")
    return file


def test_a_host_gets_the_stems_of_the_clap_plugin(
    models: ModuleType, clap: Path, start_engine: Callable[[], EngineProcess], tmp_path: Path
) -> None:
    audio = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 60000)).astype(np.float32)
    np.save(tmp_path / "audio.npy", audio)
    with start_engine() as engine:
        # No screen: JUCE would take another test's, and end with it.
        environment = {**os.environ, "LARS_RUNTIME_DIR": str(engine.runtime), "DISPLAY": ":9999"}
        host = Path(__file__).with_name("clap_host.py")
        files = (clap, tmp_path / "audio.npy", tmp_path / "made.npy")
        done = subprocess.run(
            [sys.executable, host, *files],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["id"] == "org.lars.plugin"
    assert [channels for _, channels in said["inputs"]] == [2]
    assert [channels for _, channels in said["outputs"]] == [2] * 8
    assert said["latency"] > 0
    made = np.load(tmp_path / "made.npy")
    for stem, share, bus in zip(STEMS, models.SHARES, made.reshape(8, 2, -1)[1:], strict=False):
        np.testing.assert_allclose(bus, share * audio, rtol=0, atol=1e-6, err_msg=stem)
    np.testing.assert_allclose(made[:2], audio, rtol=0, atol=1e-6)
