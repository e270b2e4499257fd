# SPDX-License-Identifier: GPL-3.0-or-later
"""A model whose weights are not there, in a real host: silence and an error, never the input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pedalboard import VST3Plugin

from lars_plugin.bridge.local_engine import EngineProcess

PLACE = 3  # in host_models.MODELS


@pytest.mark.parametrize(("mode", "parameter"), [("Live", "model"), ("Offline", "model_for_files")])
def test_a_render_by_a_model_without_weights_is_silent_until_they_are_downloaded(
    own_engine: EngineProcess, vst3: Path, mode: str, parameter: str
) -> None:
    audio = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 20000)).astype(np.float32)
    plugin: Any = VST3Plugin(str(vst3))
    plugin.mode = mode
    plugin.parameters[parameter].raw_value = PLACE / 31
    assert plugin.when_the_engine_is_away == "Dry"
    for _ in range(2):
        made = plugin.process(audio, 44100, buffer_size=512, reset=True)
        np.testing.assert_array_equal(made, np.zeros_like(audio))
    saved = plugin.raw_state
    # Another model is heard at once, and the absent one is silent again.
    plugin.parameters[parameter].raw_value = 0.0
    assert np.abs(plugin.process(audio, 44100, buffer_size=512)).max() > 0.1
    with own_engine.client() as client:
        client.fetch_model("absent")
        assert {one["name"]: one["weights"] for one in client.status()["offers"]}["absent"]
    restored: Any = VST3Plugin(str(vst3))
    restored.raw_state = saved
    assert np.abs(restored.process(audio, 44100, buffer_size=512)).max() > 0.1
