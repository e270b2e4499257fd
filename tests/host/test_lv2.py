# SPDX-License-Identifier: GPL-3.0-or-later
"""The LV2 plugin: found by its URI, and its stems in Ardour's export."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.testing import STEMS

URI = "https://lars.invalid/plugin"


@pytest.fixture
def lv2(build: Path) -> Path:
    """The plugin's bundle."""
    bundle = build / "LARS_artefacts" / "Release" / "LV2" / "LARS.lv2"
    if not (bundle / "manifest.ttl").exists():
        pytest.skip("the LV2 plugin is not built: cmake -DLARS_LV2=ON")
    return bundle


def test_the_bundle_is_found_by_its_uri_with_all_its_ports(lv2: Path) -> None:
    if shutil.which("lv2info") is None:
        pytest.skip("no lv2info: apt-get install lilv-utils")
    environment = {**os.environ, "LV2_PATH": str(lv2.parent)}

    def say(*command: str) -> str:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=True
        ).stdout

    assert say("lv2ls").split() == [URI]
    ports = say("lv2info", URI).split("\tPort ")[1:]
    audio = [port for port in ports if "#AudioPort" in port]
    assert sum("#InputPort" in port for port in audio) == 2
    assert sum("#OutputPort" in port for port in audio) == 16
    assert "Has latency:       yes" in say("lv2info", URI)


def test_ardour_exports_its_stems(
    ardour: ModuleType,
    models: ModuleType,
    lv2: Path,
    start_engine: Callable[[], EngineProcess],
    tmp_path: Path,
) -> None:
    audio = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 60000)).astype(np.float32)
    wav = tmp_path / "noise.wav"
    soundfile.write(wav, audio.T, 44100, subtype="FLOAT")
    with start_engine() as engine:
        environment = {"LARS_RUNTIME_DIR": str(engine.runtime), "LV2_PATH": str(lv2.parent)}
        session = ardour.ArdourSession(tmp_path / "ardour", environment)
        session.script("create.lua")
        session.put(wav, "Drums")
        said = session.script("lv2.lua", URI).replace("\t", " ")
        assert "outputs 16 notes 1" in said, said
        made = soundfile.read(session.export(), dtype="float32", always_2d=True)[0].T
    shares = dict(zip(STEMS, models.SHARES, strict=True))
    assert made.shape == audio.shape  # complete, in place, and nothing of it the fallback
    np.testing.assert_allclose(made[0], shares["kick"] * audio[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(made[1], shares["crash"] * audio[0], rtol=0, atol=1e-6)
