# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny data set made by our own synthesis: two kits, two grooves, one validation clip."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from lars_plugin.synthesis import random_kit

NOTES = {"kick": 36, "snare": 38, "toms": 45, "hihat": 42, "ride": 51, "crash": 49}


@dataclass(frozen=True)
class Data:
    kits: Path
    grooves: Path
    clips: Path


def write_kits(folder: Path) -> None:
    folder.mkdir()
    rows = []
    for number, split in enumerate(["train", "train", "validation"]):
        kit = random_kit(np.random.default_rng(number))
        for stem, sounds in kit.sounds.items():
            for articulation, wave in sounds.items():
                for velocity in (40, 120):
                    name = f"kit{number}/{stem}_{articulation}_{velocity}.flac"
                    (folder / name).parent.mkdir(exist_ok=True)
                    gain = 0.5 * (velocity / 127) ** 1.5
                    soundfile.write(folder / name, wave[:22050] * gain, 44100)
                    rows.append([f"kit{number}", split, name, stem, articulation, velocity, "a"])
    with (folder / "manifest.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["kit", "split", "file", "class", "articulation", "velocity", "instrument"])
        writer.writerows(rows)


def write_groove(path: Path) -> None:
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)])
    for beat in range(32):
        note = list(NOTES.values())[beat % 6]
        track.append(mido.Message("note_on", note=note, velocity=40 + 2 * beat, time=120))
        track.append(mido.Message("note_off", note=note, time=120))
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(path)


def write_clip(folder: Path) -> None:
    folder.mkdir(parents=True)
    kit = random_kit(np.random.default_rng(9))
    for index, (stem, sounds) in enumerate(kit.sounds.items()):
        wave = np.zeros((60000, 2), np.float32)
        hit = next(iter(sounds.values()))[:30000, None] * 0.2
        wave[index * 4000 : index * 4000 + len(hit)] = hit
        soundfile.write(folder / f"{stem}.flac", wave, 44100)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    root = tmp_path_factory.mktemp("data")
    write_kits(root / "kits")
    (root / "grooves").mkdir()
    for name in ("a.mid", "b.mid"):
        write_groove(root / "grooves" / name)
    write_clip(root / "clips" / "one")
    return Data(root / "kits", root / "grooves", root / "clips")
