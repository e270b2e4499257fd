# SPDX-License-Identifier: GPL-3.0-or-later
"""The standalone program's window, worked with mouse and keyboard on a virtual screen.

The program plays into a pipe that a thread empties as fast as a sound card would, so what is heard
is known sample for sample. LARS_STANDALONE names a program built elsewhere; LARS_SCREENSHOTS a
folder in which pictures are kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import host_models
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.bridge.embedded import EngineProcess
from lars_plugin.separation.separator import Separator
from lars_plugin.testing import STEMS

Wave = NDArray[np.float32]
RATE = 44100
SECONDS = 8
PATIENCE = 90.0  # where several tests share a core
TOOLS = ("Xvfb", "xdotool", "import")
PACKAGES = "apt-get install --no-install-recommends xvfb xdotool imagemagick"

# Where to click, from the window's corner, at its first size.
SEPARATE = (850, 139)
WAVE_LEFT, WAVE_RIGHT, WAVE_Y = 26, 902, 200
LOOP, ORIGINAL = (102, 261), (788, 261)
MUTE_KICK = (148, 388)
SAVE_ALL = (834, 347)
EMPTY = (560, 310)


class Listener:
    """Empties the pipe that the program plays into, at the speed of a sound card."""

    def __init__(self, pipe: Path) -> None:
        os.mkfifo(pipe, 0o600)
        self._file = os.open(pipe, os.O_RDWR)
        self._parts: list[bytes] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        started, taken = time.monotonic(), 0
        os.set_blocking(self._file, False)
        while not self._ends.wait(0.01):
            due = int((time.monotonic() - started) * RATE) * 8
            try:
                part = os.read(self._file, min(due - taken, 1 << 16)) if due > taken else b""
            except BlockingIOError:
                taken = due  # nothing was played meanwhile
                continue
            taken += len(part)
            self._parts.append(part)

    def heard(self) -> Wave:
        """Everything so far, (2, samples)."""
        data = b"".join(self._parts)
        whole = np.frombuffer(data[: len(data) // 8 * 8], np.float32)
        return np.asarray(whole.reshape(-1, 2).T)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        os.close(self._file)


class Window:
    """The program's window, through its mouse and keyboard."""

    def __init__(self, display: str, listener: Listener, home: Path) -> None:
        self.listener = listener
        self.home = home
        self.environment = os.environ | {"DISPLAY": display}
        wait_for(lambda: self.do("search", "--name", "^LARS$"), "the window")
        self.number = self.do("search", "--name", "^LARS$").split()[0]
        time.sleep(1.5)  # it puts itself into the middle first
        wait_for(self._at_origin, "the window in the corner")
        self.do("windowfocus", self.number)
        self.click(EMPTY)  # without a window manager only a click brings the keyboard

    def _at_origin(self) -> bool:
        self.do("windowmove", self.number, "0", "0")
        time.sleep(0.5)
        place = self.do("getwindowgeometry", "--shell", self.number).splitlines()
        return "X=0" in place and "Y=0" in place

    def do(self, *arguments: str) -> str:
        done = subprocess.run(
            ("xdotool", *arguments), env=self.environment, capture_output=True, text=True
        )
        return done.stdout.strip()

    def key(self, *keys: str) -> None:
        self.do("key", "--delay", "60", *keys)

    def click(self, place: tuple[int, int]) -> None:
        self.do("mousemove", str(place[0]), str(place[1]))
        time.sleep(0.2)
        self.do("click", "1")
        time.sleep(0.3)

    def answer(self, dialog: str, path: Path) -> None:
        """Type a path into a file dialog, and wait until it has gone."""
        wait_for(lambda: self.do("search", "--name", dialog), f"the dialog {dialog!r}")
        time.sleep(1.0)
        box = self.do("search", "--name", dialog).split()[-1]
        shape = dict(
            line.split("=", 1)
            for line in self.do("getwindowgeometry", "--shell", box).splitlines()
            if "=" in line
        )
        left, top = int(shape["X"]), int(shape["Y"])
        self.click((left + int(shape["WIDTH"]) // 2, top + int(shape["HEIGHT"]) - 62))
        self.key("ctrl+a")
        self.do("type", "--delay", "15", str(path))
        for _ in range(4):
            self.key("Return")
            time.sleep(1.0)
            if not self.do("search", "--name", dialog):
                return
        pytest.fail(f"the dialog {dialog!r} stays open")

    def picture(self, name: str) -> None:
        folder = os.environ.get("LARS_SCREENSHOTS")
        target = Path(folder) / f"{name}.png" if folder else self.home / f"{name}.png"
        command = ("import", "-window", self.number, "-strip", str(target))
        subprocess.run(command, env=self.environment, check=True)
        assert target.stat().st_size > 10_000


def wait_for(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)


def place_of(pattern: Wave, heard: Wave) -> int:
    """The first place in what was heard where the pattern is, to 1e-5; -1 for none."""
    candidates = np.flatnonzero(np.abs(heard[0] - pattern[0, 0]) < 1e-5)
    for start in candidates[candidates + pattern.shape[1] <= heard.shape[1]]:
        part = heard[:, start : start + pattern.shape[1]]
        if np.abs(part - pattern).max() < 1e-5:
            return int(start)
    return -1


@pytest.fixture(scope="module")
def standalone(request: pytest.FixtureRequest) -> Path:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: the window is not tried here; {PACKAGES}")
    if chosen := os.environ.get("LARS_STANDALONE"):
        return Path(chosen)
    folder: Path = request.getfixturevalue("build")
    command = ("cmake", "--build", str(folder), "-j", "1", "--target", "LARS_Standalone")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "LARS_artefacts" / "Release" / "Standalone" / "LARS"


@pytest.fixture(scope="module")
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
def window(standalone: Path, engine: EngineProcess, tmp_path: Path) -> Iterator[Window]:
    """The program, just started, with an engine, on a screen and a sound card of its own."""
    read, write = os.pipe()
    screen = subprocess.Popen(
        ("Xvfb", "-displayfd", str(write), "-screen", "0", "1920x1760x24", "-nolisten", "tcp"),
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        display = f":{told.readline().strip()}"
    home = tmp_path / "home"
    home.mkdir()
    sound = tmp_path / "sound"
    listener = Listener(sound)
    (home / ".asoundrc").write_text(
        "pcm.!default { type asym capture.pcm null\n"
        f'  playback.pcm {{ type file slave.pcm null file "{sound}" format raw }} }}\n'
    )
    environment = os.environ | {
        "DISPLAY": display,
        "HOME": str(home),
        "TMPDIR": str(tmp_path),
        "LARS_RUNTIME_DIR": str(engine.runtime),
    }
    for name in ("XDG_CONFIG_HOME", "WAYLAND_DISPLAY", "ALSA_CONFIG_PATH"):
        environment.pop(name, None)
    program = subprocess.Popen((standalone,), env=environment)
    try:
        yield Window(display, listener, home)
        assert program.poll() is None, f"the program ended with {program.returncode}"
    finally:
        for process in (program, screen):
            process.terminate()
            process.wait(30)
        listener.close()


def test_a_file_is_played_separated_remixed_and_saved(
    window: Window, song: tuple[Path, Wave], tmp_path: Path
) -> None:
    path, audio = song
    listener = window.listener
    window.picture("window-empty")
    window.key("ctrl+o")
    window.answer("Load an audio file", path)

    # From the very first sample.
    window.key("space")
    wait_for(lambda: place_of(audio[:, :64], listener.heard()) >= 0, "the file to be heard")

    # The stems, while it plays.
    window.click(SEPARATE)
    wait_for(lambda: len(list(tmp_path.glob("lars-*/stems/*.wav"))) == len(STEMS), "the stems")
    wanted = Separator(host_models.live()).separate(audio, RATE)
    written = {file.stem: file for file in tmp_path.glob("lars-*/stems/*.wav")}
    assert set(written) == set(STEMS)
    for stem, file in written.items():
        made, rate = soundfile.read(file, dtype="float32")
        assert rate == RATE
        np.testing.assert_allclose(made.T, wanted[stem], rtol=0, atol=1e-6)

    # Without the kick, from the beginning.
    time.sleep(1.0)
    window.click(MUTE_KICK)
    window.key("Home")
    remix = np.asarray(sum(wanted[stem] for stem in STEMS if stem != "kick"), np.float32)
    if place_of(remix[:, 2000:2064], listener.heard()) < 0:
        time.sleep(1.0)
    if not place_of(remix[:, 2000:2064], listener.heard()) >= 0:
        window.key("Home", "space")  # it had come to its end
    wait_for(lambda: place_of(remix[:, 2000:2064], listener.heard()) >= 0, "the remix")
    window.picture("window")

    folder = tmp_path / "saved"
    folder.mkdir()
    window.click(SAVE_ALL)
    window.answer("Save the stems in this folder", folder)
    names = {f"{path.stem}_{stem}.wav" for stem in STEMS}
    wait_for(lambda: {file.name for file in folder.glob("*.wav")} == names, "the saved stems")
    for stem in STEMS:
        saved = folder / f"{path.stem}_{stem}.wav"
        assert saved.read_bytes() == written[stem].read_bytes()


def test_a_click_jumps_and_the_loop_goes_on_without_a_gap(
    window: Window, song: tuple[Path, Wave]
) -> None:
    path, audio = song
    window.key("ctrl+o")
    window.answer("Load an audio file", path)
    window.click(LOOP)
    window.click((WAVE_LEFT + (WAVE_RIGHT - WAVE_LEFT) * 9 // 10, WAVE_Y))
    window.key("space")
    seam = np.concatenate([audio[:, -64:], audio[:, :64]], axis=1)
    wait_for(lambda: place_of(seam, window.listener.heard()) >= 0, "the seam of the loop")
    assert place_of(audio[:, RATE : RATE + 64], window.listener.heard()[:, :-RATE]) < 0 or (
        place_of(audio[:, RATE : RATE + 64], window.listener.heard())
        > place_of(seam, window.listener.heard())
    )


def test_everything_is_twice_as_large_at_200_percent(
    window: Window, song: tuple[Path, Wave]
) -> None:
    path, _ = song
    window.key("ctrl+o")
    window.answer("Load an audio file", path)

    def width() -> int:
        lines = window.do("getwindowgeometry", "--shell", window.number).splitlines()
        return int(next(line for line in lines if line.startswith("WIDTH=")).split("=")[1])

    before = width()
    window.key("ctrl+plus", "ctrl+plus", "ctrl+plus", "ctrl+plus")
    wait_for(lambda: width() > 1.9 * before, "the larger window")
    time.sleep(2.0)
    window.picture("window-200")
