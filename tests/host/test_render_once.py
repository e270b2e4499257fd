# SPDX-License-Identifier: GPL-3.0-or-later
"""Render once: a track is captured, separated, and its stems play where the host's transport is.

The host is ``lars_timeline``, the engine a real one.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import STEMS

Wave = NDArray[np.float32]
Hosts = Callable[[], Any]  # starts one
ORDER = ("live", "tiny", "slow", "absent")  # the engine's models
MODES = {"live": 0.0, "offline": 0.5, "rendered": 1.0}


def noise(samples: int, seed: int = 0) -> Wave:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


@pytest.fixture
def host(
    build: Path, vst3: Path, tmp_path: Path, load_module: Callable[[str], ModuleType]
) -> Iterator[Hosts]:
    """Starts hosts; they find this test's engine and data folder."""
    module = load_module("timeline_host")
    started: list[Any] = []
    library = next(vst3.glob("Contents/*/LARS.so"))

    def start() -> Any:
        folder = tmp_path / f"host{len(started)}"
        folder.mkdir()
        # No screen: JUCE would take another test's, and end with it.
        environment = {**os.environ, "LARS_TEST_VST3": str(library), "DISPLAY": ":9999"}
        started.append(module.TimelineHost(build / "tests" / "lars_timeline", environment, folder))
        return started[-1]

    yield start
    for one in started:
        one.close()


def prepare(host: Any, mode: str = "offline", rate: int = 44100, block: int = 512) -> None:
    """In mode Rendered, with the model "tiny"; there is no latency."""
    host.prepare(rate, block, "offline")
    host.set("Mode", MODES["rendered"])
    host.set("Model for files", ORDER.index("tiny") / 31)
    host.play(noise(1), 0, block, stands=True)
    assert host.prepare(rate, block, mode) == 0


def capture(host: Any, track: Wave, begin: int = 0, end: int | None = None) -> None:
    host.set("Capture", 1.0)
    host.play(track, begin, end)
    host.set("Capture", 0.0)
    host.play(track, 0, 1, stands=True)  # a renderer waits until the stems are there


def same(made: dict[str, Wave], stems: dict[str, Wave], begin: int, end: int) -> None:
    """Each bus has its stem, to the bit, and the main output their sum."""
    for stem in STEMS:
        np.testing.assert_array_equal(made[stem], stems[stem][:, begin:end], err_msg=stem)
    total = np.zeros_like(made["main"])
    for stem in STEMS:
        total += stems[stem][:, begin:end]
    np.testing.assert_allclose(made["main"], total, rtol=0, atol=1e-6)


@pytest.fixture
def track() -> Wave:
    return noise(30011)


@pytest.fixture
def wanted(models: ModuleType, track: Wave) -> dict[str, Wave]:
    made = Separator(models.tiny()).separate(track, 44100)
    assert min(np.abs(wave).max() for wave in made.values()) > 0.01
    return dict(made)


def test_the_stems_of_a_captured_track_play_where_the_host_is(
    engine: EngineProcess, host: Hosts, track: Wave, wanted: dict[str, Wave]
) -> None:
    plugin = host()
    prepare(plugin)
    plugin.set("Capture", 1.0)
    dry = plugin.play(track)
    np.testing.assert_allclose(dry["main"], track, rtol=0, atol=1e-6)
    np.testing.assert_allclose(dry["kick"], track / 6, rtol=0, atol=1e-6)
    plugin.set("Capture", 0.0)
    whole = plugin.play(noise(30011, 5))  # whatever comes in by now
    same(whole, wanted, 0, 30011)
    assert len(list(plugin.renders.iterdir())) == 1
    # Loops, jumps back and forth, and blocks of any size; each at another tempo.
    for begin, end in ((1000, 3000), (1000, 3000), (29000, 30011), (7, 8), (0, 5000)):
        same(plugin.play(track, begin, end), wanted, begin, end)
    for block in (1, 100, 4096):
        assert plugin.prepare(44100, block) == 0
        same(plugin.play(track, 11111, 11555), wanted, 11111, 11555)
    assert plugin.prepare(44100, 333, "live") == 0
    same(plugin.play(track, 500, 20000), wanted, 500, 20000)


