# SPDX-License-Identifier: GPL-3.0-or-later
"""A VST3 host with a timeline: ``lars_timeline``, driven from here."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUSES", "TimelineHost"]

Wave = NDArray[np.float32]
BUSES = ("main", "kick", "snare", "toms", "hihat", "ride", "crash")


class TimelineHost:
    """The plugin in a host whose transport goes where it is told to.

    Args:
        program: ``lars_timeline``.
        environment: of the process.
        folder: for the audio that goes in and out.
    """

    def __init__(self, program: Path, environment: dict[str, str], folder: Path) -> None:
        self.folder = folder
        self.tracks: list[tuple[Wave, Path]] = []
        self.process = subprocess.Popen(
            [program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line: str) -> str:
        """Send a command; its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the host has ended at: {line}"
        return answer.strip()

    def close(self) -> None:
        """End the host; it must have ended well."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.process.stdin, self.process.stdout:
            self.process.stdin.close()
            ended = self.process.wait(timeout=60)
        assert ended == 0, ended

    def prepare(self, rate: int = 44100, block: int = 512, mode: str = "offline") -> int:
        """Set it up; the plugin's latency."""
        return int(self.ask(f"prepare {rate} {block} {mode}").split()[1])

    def set(self, title: str, value: float) -> None:
        """Set a parameter, in the next block."""
        self.ask(f"set {title}={value}")

    def play(
        self, track: Wave, begin: int = 0, end: int | None = None, *, stands: bool = False
    ) -> dict[str, Wave]:
        """Play the track from here to there; each bus's (2, samples)."""
        file = next((file for known, file in self.tracks if known is track), None)
        if file is None:
            file = self.folder / f"track{len(self.tracks)}.f32"
            np.ascontiguousarray(track.T, "<f4").tofile(file)
            self.tracks.append((track, file))
        out = self.folder / "out.f32"
        end = track.shape[1] if end is None else end
        said = self.ask(f"{'stand' if stands else 'play'} {file} {begin} {end} {out}")
        made = np.fromfile(out, "<f4").reshape(-1, int(said.split()[1])).T
        return {name: made[2 * place : 2 * place + 2] for place, name in enumerate(BUSES)}

    def state(self) -> bytes:
        """The plugin's state."""
        file = self.folder / "state"
        self.ask(f"save {file}")
        return file.read_bytes()

    def load(self, state: bytes) -> None:
        """Give it a state."""
        file = self.folder / "state"
        file.write_bytes(state)
        self.ask(f"load {file}")

    def render(self, key: str = "render") -> str:
        """The number of the render in its state; empty where there is none."""
        found = re.search(rb'\b%s="([^"]*)"' % key.encode(), self.state())
        return found[1].decode() if found else ""

    @property
    def renders(self) -> Path:
        """Where the plugin keeps its renders."""
        return Path(os.environ["XDG_DATA_HOME"]) / "lars" / "renders"

    def wait(self, seconds: float) -> None:
        """Let the plugin's own threads go on."""
        self.ask(f"wait {round(seconds * 1000)}")
