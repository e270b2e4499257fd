# SPDX-License-Identifier: GPL-3.0-or-later
"""The VST3 in pedalboard, with an engine in another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pedalboard import (  # type: ignore[attr-defined]
    Delay,
    Gain,
    Pedalboard,
    VST3Plugin,
)

from lars_plugin.bridge.engine.plan import plan_stream
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.bridge.protocol.messages import Open
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import STEMS

Wave = NDArray[np.float32]
NAMES = {stem: "hi_hat" if stem == "hihat" else stem for stem in STEMS}
ORDER = ("live", "tiny", "slow", "absent")  # the engine's models
CLOSE = 1e-6


def noise(samples: int, channels: int = 2, seed: int = 0) -> Wave:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def load(vst3: Path, model: str, mode: str = "Live") -> Any:
    plugin: Any = VST3Plugin(str(vst3))
    task = "model_for_files" if mode == "Offline" else "model"
    plugin.parameters[task].raw_value = ORDER.index(model) / 31
    plugin.mode = mode
    plugin.residual_mute = True  # the stems alone; test_residual.py has the rest
    return plugin


def solo(plugin: Any, *stems: str) -> None:
    for stem in STEMS:
        setattr(plugin, f"{NAMES[stem]}_solo", stem in stems)


def offline(plugin: Any, audio: Wave, rate: float, block: int = 512) -> Wave:
    """The plugin's output for all of the audio; pedalboard takes its latency out."""
    made: Wave = plugin.process(audio, rate, buffer_size=block, reset=True)
    return made


@pytest.fixture
def tiny(engine: EngineProcess, vst3: Path) -> Any:
    return load(vst3, "tiny", "Offline")


@pytest.mark.parametrize("rate", [44100, 48000])
def test_every_stem_and_the_remix_are_those_of_separator(
    tiny: Any, models: ModuleType, rate: int
) -> None:
    audio = noise(20000)
    wanted = Separator(models.tiny()).separate(audio, rate)
    assert min(np.abs(wave).max() for wave in wanted.values()) > 0.01
    # Where the input ends, the plugin hears silence and Separator nothing at all.
    end = audio.shape[1] - 2048
    for stem in STEMS:
        solo(tiny, stem)
        made = offline(tiny, audio, rate)
        assert made.shape == audio.shape
        np.testing.assert_allclose(made[:, :end], wanted[stem][:, :end], rtol=0, atol=CLOSE)
    solo(tiny)
    np.testing.assert_allclose(
        offline(tiny, audio, rate)[:, :end], wanted.sum()[:, :end], rtol=0, atol=CLOSE
    )


def test_a_bounce_is_complete_to_the_tail(tiny: Any, models: ModuleType) -> None:
    audio = noise(9001)
    solo(tiny, "toms")
    made = offline(tiny, audio, 44100)
    # pedalboard plays silence behind the audio until the latency is out.
    padded = np.pad(audio, ((0, 0), (0, tiny.reported_latency_samples)))
    wanted = Separator(models.tiny()).separate(padded, 44100)["toms"][:, : audio.shape[1]]
    solo(tiny)
    np.testing.assert_allclose(made, wanted, rtol=0, atol=CLOSE)


def test_a_bounce_is_repeatable_to_the_bit_however_blocks_fall(tiny: Any) -> None:
    audio = noise(12000)
    first = offline(tiny, audio, 44100, 512)
    for block in (512, 100, 4096):
        latency = tiny.reported_latency_samples
        made = offline(tiny, audio, 44100, block)
        assert made.shape == audio.shape, latency
        np.testing.assert_allclose(made, first, rtol=0, atol=CLOSE if block != 512 else 0)


def test_gains_mutes_and_the_dry_share_make_the_mix(
    engine: EngineProcess, models: ModuleType, vst3: Path
) -> None:
    plugin = load(vst3, "live")
    audio = noise(8000)
    shares = dict(zip(STEMS, models.SHARES, strict=True))
    plugin.kick_gain_db = -6.0
    plugin.snare_gain_db = -60.0
    plugin.crash_mute = True
    plugin.dry_wet = 75.0
    factor = 10 ** (-6 / 20) * shares["kick"] + shares["toms"] + shares["hihat"] + shares["ride"]
    made = offline(plugin, audio, 44100)
    np.testing.assert_allclose(made, audio * (0.75 * factor + 0.25), rtol=0, atol=1e-5)
    plugin.bypass = True
    np.testing.assert_allclose(offline(plugin, audio, 44100), audio, rtol=0, atol=0)


