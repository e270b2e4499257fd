# SPDX-License-Identifier: GPL-3.0-or-later
"""The standalone program on a virtual screen: its window by mouse and keyboard, and its sound.

The program plays into a pipe, which a thread empties at the pace of a sound card, so what is heard
is known sample for sample. Nothing here depends on how fast the program answers: what is done is
repeated, or waited for, until its effect is seen; `PATIENCE` only bounds a failure.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageGrab

__all__ = ["Listener", "Window", "place_of", "screen", "wait_for", "window_manager"]

Wave = NDArray[np.float32]
RATE = 44100
PATIENCE = 300.0

# Where things are in the window's contents at 100 %, from their upper left corner.
PLACES = {
    "settings": (866, -15),  # in the line that says that the input is muted
    "presets": (72, 57),
    "undo": (847, 58),
    "files model": (560, 42),
    "download": (718, 42),
    "empty": (556, 328),
    "separate": (846, 113),
    "loop": (90, 258),
    "equal": (681, 258),
    "original": (784, 258),
    "stems": (861, 258),
    "save all": (830, 358),
    "format": (546, 358),
    "mute kick": (138, 420),
    "solo kick": (169, 420),
    "mute snare": (138, 467),
    "wave kick": (620, 420),
    "midi kick": (875, 420),
    "effects kick": (829, 420),
    "save midi": (843, 699),
    "mode": (119, 809),
    # In mode Rendered, where the lanes are lower.
    "capture": (432, 686),
    "use file": (639, 686),
    "delete": (844, 686),
}
WAVE_LEFT, WAVE_RIGHT, WAVE_Y, RULER_Y = 22, 898, 193, 142
CONTENTS = (4, 60)  # below the title bar and the line that says that the input is muted


@contextmanager
def screen(size: str = "2200x2000") -> Iterator[str]:
    """An X server of our own, of so many pixels and no monitor; its display."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ("Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"),
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    assert number, "Xvfb has ended"
    try:
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def window_manager(display: str, home: Path) -> Iterator[None]:
    """Openbox on a display: windows get the keyboard as on a desktop."""
    environment = os.environ | {"DISPLAY": display, "HOME": str(home)}
    manager = subprocess.Popen(
        ("openbox", "--sm-disable"),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def manages() -> bool:
        asked = ("xdotool", "get_num_desktops")
        done = subprocess.run(asked, env=environment, capture_output=True, check=False)
        return done.returncode == 0

    try:
        wait_for(manages, "the window manager")
        yield
    finally:
        manager.terminate()
        manager.wait()


def wait_for(holds: Callable[[], object], what: str) -> None:
    """Ask until it holds.

    Raises:
        AssertionError: it never does.
    """
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)


def place_of(pattern: Wave, heard: Wave) -> int:
    """The first place in what was heard where the pattern is, to 1e-5; -1 for none."""
    candidates = np.flatnonzero(np.abs(heard[0] - pattern[0, 0]) < 1e-5)
    for start in candidates[candidates + pattern.shape[1] <= heard.shape[1]]:
        part = heard[:, start : start + pattern.shape[1]]
        if np.abs(part - pattern).max() < 1e-5:
            return int(start)
    return -1


