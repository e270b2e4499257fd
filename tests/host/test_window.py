# SPDX-License-Identifier: GPL-3.0-or-later
"""The standalone program's window, worked with mouse and keyboard on a virtual screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.audio import read_audio
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import STEMS

Wave = NDArray[np.float32]
RATE = 44100
SECONDS = 8


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Wave]:
    """A file of hits in noise, which nowhere repeats itself."""
    rng = np.random.default_rng(3)
    time_axis = np.arange(SECONDS * RATE)
    hits = np.exp(-(time_axis % (RATE // 4)) / 3000) * rng.uniform(-0.1, 0.1, (2, len(time_axis)))
    audio = np.asarray(hits + rng.uniform(-0.004, 0.004, hits.shape), np.float32)
    path = tmp_path_factory.mktemp("song") / "beat.wav"
    soundfile.write(path, audio.T, RATE, subtype="FLOAT")
    return path, audio


@pytest.fixture
def window(
    driver: ModuleType,
    standalone: Path,
    display: str,
    engine: EngineProcess,
    program_environment: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> Iterator[Any]:
    """The program, just started, with an engine and a sound card of its own."""
    environment = program_environment(runtime=engine.runtime, TMPDIR=str(tmp_path))
    window = driver.Window(standalone, display, tmp_path / "home", environment)
    try:
        yield window
        code = window.program.poll()
        assert code is None, f"the program ended with {code}"
    finally:
        window.close()


def test_a_file_is_played_separated_remixed_and_saved(
    window: Any, driver: ModuleType, models: ModuleType, song: tuple[Path, Wave], tmp_path: Path
) -> None:
    path, audio = song
    heard = window.listener.heard
    window.answer("ctrl+o", "Load an audio file", path)

    # From the very first sample.
    window.take_keyboard()
    window.key("space")
    driver.wait_for(lambda: driver.place_of(audio[:, :64], heard()) >= 0, "the file to be heard")

    # Each stem is the one that Separator makes.
    window.press("separate")
    written: dict[str, Path] = {}

    def stems_are_there() -> bool:
        written.update({file.stem: file for file in tmp_path.glob("lars-*/stems/*.wav")})
        return set(written) == set(STEMS)

    driver.wait_for(stems_are_there, "the stems")
    wanted = Separator(models.live()).separate(audio, RATE)
    for stem, file in written.items():
        made, rate = soundfile.read(file, dtype="float32")
        assert rate == RATE
        np.testing.assert_allclose(made.T, wanted[stem], rtol=0, atol=1e-6)

    # The stems are heard instead of the file, without the one that is muted; what none of them has
    # is heard as well.
    window.press("mute snare")
    remix = np.asarray(audio - wanted["snare"], np.float32)
    start = window.listener.now()

    def remix_is_heard() -> bool:
        if window.listener.now() - start > turns[-1] * SECONDS * RATE:
            turns.append(turns[-1] + 1)
            window.key("Home", "space")  # it has come to its end, or is stopped: once more
        part = remix[:, 2 * RATE : 2 * RATE + 64]
        return bool(driver.place_of(part, heard(start)) >= 0)

    turns = [0]
    window.take_keyboard()
    driver.wait_for(remix_is_heard, "the remix")
    window.picture(tmp_path / "window.png")
    assert (tmp_path / "window.png").stat().st_size > 10_000

    folder = tmp_path / "saved"
    folder.mkdir()
    window.answer("save all", "Save the stems in this folder", folder)
    names = {f"{path.stem}_{stem}.wav" for stem in STEMS}
    driver.wait_for(lambda: {file.name for file in folder.glob("*.wav")} == names, "saved stems")
    for stem in STEMS:
        saved = folder / f"{path.stem}_{stem}.wav"
        assert saved.read_bytes() == written[stem].read_bytes()


def test_a_click_jumps_and_the_loop_goes_on_without_a_gap(
    window: Any, driver: ModuleType, song: tuple[Path, Wave]
) -> None:
    path, audio = song
    window.answer("ctrl+o", "Load an audio file", path)
    window.press("loop")
    x = driver.WAVE_LEFT + (driver.WAVE_RIGHT - driver.WAVE_LEFT) * 9 // 10
    window.click(window.at(x, driver.WAVE_Y))
    window.take_keyboard()
    window.key("space")
    seam = np.concatenate([audio[:, -64:], audio[:, :64]], axis=1)
    heard = window.listener.heard
    driver.wait_for(lambda: driver.place_of(seam, heard()) >= 0, "the seam of the loop")
    # It began behind the click, so what lies before it was first heard after the seam.
    before = driver.place_of(audio[:, RATE : RATE + 64], heard())
    assert before < 0 or before > driver.place_of(seam, heard())


def test_a_part_drawn_in_the_ruler_is_looped_without_a_gap(
    window: Any, driver: ModuleType, song: tuple[Path, Wave]
) -> None:
    path, audio = song
    window.answer("ctrl+o", "Load an audio file", path)
    width = driver.WAVE_RIGHT - driver.WAVE_LEFT
    first, last = driver.WAVE_LEFT + width // 2, driver.WAVE_LEFT + width * 5 // 8
    window.drag(window.at(first, driver.RULER_Y), window.at(last, driver.RULER_Y))
    window.take_keyboard()
    window.key("space")
    heard = window.listener.heard

    def samples(x: int) -> int:
        return int((x - driver.WAVE_LEFT) * SECONDS * RATE // width)

    # Which sample is under a pixel is the window's to say; a second is some hundred pixels.
    middle = audio[:, (samples(first) + samples(last)) // 2 :][:, :64]

    def turns() -> list[int]:
        places, sound, after = [], heard(), 0
        while (place := driver.place_of(middle, sound[:, after:])) >= 0:
            places.append(after + place)
            after += place + 64
        return places

    driver.wait_for(lambda: len(turns()) >= 4, "four turns")
    periods = np.diff(turns())
    assert (periods == periods[0]).all()
    assert abs(periods[0] - (samples(last) - samples(first))) < 2 * SECONDS * RATE / width
    # Between two turns there is the whole part, and its seam.
    place = turns()[0]
    turn = heard()[:, place : place + periods[0]]
    start = int((samples(first) + samples(last)) // 2)
    until_seam = np.abs(turn - audio[:, start : start + periods[0]]).max(axis=0) < 1e-5
    end = int(np.argmin(until_seam))
    rest = audio[:, start + end - periods[0] : start]
    np.testing.assert_allclose(turn[:, end:], rest, rtol=0, atol=1e-5)


def test_everything_is_twice_as_large_at_200_percent(
    window: Any, driver: ModuleType, song: tuple[Path, Wave], tmp_path: Path
) -> None:
    path, _ = song
    window.answer("ctrl+o", "Load an audio file", path)
    before = window.geometry()["WIDTH"]
    window.take_keyboard()

    def is_larger() -> bool:
        window.key("ctrl+plus")
        return bool(window.geometry()["WIDTH"] > 1.9 * before)

    driver.wait_for(is_larger, "the larger window")
    window.picture(tmp_path / "window-200.png")
    assert (tmp_path / "window-200.png").stat().st_size > 10_000


def test_an_mp3_is_typed_played_separated_and_saved_as_flac(
    window: Any, driver: ModuleType, models: ModuleType, song: tuple[Path, Wave], tmp_path: Path
) -> None:
    _, audio = song
    path = tmp_path / "beat.mp3"
    soundfile.write(path, audio.T, RATE, format="MP3")
    read, _ = read_audio(path)  # what the engine hears
    heard = window.listener.heard
    window.answer("ctrl+o", "Load an audio file", path)
    converted: list[Path] = []

    def is_converted() -> bool:
        converted[:] = tmp_path.glob("lars-*/audio.wav")
        return bool(converted)

    driver.wait_for(is_converted, "the MP3 as WAV")
    window.take_keyboard()
    window.key("Home", "space")
    part = read[:, RATE // 4 : RATE // 4 + 64]
    turns = [0]

    def is_heard() -> bool:
        turns[0] += 1
        if turns[0] % 100 == 0:
            window.key("Home", "space")
        return bool(driver.place_of(part, heard()) >= 0)

    driver.wait_for(is_heard, "the MP3 to be heard")
    window.press("separate")
    driver.wait_for(
        lambda: {file.stem for file in tmp_path.glob("lars-*/stems/*.wav")} == set(STEMS),
        "the stems",
    )
    # The last entry of the menu of formats is FLAC, 16 bits.
    window.press("format")
    window.key("Up", "Return")
    folder = tmp_path / "saved"
    folder.mkdir()
    window.answer("save all", "Save the stems in this folder", folder)
    names = {f"beat_{stem}.flac" for stem in STEMS}
    driver.wait_for(lambda: {file.name for file in folder.glob("*.flac")} == names, "saved stems")
    wanted = Separator(models.live()).separate(read, RATE)
    for stem in STEMS:
        file = folder / f"beat_{stem}.flac"
        assert soundfile.info(file).subtype == "PCM_16"
        saved, _ = soundfile.read(file, dtype="float32")
        clipped = np.clip(wanted[stem], -1, 1)
        np.testing.assert_allclose(saved.T, clipped, rtol=0, atol=1.01 / 32768)
    # Converted audio and stems of the session go with the program, as before.


def test_a_model_is_downloaded_by_its_menu_and_its_button(
    window: Any, driver: ModuleType, engine: EngineProcess, tmp_path: Path
) -> None:
    def is_here() -> bool:
        with engine.client() as client:
            offers = {one["name"]: one["weights"] for one in client.status()["offers"]}
            return bool(offers["absent"])

    assert not is_here()
    window.press("files model")
    window.key("Down", "Return")

    def downloaded() -> bool:
        window.press("download")
        return is_here()

    driver.wait_for(downloaded, "the weights")
    window.picture(tmp_path / "models.png")


def test_the_stems_of_a_file_become_the_tracks_and_are_deleted_by_clicks(
    window: Any, driver: ModuleType, song: tuple[Path, Wave], tmp_path: Path
) -> None:
    renders = tmp_path / "home" / ".local" / "share" / "lars" / "renders"
    window.answer("ctrl+o", "Load an audio file", song[0])
    window.press("separate")
    stems: dict[str, bytes] = {}

    def stems_are_there() -> bool:
        stems.update({file.name: file.read_bytes() for file in tmp_path.glob("lars-*/stems/*.wav")})
        return len(stems) == len(STEMS)

    driver.wait_for(stems_are_there, "the stems")
    window.take_keyboard()
    window.press("mode")
    window.key("Down", "Down", "Return")

    def kept() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in renders.glob("*/stems/*.wav")}

    def are_used() -> bool:
        window.press("use file")
        window.key("Down", "Return")  # "It begins where the song begins"
        time.sleep(1.0)
        return kept().items() >= stems.items()

    driver.wait_for(are_used, "the stems of this track")
    window.picture(tmp_path / "rendered.png")

    off = window.colour("capture")
    window.press("capture")
    driver.wait_for(lambda: window.colour("capture")[0] > off[0] + 50, "Capture in red")
    window.press("capture")
    driver.wait_for(lambda: window.colour("capture")[0] < off[0] + 30, "Capture as it was")

    def are_deleted() -> bool:
        window.press("delete")
        window.key("Down", "Return")
        time.sleep(1.0)
        return not kept()

    driver.wait_for(are_deleted, "the end of the render")