def test_what_was_heard_last_at_a_place_is_what_was_captured(
    engine: EngineProcess, host: Hosts, track: Wave, wanted: dict[str, Wave]
) -> None:
    plugin = host()
    prepare(plugin, block=700)
    plugin.set("Capture", 1.0)
    other = noise(30011, 9)
    # Backwards, in pieces, twice over; then the parts that were wrong.
    for begin, end, source in (
        (20000, 30011, track), (5000, 21000, other), (0, 9000, other), (4000, 22000, track),
        (0, 4001, track),
    ):  # fmt: skip
        plugin.play(source, begin, end)
        plugin.play(other, 0, 2000, stands=True)  # the transport stands: nothing is captured
    plugin.set("Capture", 0.0)
    made = plugin.play(track)
    kept, rate = soundfile.read(
        plugin.renders / plugin.render() / "track.wav", dtype="float32", always_2d=True
    )
    assert rate == 44100
    np.testing.assert_array_equal(kept.T, track)
    same(made, wanted, 0, 30011)


def test_a_track_that_begins_before_the_timeline_and_has_gaps_is_dry_in_them(
    engine: EngineProcess, host: Hosts, models: ModuleType
) -> None:
    plugin = host()
    prepare(plugin)
    plugin.set("Capture", 1.0)
    track = noise(20000, 3)
    plugin.play(track, -700, 2000)
    plugin.play(track, 9000, 12000)
    plugin.set("Capture", 0.0)
    made = plugin.play(track, -1000, 13000)
    heard = np.concatenate([np.zeros((2, 700), np.float32), track[:, :12000]], axis=1)
    heard[:, 2700:9700] = 0
    stems = dict(Separator(models.tiny()).separate(heard, 44100))
    at = 300  # of the captured part in what was played
    for begin, end in ((0, 2700), (9700, 12700)):
        part = {bus: wave[:, at + begin : at + end] for bus, wave in made.items()}
        same(part, stems, begin, end)
    played = np.concatenate([np.zeros((2, 1000), np.float32), track[:, :13000]], axis=1)
    for begin, end in ((0, 300), (3000, 10000), (13000, 14000)):
        for stem in STEMS:
            np.testing.assert_allclose(
                made[stem][:, begin:end], played[:, begin:end] / 6, rtol=0, atol=1e-7
            )
    plugin.set("When the engine is away", 1.0)
    silent = plugin.play(track, 3000, 8000)
    assert not any(wave.any() for wave in silent.values())
    plugin.set("When the engine is away", 0.0)
    still = plugin.play(track, 0, 1000, stands=True)
    np.testing.assert_allclose(still["main"], track[:, :1000], rtol=0, atol=1e-6)


def test_a_session_keeps_its_render_and_plays_it_without_an_engine(
    own_engine: EngineProcess, host: Hosts, track: Wave, wanted: dict[str, Wave]
) -> None:
    first = host()
    prepare(first)
    capture(first, track)
    kept = first.state()
    own_engine.close()
    for mode in ("offline", "live"):
        again = host()
        again.load(kept)
        assert again.prepare(44100, 256, mode) == 0
        if mode == "live":
            again.wait(1.0)
        same(again.play(track), wanted, 0, track.shape[1])
        assert again.state() == kept


def test_a_new_capture_is_a_new_render_and_the_earlier_session_keeps_its_own(
    engine: EngineProcess, host: Hosts, track: Wave, wanted: dict[str, Wave], models: ModuleType
) -> None:
    plugin = host()
    prepare(plugin)
    capture(plugin, track)
    before, kept = plugin.render(), plugin.state()
    other = noise(9000, 4)
    capture(plugin, other)
    assert plugin.render() != before
    stems = dict(Separator(models.tiny()).separate(other, 44100))
    same(plugin.play(other), stems, 0, 9000)
    plugin.load(kept)
    same(plugin.play(track), wanted, 0, track.shape[1])