class Listener:
    """Empties the pipe that the program plays into, at the pace of a sound card."""

    def __init__(self, pipe: Path) -> None:
        os.mkfifo(pipe, 0o600)
        self._file = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._parts: list[bytes] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        started, taken = time.monotonic(), 0
        while not self._ends.wait(0.005):
            due = int((time.monotonic() - started) * RATE) * 8
            try:
                part = os.read(self._file, min(due - taken, 1 << 16)) if due > taken else b""
            except BlockingIOError:
                taken = due  # nothing was played meanwhile
                continue
            taken += len(part)
            self._parts.append(part)

    def heard(self, after: int = 0) -> Wave:
        """Everything so far from a frame on, (2, samples)."""
        data = b"".join(self._parts)
        whole = np.frombuffer(data[: len(data) // 8 * 8], np.float32)
        return np.asarray(whole.reshape(-1, 2).T[:, after:])

    def now(self) -> int:
        """Frames so far."""
        return int(self.heard().shape[1])

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        os.close(self._file)


class Window:
    """The running program.

    Args:
        program: the standalone's file.
        display: of the X server.
        home: a folder of its own, for its settings.
        environment: for it, without a display.
    """

    def __init__(
        self, program: Path, display: str, home: Path, environment: dict[str, str]
    ) -> None:
        home.mkdir()
        self.display = display
        self.home = home
        sound = home / "sound"
        self.listener = Listener(sound)
        (home / ".asoundrc").write_text(
            "pcm.!default { type asym capture.pcm null\n"
            f'  playback.pcm {{ type file slave.pcm null file "{sound}" format raw }} }}\n'
        )
        # Where JUCE finds zenity or kdialog it asks them for files; here its own dialog is worked.
        own = {"DISPLAY": display, "HOME": str(home), "PATH": "/nonexistent"}
        hidden = ("XDG_DATA_HOME", "WAYLAND_DISPLAY", "ALSA_CONFIG_PATH")
        kept = {name: value for name, value in environment.items() if name not in hidden}
        self._log = (home / "log").open("wb")
        self.program = subprocess.Popen(
            (program,), env=kept | own, stdout=self._log, stderr=subprocess.STDOUT
        )
        try:
            self.number = self._find("^LARS$")
            wait_for(self._to_corner, "the window in the corner")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.program.terminate()
        self.program.wait()
        self.listener.close()
        self._log.close()

    def _find(self, name: str) -> str:
        found: list[str] = []

        def look() -> bool:
            assert self.program.poll() is None, (self.home / "log").read_text("utf-8", "replace")
            found[:] = self.do("search", "--onlyvisible", "--name", name).split()
            return bool(found)

        wait_for(look, f"a window named {name}")
        return found[-1]

    def geometry(self, number: str = "") -> dict[str, int]:
        """X, Y, WIDTH, HEIGHT of a window, this one if no other is named; empty if it is gone."""
        lines = self.do("getwindowgeometry", "--shell", number or self.number).splitlines()
        pairs = (line.split("=", 1) for line in lines if "=" in line)
        return {name: int(value) for name, value in pairs if value.lstrip("-").isdigit()}

    def _to_corner(self) -> bool:
        # It puts itself into the middle when it appears, maybe after the first attempt.
        self.do("windowmove", self.number, "0", "0")
        for _ in range(4):  # on a busy machine that may be a while
            time.sleep(0.5)
            place = self.geometry()
            if place.get("X") != 0 or place.get("Y") != 0:
                return False
        return True

    def do(self, *arguments: str) -> str:
        """Run xdotool; what it printed."""
        done = subprocess.run(
            ("xdotool", *arguments),
            env=os.environ | {"DISPLAY": self.display},
            capture_output=True,
            text=True,
            check=False,  # a search that finds nothing fails
        )
        return done.stdout.strip()

    def key(self, *keys: str) -> None:
        """Press keys, in the window that has the keyboard."""
        self.do("key", "--delay", "60", *keys)

    def click(self, place: tuple[int, int]) -> None:
        """Click at a point of the screen."""
        self.do("mousemove", "--sync", str(place[0]), str(place[1]))
        time.sleep(0.1)
        self.do("click", "1")

    def has_keyboard(self) -> bool:
        """Whether a window manager has given it the keyboard."""
        return self.do("getwindowfocus", "getwindowname") == "LARS"

    def dialogs(self, name: str) -> list[str]:
        """The windows of this name that are to be seen."""
        return self.do("search", "--onlyvisible", "--name", name).split()

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press at a point of the screen, move to another, and release."""
        self.do("mousemove", "--sync", str(start[0]), str(start[1]), "mousedown", "1")
        for share in (0.25, 0.5, 0.75, 1.0):
            time.sleep(0.1)
            x, y = (round(a + share * (b - a)) for a, b in zip(start, end, strict=True))
            self.do("mousemove", "--sync", str(x), str(y))
        time.sleep(0.1)
        self.do("mouseup", "1")

    def press(self, name: str) -> None:
        """Click on one of `PLACES`."""
        self.click(self.at(*PLACES[name]))

    def at(self, x: int, y: int) -> tuple[int, int]:
        """A point of the contents on the screen."""
        return CONTENTS[0] + x, CONTENTS[1] + y

    def take_keyboard(self) -> None:
        """Without a window manager only a click brings the keyboard."""
        self.do("windowfocus", self.number)
        self.press("empty")

    def answer(self, keys: str, dialog: str, path: Path) -> None:
        """Open a file dialog by its key or button, type a path into it, and see it close."""
        if keys in PLACES:
            self.press(keys)
        else:
            self.take_keyboard()
            self.key(keys)
        box = self._find(dialog)
        shape: dict[str, int] = {}

        def rests() -> bool:
            before = dict(shape)
            shape.update(self.geometry(box))
            return bool(shape) and shape == before

        wait_for(rests, "the dialog to be in its place")
        self.click((shape["X"] + shape["WIDTH"] // 2, shape["Y"] + shape["HEIGHT"] - 62))
        self.key("ctrl+a")
        self.do("type", "--delay", "20", str(path))

        def gone() -> bool:
            return not self.do("search", "--onlyvisible", "--name", dialog)

        def answered() -> bool:
            # Return opens a file, and enters a folder, which is then chosen by the button.
            self.key("Return")
            time.sleep(1.0)
            if not gone():
                right, bottom = shape["X"] + shape["WIDTH"], shape["Y"] + shape["HEIGHT"]
                self.click((right - 57, bottom - 25))
                time.sleep(1.0)
            return gone()

        wait_for(answered, f"the end of the dialog {dialog!r}")

    def colour(self, name: str) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255, left of the middle of one of `PLACES`: beside its text."""
        x, y = self.at(*PLACES[name])
        dot = ImageGrab.grab(bbox=(x - 40, y, x - 39, y + 1), xdisplay=self.display)
        red, green, blue = np.asarray(dot.convert("RGB"))[0, 0]
        return int(red), int(green), int(blue)

    def picture(self, target: Path) -> None:
        """Write what is to be seen of the window as PNG."""
        place = self.geometry()
        box = (0, 0, place["WIDTH"], place["HEIGHT"])
        ImageGrab.grab(bbox=box, xdisplay=self.display).quantize(256).save(target, optimize=True)