def test_mono_stays_mono(engine: EngineProcess, vst3: Path) -> None:
    plugin = load(vst3, "live")
    audio = noise(6000, 1)
    solo(plugin, "ride")
    made = offline(plugin, audio, 44100)
    assert made.shape == audio.shape
    np.testing.assert_allclose(made, 2 * audio, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("block", [32, 128, 1024, 4096])
def test_an_impulse_arrives_exactly_at_the_reported_latency(
    engine: EngineProcess, models: ModuleType, vst3: Path, rate: int, block: int
) -> None:
    plugin = load(vst3, "live")
    solo(plugin, "kick")
    at, samples = 1000, 1000 + 40000
    audio = np.zeros((2, samples), np.float32)
    audio[:, at] = 1.0
    # pedalboard cuts off what the plugin reports: all that is left is in its place.
    made = offline(Pedalboard([plugin]), audio, rate, block)
    stream, _ = plan_stream(models.live(), Open(sample_rate=float(rate), max_block=block))
    stems = np.concatenate([stream.push(audio), stream.flush()], axis=2)[0]
    assert plugin.reported_latency_samples > 0
    np.testing.assert_allclose(made, stems[:, :samples], rtol=0, atol=CLOSE)
    assert int(np.argmax(np.abs(made[0]))) == at


def test_several_instances_do_not_mix_up_their_audio(engine: EngineProcess, vst3: Path) -> None:
    plugins = [load(vst3, "live") for _ in range(3)]
    made: dict[int, Wave] = {}

    def play(number: int) -> None:
        made[number] = offline(plugins[number], noise(30000, seed=number), 44100, 256)

    for number, stem in enumerate(("kick", "toms", "crash")):
        solo(plugins[number], stem)
    threads = [threading.Thread(target=play, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, share in enumerate((1, 0.25, 4)):
        np.testing.assert_allclose(
            made[number], share * noise(30000, seed=number), rtol=0, atol=4 * CLOSE
        )


def test_inside_a_board_between_other_plugins(engine: EngineProcess, vst3: Path) -> None:
    plugin = load(vst3, "live")
    solo(plugin, "snare")
    board = Pedalboard([Gain(6.0), plugin, Delay(0.01, 0.0, 1.0), Gain(-6.0)])
    audio = noise(20000)
    wanted = Delay(0.01, 0.0, 1.0)(0.5 * audio, 44100)
    np.testing.assert_allclose(offline(board, audio, 44100), wanted, rtol=0, atol=1e-5)


def revive(engine: EngineProcess) -> None:
    """Another engine in the place of one that was killed."""
    engine.process.wait()
    with engine.log.open("ab") as log:
        engine.process = subprocess.Popen(
            [sys.executable, "-m", "lars_plugin", "serve", "--models-from", "host_models"],
            env=engine.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def test_a_render_survives_its_engine(own_engine: EngineProcess, vst3: Path) -> None:
    plugin = load(vst3, "live")
    solo(plugin, "kick")
    block, blocks = 512, 60
    audio = noise(block * blocks)
    parts = []
    for number in range(blocks):
        if number == 20:
            os.kill(own_engine.process.pid, signal.SIGKILL)
            revive(own_engine)
        part = audio[:, number * block : (number + 1) * block]
        parts.append(plugin.process(part, 44100, buffer_size=block, reset=False))
    made, latency = np.concatenate(parts, axis=1), plugin.reported_latency_samples
    assert made.shape == audio.shape
    assert 0 < latency < 20 * block
    # No sample is missing, moved or dry: the new engine goes on where the old one was.
    np.testing.assert_array_equal(made[:, :latency], 0)
    np.testing.assert_allclose(made[:, latency:], audio[:, :-latency], rtol=0, atol=CLOSE)


def test_in_mode_rendered_there_is_neither_latency_nor_a_stream(
    engine: EngineProcess, vst3: Path
) -> None:
    plugin = load(vst3, "live")
    audio = noise(9000)
    solo(plugin, "kick")
    np.testing.assert_allclose(offline(plugin, audio, 44100), audio, rtol=0, atol=CLOSE)
    assert plugin.reported_latency_samples > 0

    def streams() -> int:
        with engine.client() as client:
            return len(client.status()["sessions"])

    open_before = streams()
    plugin.mode = "Rendered"
    # This host tells no position: a stem is its share.
    np.testing.assert_allclose(offline(plugin, audio, 44100), audio / 6, rtol=0, atol=CLOSE)
    assert plugin.reported_latency_samples == 0
    end = time.monotonic() + 10
    while streams() >= open_before:
        assert time.monotonic() < end, "the stream was not closed"
        time.sleep(0.1)
    plugin.mode = "Live"
    np.testing.assert_allclose(offline(plugin, audio, 44100), audio, rtol=0, atol=CLOSE)
    assert plugin.reported_latency_samples > 0


def test_without_an_engine_the_track_is_dry_or_silent(
    vst3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARS_RUNTIME_DIR", str(tmp_path / "nobody"))
    audio = noise(5000)
    plugin: Any = VST3Plugin(str(vst3))
    start = time.monotonic()
    np.testing.assert_allclose(offline(plugin, audio, 44100), audio, rtol=0, atol=CLOSE)
    plugin.when_the_engine_is_away = "Silent"
    assert not offline(plugin, audio, 44100).any()
    assert time.monotonic() - start < 60  # it does not wait where there is nothing to wait for


def test_state_is_restored_and_damaged_state_is_refused(engine: EngineProcess, vst3: Path) -> None:
    plugin = load(vst3, "tiny", "Offline")
    plugin.toms_gain_db = -9.0
    plugin.kick_solo = True
    kept = plugin.raw_state
    other: Any = VST3Plugin(str(vst3))
    other.raw_state = kept
    assert other.mode == "Offline"
    assert other.toms_gain_db == pytest.approx(-9.0, abs=0.05)
    assert other.kick_solo
    audio = noise(5000)
    np.testing.assert_array_equal(offline(other, audio, 44100), offline(plugin, audio, 44100))
    rng = np.random.default_rng(1)
    for _ in range(20):
        damaged = bytearray(kept)
        for place in rng.integers(0, len(damaged), 8):
            damaged[place] = int(rng.integers(0, 256))
        other.raw_state = bytes(damaged[: int(rng.integers(1, len(damaged)))])
        assert np.isfinite(offline(other, audio[:, :512], 44100)).all()
