# SPDX-License-Identifier: GPL-3.0-or-later
"""Stems and hits dragged out of the window by mouse, onto another program's window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import mido
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.cli import main
from lars_plugin.testing import STEMS

Wave = NDArray[np.float32]
RATE = 44100
SECONDS = 4
TARGET = (1200, 100, 300, 300)  # x, y, width, height on the screen


def beat() -> Wave:
    """Kicks, hats and snares, four times a second."""
    rng = np.random.default_rng(0)
    axis = np.arange(RATE) / RATE
    click = rng.normal(0, 0.5, RATE) * np.exp(-axis * 800)
    kick = np.sin(2 * np.pi * (55 * axis + 3 * (1 - np.exp(-axis * 40))) + 1.2)
    kick = kick * np.exp(-axis * 14) + click
    snare = rng.normal(0, 0.5, RATE) * np.exp(-axis * 30)
    hat = np.diff(rng.normal(0, 0.25, RATE + 1)) * np.exp(-axis * 60)
    wave = np.zeros((SECONDS + 1) * RATE)
    for number in range(4 * SECONDS - 2):
        at = round((0.25 + number / 4) * RATE)
        wave[at : at + RATE] += 0.05 * (kick, hat, snare, hat)[number % 4]
    return np.asarray(np.stack([wave, 0.9 * wave])[:, : SECONDS * RATE], np.float32)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Its name has a space, a sign of URIs and a letter of no ASCII."""
    path = tmp_path / "Beat 50% für.wav"
    soundfile.write(path, beat().T, RATE, subtype="FLOAT")
    return path


@pytest.fixture
def window(
    driver: ModuleType,
    build: Path,
    display: str,
    engine: EngineProcess,
    program_environment: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> Iterator[Any]:
    environment = program_environment(runtime=engine.runtime, TMPDIR=str(tmp_path))
    program = build / "LARS_artefacts" / "Release" / "Standalone" / "LARS"
    window = driver.Window(program, display, tmp_path / "home", environment)
    try:
        yield window
    finally:
        window.close()


def files_of(text: str) -> list[Path]:
    uris = [line for line in text.split("\r\n") if line]
    assert all(urlsplit(uri).scheme == "file" for uri in uris), text
    assert all(uri.isascii() and " " not in uri for uri in uris), text
    return [Path(unquote(urlsplit(uri).path)) for uri in uris]


def test_a_stem_and_its_hits_are_dropped_on_another_window_and_saved(
    window: Any,
    driver: ModuleType,
    display: str,
    song: Path,
    tmp_path: Path,
    load_module: Callable[[str], ModuleType],
) -> None:
    pytest.importorskip("Xlib", reason="no python-xlib: nothing is there to drop files on")
    window.answer("ctrl+o", "Load an audio file", song)
    window.press("separate")
    stems: dict[str, Path] = {}

    def all_is_there() -> bool:
        stems.update({file.stem: file for file in tmp_path.glob("lars-*/stems/*.wav")})
        return set(stems) == set(STEMS) and bool(list(tmp_path.glob("lars-*/1/drums.mid")))

    driver.wait_for(all_is_there, "stems and hits")
    window.picture(tmp_path / "window.png")

    def drag(name: str) -> list[Path]:
        before = len(target.dropped)

        def dropped() -> bool:
            x, y = window.at(*driver.PLACES[name])
            goal = TARGET[0] + 150, TARGET[1] + 150
            window.do("mousemove", "--sync", str(x), str(y))
            window.do("mousedown", "1")
            for step in range(1, 11):
                to = x + (goal[0] - x) * step // 10, y + (goal[1] - y) * step // 10
                window.do("mousemove", "--sync", str(to[0]), str(to[1]))
                time.sleep(0.1)
            window.do("mousemove", "--sync", str(goal[0] + 3), str(goal[1] + 3))
            time.sleep(0.5)
            window.do("mouseup", "1")
            time.sleep(1.0)
            return len(target.dropped) > before

        driver.wait_for(dropped, f"the drop of {name}")
        return files_of(target.dropped[-1])

    with load_module("drop_target").DropTarget(display, TARGET) as target:
        (wave,) = drag("wave kick")
        (notes,) = drag("midi kick")
        assert "text/uri-list" in target.offered
    assert wave.name == "Beat 50% für_kick.wav"
    assert wave.read_bytes() == stems["kick"].read_bytes()
    assert notes.name == "Beat 50% für_kick.mid"

    # The MIDI file has what `lars midi` hears in these stems: the drum's own strokes.
    wanted = tmp_path / "wanted.mid"
    folder = stems["kick"].parent
    words = ["midi", str(folder), "-o", str(wanted), "--transcriber", "lars-transcriber"]
    assert main([*words, "--quiet"]) == 0
    assert strokes(notes) == [stroke for stroke in strokes(wanted) if stroke[1] == 36]
    assert len(strokes(notes)) >= SECONDS - 1

    saved = tmp_path / "saved.mid"
    window.answer("save midi", "Save the hits as MIDI", saved)
    driver.wait_for(saved.exists, "the MIDI file")
    assert saved.read_bytes() == wanted.read_bytes()


def strokes(path: Path) -> list[tuple[int, int, int]]:
    """(tick, note, velocity) of each note."""
    now, found = 0, []
    for message in mido.MidiFile(path).tracks[1]:
        now += message.time
        if message.type == "note_on":
            found.append((now, message.note, message.velocity))
    return found
