# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the pictures of the window that the documents show.

    make plugin
    python tests/host/pictures.py docs/images

The standalone program separates the drums of ``lars demo`` with ``lars-mini`` and plays them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from window_driver import RULER_Y, Window, screen, wait_for

from lars_plugin.audio import write_audio
from lars_plugin.bridge import EngineProcess
from lars_plugin.demo import perform

PROGRAM = Path(__file__).parents[2] / "build/juce/LARS_artefacts/Release/Standalone/LARS"


def main(target: Path) -> None:
    """Write window.png and window-200.png into a folder."""
    with (
        tempfile.TemporaryDirectory() as name,
        screen("1920x1080") as display,
        EngineProcess() as engine,
    ):
        folder = Path(name)
        drums = perform(7)
        song = folder / "drums.wav"
        write_audio(song, drums.sum(), int(drums.sample_rate))
        environment = os.environ | {"LARS_RUNTIME_DIR": str(engine.runtime), "TMPDIR": name}
        environment.pop("XDG_CONFIG_HOME", None)  # the settings of a new user, in its home
        window = Window(PROGRAM, display, folder / "home", environment)
        try:
            window.answer("ctrl+o", "Load an audio file", song)
            window.press("separate")
            wait_for(lambda: len(list(folder.glob("lars-*/stems/*.wav"))) == 6, "the stems")
            time.sleep(3.0)  # until the waveforms are drawn
            window.press("mute kick")
            window.drag(window.at(350, RULER_Y), window.at(750, RULER_Y))
            window.take_keyboard()
            window.key("space")
            time.sleep(5.0)
            window.picture(target / "window.png")
            for _ in range(4):
                window.key("ctrl+plus")
            time.sleep(3.0)
            window.picture(target / "window-200.png")
        finally:
            window.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
