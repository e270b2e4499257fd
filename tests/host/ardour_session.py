# SPDX-License-Identifier: GPL-3.0-or-later
"""Ardour without a window: a session by script, a file on its track, an export."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import soundfile

__all__ = ["ArdourSession", "missing"]

LIBRARY = Path("/usr/lib/ardour7")
SCRIPTS = Path(__file__).parent / "ardour"
TICKS = 282_240_000  # Ardour's units of time per second
# What a region says of itself in the session file, beside its name, length and sources.
REGION = {
    **dict.fromkeys(["opaque", "default-fade-in", "default-fade-out", "stretch", "shift"], "1"),
    **dict.fromkeys(["muted", "locked", "automatic", "external", "hidden", "import"], "0"),
    **dict.fromkeys(["video-locked", "sync-marked", "left-of-split", "right-of-split"], "0"),
    **dict.fromkeys(["position-locked", "valid-transients", "fade-in-active"], "0"),
    **dict.fromkeys(["fade-out-active", "layering-index", "contents"], "0"),
    **dict.fromkeys(["start", "sync-position", "ancestral-start"], "a0"),
    "ancestral-length": "a0@a0",
    "scale-amplitude": "1",
    "tags": "",
    "type": "audio",
    "first-edit": "nothing",
}


def missing() -> str:
    """Why Ardour cannot be used here; empty if it can."""
    if shutil.which("ardour7-lua") is None or not LIBRARY.is_dir():
        return "no Ardour 7: apt-get install --no-install-recommends ardour"
    return ""


class ArdourSession:
    """A session in a folder of its own, with a home of its own.

    Args:
        folder: empty.
        environment: added to this process's: where the engine is.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.name = folder, "drums"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        (folder / "sessions").mkdir()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        self.environment = {
            **inherited,
            **environment,
            "HOME": str(self.home),
            "LD_LIBRARY_PATH": str(LIBRARY),
            "ARDOUR_DATA_PATH": "/usr/share/ardour7",
            "ARDOUR_CONFIG_PATH": "/etc/ardour7",
            "ARDOUR_DLL_PATH": str(LIBRARY),
            "ARDOUR_FPU_FLAGS": "95",  # without AVX-512, whose code damages Ardour 7.3's memory
        }

    def _run(self, *command: str | Path) -> str:
        """Run it; once more if it hangs, which Ardour does now and then when it ends."""
        for attempt in range(2):
            try:
                done = subprocess.run(
                    command,
                    env=self.environment,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    timeout=240,
                )
            except subprocess.TimeoutExpired:
                if attempt:
                    raise
            else:
                return done.stdout
        raise AssertionError("unreachable")

    def install(self, plugin: Path) -> str:
        """Put a VST3 bundle where Ardour looks, and let it look; what the scanner says."""
        target = self.home / ".vst3" / plugin.name
        shutil.copytree(plugin, target)
        time.sleep(1.2)  # a scan counts only if it is newer than the file, to the second
        return self._run(LIBRARY / "ardour-vst3-scanner", "-f", target)

    def script(self, name: str, *more: str | Path) -> str:
        """Run one of our scripts on the session; what it printed."""
        return self._run("ardour7-lua", SCRIPTS / name, self.folder / "sessions", self.name, *more)

    @property
    def file(self) -> Path:
        """The session file."""
        return self.folder / "sessions" / self.name / f"{self.name}.ardour"

    def put(self, wav: Path, track: str) -> None:
        """A file on a track, from the session's start to its end: there is no import by script."""
        tree = ET.parse(self.file)
        root = tree.getroot()
        info = soundfile.info(wav)
        target = self.file.parent / "interchange" / self.name / "audiofiles" / wav.name
        shutil.copy(wav, target)
        number = int(root.get("id-counter", "0"))
        end = f"a{info.frames * (TICKS // info.samplerate)}"

        def child(parent: str, kind: str, values: dict[str, str]) -> str:
            nonlocal number
            number += 1
            found = root.find(parent)
            assert found is not None
            ET.SubElement(found, kind, {"id": str(number), **values})
            return str(number)

        sources: dict[str, str] = {}
        for channel in range(info.channels):
            values = {"name": wav.name, "type": "audio", "flags": "", "channel": str(channel)}
            source = child(
                "Sources", "Source", {**values, "take-id": "", "origin": "", "gain": "1"}
            )
            sources |= {f"source-{channel}": source, f"master-source-{channel}": source}
        region = {**REGION, **sources, "channels": str(info.channels), "length": f"{end}@a0"}
        child("Regions", "Region", {**region, "name": wav.stem, "whole-file": "1"})
        path = f"Playlists/Playlist[@name='{track}']"
        child(path, "Region", {**region, "name": f"{wav.stem}.1", "whole-file": "0"})
        place = {"name": "session", "start": "a0", "end": end, "flags": "IsSessionRange"}
        child("Locations", "Location", {**place, "locked": "0", "timestamp": "0", "cue": "0"})
        root.set("id-counter", str(number + 1))
        tree.write(self.file, encoding="UTF-8", xml_declaration=True)

    def export(self) -> Path:
        """The master, as float32."""
        out = self.folder / "export.wav"
        out.unlink(missing_ok=True)
        said = self._run(
            LIBRARY / "utils" / "ardour7-export",
            "-b",
            "float",
            "-o",
            out,
            self.file.parent,
            self.name,
        )
        assert out.exists(), said
        return out
