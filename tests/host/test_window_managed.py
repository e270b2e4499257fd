# SPDX-License-Identifier: GPL-3.0-or-later
"""The standalone program on a desktop: a screen of 1920 x 1080 with a window manager.

Nothing is clicked to give the window the keyboard: it has it from the first moment, and again after
every dialog.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lars_plugin.bridge.local_engine import EngineProcess

SCREEN = (1920, 1080)


@pytest.fixture
def window(
    driver: ModuleType,
    standalone: Path,
    managed_display: str,
    engine: EngineProcess,
    program_environment: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> Iterator[Any]:
    """The program, just started."""
    environment = program_environment(runtime=engine.runtime, TMPDIR=str(tmp_path))
    window = driver.Window(standalone, managed_display, tmp_path / "home", environment)
    try:
        yield window
        code = window.program.poll()
        assert code is None, f"the program ended with {code}"
    finally:
        window.close()


def zooms_by_keys(window: Any, driver: ModuleType) -> None:
    """One key changes the size, one key changes it back: the window has the keyboard."""
    driver.wait_for(window.has_keyboard, "the keyboard")
    before = window.geometry()["WIDTH"]
    window.key("ctrl+minus")
    driver.wait_for(lambda: window.geometry().get("WIDTH", before) < before, "a smaller window")
    window.key("ctrl+0")
    driver.wait_for(lambda: window.geometry().get("WIDTH") == before, "the window as it was")


def test_the_keyboard_works_from_the_first_moment_and_after_each_dialog(
    window: Any, driver: ModuleType
) -> None:
    zooms_by_keys(window, driver)

    window.key("ctrl+o")
    driver.wait_for(lambda: window.dialogs("Load an audio file"), "the dialog")
    driver.wait_for(lambda: not window.has_keyboard(), "its keyboard")
    window.key("Escape")
    driver.wait_for(lambda: not window.dialogs("Load an audio file"), "its end")
    zooms_by_keys(window, driver)

    window.press("settings")
    driver.wait_for(lambda: window.dialogs("Audio/MIDI Settings"), "the settings")
    driver.wait_for(lambda: not window.has_keyboard(), "their keyboard")
    window.key("Escape")
    driver.wait_for(lambda: not window.dialogs("Audio/MIDI Settings"), "their end")
    zooms_by_keys(window, driver)


def test_200_percent_fits_the_screen(window: Any, driver: ModuleType, tmp_path: Path) -> None:
    driver.wait_for(window.has_keyboard, "the keyboard")
    before = window.geometry()["WIDTH"]
    for _ in range(4):
        window.key("ctrl+plus")
    driver.wait_for(lambda: window.geometry()["WIDTH"] > 1.9 * before, "the larger window")

    def fits() -> bool:
        place = window.geometry()
        right, bottom = place["X"] + place["WIDTH"], place["Y"] + place["HEIGHT"]
        return bool(min(place["X"], place["Y"]) >= 0 and right <= SCREEN[0] and bottom <= SCREEN[1])

    driver.wait_for(fits, "all of it on the screen")
    window.picture(tmp_path / "window-200.png")
    assert (tmp_path / "window-200.png").stat().st_size > 10_000


def test_undo_and_presets_work_in_the_window(
    window: Any, driver: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "home" / ".local" / "share" / "lars" / "presets"

    def kick_is_muted(name: str) -> bool:
        """Save the mix as a preset of this name, and look into it."""
        driver.wait_for(window.has_keyboard, "the keyboard")
        # Saving is the last entry of the menu; above the one for deleting where there are some.
        entries = ("Up", "Up") if folder.is_dir() else ("Up",)
        before = len(window.dialogs(".*"))
        window.press("presets")
        driver.wait_for(lambda: len(window.dialogs(".*")) > before, "the menu")
        window.key(*entries)

        def answered() -> bool:
            window.key("Return")  # on the entry; an empty name is refused
            time.sleep(1.2)
            window.key("ctrl+a")
            window.do("type", "--delay", "30", name)
            window.key("Return")
            time.sleep(1.2)
            return (folder / f"{name}.xml").exists()

        driver.wait_for(answered, "the preset")
        driver.wait_for(lambda: len(window.dialogs(".*")) == before, "the end of the question")
        return '<PARAM id="kick_mute" value="1.0"/>' in (folder / f"{name}.xml").read_text("utf-8")

    assert not kick_is_muted("plain")
    window.press("mute kick")
    assert kick_is_muted("muted")
    window.key("ctrl+z")
    assert not kick_is_muted("undone")
    window.key("ctrl+shift+z")
    assert kick_is_muted("redone")
