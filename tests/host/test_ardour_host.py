# SPDX-License-Identifier: GPL-3.0-or-later
"""The VST3 in Ardour: stems routed from the plugin's buses, exported, compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile

from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import STEMS


def test_ardour_exports_the_stems_it_was_routed_to_the_bit(
    ardour: ModuleType,
    models: ModuleType,
    vst3: Path,
    start_engine: Callable[[], EngineProcess],
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    audio = rng.uniform(-0.1, 0.1, (2, 60000)).astype(np.float32)
    wav = tmp_path / "noise.wav"
    soundfile.write(wav, audio.T, 44100, subtype="FLOAT")
    with start_engine() as engine:
        environment = {"LARS_RUNTIME_DIR": str(engine.runtime)}
        session = ardour.ArdourSession(tmp_path / "ardour", environment)
        session.install(vst3)
        session.script("create.lua")
        session.put(wav, "Drums")
        said = session.script("route.lua")
        assert "outputs 16" in said.replace("\t", " "), said
        made = [soundfile.read(session.export(), dtype="float32", always_2d=True)[0].T]
        made.append(soundfile.read(session.export(), dtype="float32", always_2d=True)[0].T)
    np.testing.assert_array_equal(made[0], made[1], err_msg="the export is repeatable")
    shares = dict(zip(STEMS, models.SHARES, strict=True))
    samples = min(made[0].shape[1], audio.shape[1])
    assert samples == audio.shape[1]  # complete, in place, and nothing of it the fallback
    for channel, stem in enumerate(("snare", "crash")):
        np.testing.assert_allclose(
            made[0][channel, :samples], shares[stem] * audio[channel], rtol=0, atol=1e-6
        )


def test_ardour_exports_a_render_to_the_bit_before_and_after_a_reload_and_at_another_tempo(
    ardour: ModuleType,
    models: ModuleType,
    vst3: Path,
    start_engine: Callable[[], EngineProcess],
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    audio = rng.uniform(-0.1, 0.1, (2, 60000)).astype(np.float32)
    wav = tmp_path / "noise.wav"
    soundfile.write(wav, audio.T, 44100, subtype="FLOAT")
    with start_engine() as engine:
        environment = {"LARS_RUNTIME_DIR": str(engine.runtime)}
        session = ardour.ArdourSession(tmp_path / "ardour", environment)
        session.install(vst3)
        session.script("create.lua")
        session.put(wav, "Drums")
        session.script("route.lua")
        renders = session.home / ".local" / "share" / "lars" / "renders"
        said = session.script("render.lua", renders, str(audio.shape[1]))
        assert "latency 0" in said.replace("\t", " "), said
    # No engine is needed any more.
    (render,) = renders.iterdir()
    kept, _ = soundfile.read(render / "track.wav", dtype="float32", always_2d=True)
    # Ardour fades in where the transport starts: at the beginning, and in the middle, where the
    # track was captured before.
    np.testing.assert_array_equal(kept[4096:60000].T, audio[:, 4096:])
    assert not kept[60000:].any()
    first = soundfile.read(session.export(), dtype="float32", always_2d=True)[0].T
    session.script("tempo.lua")
    second = soundfile.read(session.export(), dtype="float32", always_2d=True)[0].T
    np.testing.assert_array_equal(first, second)
    stems = Separator(models.tiny()).separate(kept.T, 44100)
    for channel, stem in enumerate(("snare", "crash")):
        np.testing.assert_array_equal(first[channel], stems[stem][channel, : first.shape[1]])
