# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic clips: performances of our own kits, in all three layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lars_plugin.synthesis import SAMPLE_RATE, random_kit

Wave = NDArray[np.float32]

# StemGMD's pieces and the sounds of our kits that play them.
PIECES = {
    "kick": ("kick", "kick"),
    "snare": ("snare", "center"),
    "hi_tom": ("toms", "high"),
    "mid_tom": ("toms", "mid"),
    "low_tom": ("toms", "low"),
    "hihat_closed": ("hihat", "closed"),
    "hihat_open": ("hihat", "open"),
    "crash_left": ("crash", "crash"),
    "ride": ("ride", "bow"),
}

Perform = Callable[..., dict[str, Wave]]


def _perform(seed: int, seconds: float = 0.5, *, silent: tuple[str, ...] = ()) -> dict[str, Wave]:
    """Nine pieces ``(2, samples)``, each struck at random; those in ``silent`` are silent."""
    rng = np.random.default_rng(seed)
    kit = random_kit(rng)
    samples = round(seconds * SAMPLE_RATE)
    pieces = {}
    for piece, (stem, sound) in PIECES.items():
        mono = np.zeros(samples, np.float32)
        one = kit.sounds[stem][sound]
        for start in rng.integers(0, samples // 2, 3):
            part = one[: samples - start]
            mono[start : start + len(part)] += 0.1 * part
        left = rng.uniform(0.5, 1)
        loud = 0 if piece in silent else 1
        pieces[piece] = np.float32(loud) * np.stack([left * mono, (1.5 - left) * mono])
    return pieces


@pytest.fixture(scope="session")
def perform() -> Perform:
    """``perform(seed, seconds=0.5, silent=())``: nine pieces by StemGMD's names."""
    return _perform


@pytest.fixture(scope="session")
def stems_of() -> Callable[[Mapping[str, Wave]], dict[str, Wave]]:
    """Six stems from nine pieces."""

    def group(pieces: Mapping[str, Wave]) -> dict[str, Wave]:
        return {
            "kick": pieces["kick"],
            "snare": pieces["snare"],
            "toms": pieces["hi_tom"] + pieces["mid_tom"] + pieces["low_tom"],
            "hihat": pieces["hihat_closed"] + pieces["hihat_open"],
            "ride": pieces["ride"],
            "crash": pieces["crash_left"],
        }

    return group


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """``write(path, wave, rate=44100)``: a float WAV or a FLAC, by the name's ending."""

    def write_wave(path: Path, wave: Wave, rate: int = SAMPLE_RATE) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        subtype = "FLOAT" if path.suffix == ".wav" else "PCM_16"
        soundfile.write(path, wave.T, rate, subtype=subtype)
        return path

    return write_wave


@pytest.fixture(scope="session")
def clip_tree(
    tmp_path_factory: pytest.TempPathFactory,
    perform: Perform,
    stems_of: Callable[[Mapping[str, Wave]], dict[str, Wave]],
    write: Callable[..., Path],
) -> Path:
    """Three clips of two kits with an index; in the last the toms are silent. Do not change."""
    top = tmp_path_factory.mktemp("clips")
    lines = ["clip,kit"]
    for number in range(3):
        pieces = perform(number, silent=("hi_tom", "mid_tom", "low_tom") if number == 2 else ())
        for stem, wave in stems_of(pieces).items():
            write(top / f"clip{number}" / f"{stem}.wav", wave)
        lines.append(f"clip{number},{'ab'[number % 2]}")
    (top / "index.csv").write_text("\n".join(lines) + "\n")
    return top


@pytest.fixture(scope="session")
def stemgmd_tree(
    tmp_path_factory: pytest.TempPathFactory, perform: Perform, write: Callable[..., Path]
) -> Path:
    """A miniature StemGMD: two kits, three performances, no ``info.csv``. Do not change."""
    top = tmp_path_factory.mktemp("stemgmd") / "StemGMD"
    performances = {
        "drummer1/eval_session/1_funk-groove1_138_beat_4-4": 1,
        "drummer1/session1/1_funk_80_beat_4-4": 2,
        "drummer7/session3/25_hiphop_67_beat_4-4": 3,
    }
    for kit, kit_seed in (("brooklyn", 10), ("bluebird", 20)):
        for performance, seed in performances.items():
            session, _, name = performance.rpartition("/")
            for piece, wave in perform(kit_seed + seed, 0.3).items():
                write(top / "audio" / session / kit / piece / f"{name}.wav", wave)
    return top