def test_captured_live_it_is_the_same(
    engine: EngineProcess, host: Hosts, track: Wave, wanted: dict[str, Wave]
) -> None:
    plugin = host()
    prepare(plugin, "live")
    plugin.set("Capture", 1.0)
    plugin.play(noise(1), 0, 512, stands=True)
    plugin.wait(0.5)  # the plugin's timer begins it
    plugin.play(track)
    plugin.set("Capture", 0.0)
    plugin.play(noise(1), 0, 512, stands=True)
    end = time.monotonic() + 120
    while not plugin.render():
        assert time.monotonic() < end
        plugin.wait(0.2)
    plugin.wait(0.5)
    same(plugin.play(track), wanted, 0, track.shape[1])


def test_a_host_at_another_rate_gets_the_converted_stems(
    engine: EngineProcess, host: Hosts, track: Wave, tmp_path: Path
) -> None:
    plugin = host()
    prepare(plugin)
    capture(plugin, track, 4410)
    stems = plugin.renders / plugin.render() / "stems"
    assert plugin.prepare(48000, 512) == 0
    made = plugin.play(track, 4800, 30000)
    with engine.client() as client:
        for stem in STEMS:
            target = tmp_path / f"{stem}.wav"
            client.convert_file(stems / f"{stem}.wav", target, sample_rate=48000)
            wanted = soundfile.read(target, dtype="float32", always_2d=True)[0].T
            np.testing.assert_array_equal(made[stem], wanted[:, :25200])


def test_renders_that_are_gone_or_changed_are_not_played(
    engine: EngineProcess, host: Hosts, track: Wave
) -> None:
    plugin = host()
    prepare(plugin)
    capture(plugin, track)
    kept, folder = plugin.state(), plugin.renders / plugin.render()

    def is_dry() -> bool:
        again = host()
        again.load(kept)
        again.prepare()
        assert again.render() == folder.name  # it may be there the next time
        return np.allclose(again.play(track)["kick"], track / 6, rtol=0, atol=1e-6)

    assert not is_dry()
    stem = folder / "stems" / "kick.wav"
    whole = stem.read_bytes()
    stem.unlink()
    assert is_dry()
    for damaged in (whole[:-8], whole[:100] + b"\1" + whole[101:], b"RIFF", b""):
        stem.write_bytes(damaged)
        assert is_dry()
    stem.write_bytes(whole)
    assert not is_dry()
    (folder / "render.json").write_text("{}")
    assert is_dry()
    shutil.rmtree(folder)
    assert is_dry()


def test_a_number_that_is_none_names_no_folder(
    engine: EngineProcess, host: Hosts, track: Wave, tmp_path: Path
) -> None:
    plugin = host()
    prepare(plugin)
    capture(plugin, track)
    kept, number = plugin.state(), plugin.render()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(plugin.renders / number, elsewhere)
    for evil in (str(elsewhere), f"../{'a' * 29}", number.upper(), "a" * 33, "", f"{number[:31]}/"):
        again = host()
        again.load(kept.replace(number.encode(), evil.encode()))
        again.prepare()
        assert again.render() == ""
        assert np.allclose(again.play(track)["kick"], track / 6, rtol=0, atol=1e-6)


def test_no_session_makes_the_plugin_capture(
    engine: EngineProcess, host: Hosts, track: Wave
) -> None:
    plugin = host()
    prepare(plugin)
    plugin.set("Capture", 1.0)
    plugin.play(track, 0, 2000)
    kept = plugin.state()
    other = host()
    other.load(kept)
    other.prepare()
    other.play(track)
    assert other.render() == other.render("take") == ""
    # Loaded where it was on, it ends: what was captured is separated, so that nothing is lost.
    plugin.load(kept)
    plugin.play(track)
    assert plugin.render() != ""
    assert plugin.play(track, 0, 2000)["kick"].any()
