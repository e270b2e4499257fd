# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the documents' pictures of `lars studio`: docs/images/studio.png and studio-phone.png.

    python scripts/studio_pictures.py

Needs Chromium, the built page, and what ``[dev]`` installs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from lars_plugin.audio import write_audio
from lars_plugin.demo import perform

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
MINUTES = 20 * 60_000  # milliseconds that a slow machine may take


def take(page: Page, song: Path) -> None:
    """Separate a recording, then take both pictures."""
    page.get_by_role("combobox", name="Colours").select_option("dark")
    page.get_by_test_id("files").set_input_files(str(song))
    page.locator(".queue li").get_by_text("Ready, took").wait_for()
    page.get_by_test_id("cost").get_by_text("On this machine").wait_for()
    page.get_by_role("button", name="Spectrogram of Hi-hat").click()
    page.evaluate("window.larsStudio.setLoop({ start: 44100 * 4, end: 44100 * 8 })")
    page.evaluate("window.larsStudio.seek(44100 * 4.5)")
    page.wait_for_timeout(2000)
    page.screenshot(path=IMAGES / "studio.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(2000)
    page.screenshot(path=IMAGES / "studio-phone.png")


def main() -> None:
    """Start a studio in a folder of its own, and a browser."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        song = Path(folder) / "drums.wav"
        performance = perform(7)
        write_audio(song, performance.sum(), int(performance.sample_rate))
        command = [sys.executable, "-m", "lars_plugin", "studio", "--no-browser"]
        command += ["--folder", f"{folder}/LARS"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            found = re.search(r"http\S+", server.stdout.readline())
            assert found is not None
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1360, "height": 860})
            page.set_default_timeout(MINUTES)
            page.goto(found[0])
            take(page, song)
            browser.close()
            server.terminate()


if __name__ == "__main__":
    main()
