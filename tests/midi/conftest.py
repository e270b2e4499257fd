# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances of synthesised kits with their true strokes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import mido
import numpy as np
import pytest
from numpy.typing import NDArray

from lars_plugin.audio import write_audio
from lars_plugin.midi.hits import DrumHit
from lars_plugin.synthesis import SAMPLE_RATE, random_kit

Wave = NDArray[np.float32]

STEMS = ("kick", "snare", "toms", "hihat", "ride", "crash")

# The sounds of a kit for the articulations of hits.
SOUNDS = {("crash", "crash2"): "crash"}

Play = Callable[..., dict[str, Wave]]


def _play(hits: Sequence[DrumHit], seed: int = 0, seconds: float = 8.0) -> dict[str, Wave]:
    """Stems ``(2, samples)`` at 44.1 kHz; the level follows +30 log10(velocity / 127) dB."""
    kit = random_kit(np.random.default_rng(seed)).sounds
    samples = round(seconds * SAMPLE_RATE)
    stems = {stem: np.zeros((2, samples), np.float32) for stem in STEMS}
    for number, hit in enumerate(hits):
        wave = kit[hit.stem][SOUNDS.get((hit.stem, hit.articulation), hit.articulation)]
        if hit.stem == "hihat":
            later = [one.time for one in hits[number + 1 :] if one.stem == "hihat"]
            if later:  # choked
                wave = wave[: round((later[0] - hit.time) * SAMPLE_RATE)]
        begin = min(round(hit.time * SAMPLE_RATE), samples)
        wave = wave[: samples - begin] * np.float32(0.4 * (hit.velocity / 127) ** 1.5)
        stems[hit.stem][:, begin : begin + len(wave)] += wave
    return stems


@pytest.fixture(scope="session")
def play() -> Play:
    """``play(hits, seed=0, seconds=8.0)``: stems of a synthesised kit."""
    return _play


@pytest.fixture(scope="session")
def groove() -> tuple[DrumHit, ...]:
    """Four bars of rock at 120 BPM with a fill: 70 strokes on all drums, velocities 45 to 127."""
    rng = np.random.default_rng(4)
    hits: list[DrumHit] = []

    def add(beat: float, stem: str, kind: str, low: int, high: int) -> None:
        time = 0.1 + beat * 0.46 + float(rng.uniform(-0.008, 0.008))
        hits.append(DrumHit(time, stem, kind, int(rng.integers(low, high))))

    for bar in range(4):
        start = 4 * bar
        cymbal = ("hihat", "closed") if bar < 2 else ("ride", "bow")
        for eighth in range(8 if bar < 3 else 4):
            kind = "open" if (cymbal[0], eighth) == ("hihat", 7) else cymbal[1]
            add(start + eighth / 2, cymbal[0], kind, 60, 110)
        for beat in (0, 1.5, 2):
            add(start + beat, "kick", "kick", 80, 127)
        for beat in (1, 3):
            add(start + beat, "snare", "center", 70, 127)
        add(start + 3.75, "snare", "center", 45, 60)
    for number, kind in enumerate(["high", "high", "mid", "mid", "low", "low"]):
        add(14 + number / 4, "toms", kind, 80, 120)
    add(0, "crash", "crash", 100, 127)
    add(8, "crash", "crash", 100, 127)
    return tuple(sorted(hits))


@pytest.fixture(scope="session")
def write_groove() -> Callable[[Path, Sequence[DrumHit]], None]:
    """Writes hits as a MIDI file, independently of the code under test."""
    numbers = {"kick": 36, "snare": 38, "toms": 45, "hihat": 42, "ride": 51, "crash": 49}

    def write(path: Path, hits: Sequence[DrumHit]) -> None:
        track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)])
        now = 0
        for hit in hits:
            tick = round(hit.time * 960)
            track.append(
                mido.Message(
                    "note_on", note=numbers[hit.stem], velocity=hit.velocity, time=tick - now
                )
            )
            now = tick
        mido.MidiFile(tracks=[track], ticks_per_beat=480).save(path)

    return write


@pytest.fixture(scope="module")
def stems_folder(
    tmp_path_factory: pytest.TempPathFactory, play: Play, groove: Sequence[DrumHit]
) -> Path:
    """Four seconds of stems, the mixture and the truth. Do not change."""
    folder = tmp_path_factory.mktemp("clips") / "one"
    folder.mkdir()
    stems = play(groove, 1, 4.0)
    for name, wave in stems.items():
        write_audio(folder / f"{name}.wav", wave * 0.5, SAMPLE_RATE, bits="24")
    mixture = np.sum(list(stems.values()), axis=0, dtype=np.float32) * 0.5
    write_audio(folder / "mix.wav", mixture, SAMPLE_RATE, bits="24")
    lines = [
        f"{hit.time},{hit.stem},{hit.articulation},{hit.velocity}"
        for hit in groove
        if hit.time < 3.9
    ]
    header = "onset,class,articulation,velocity"
    (folder / "notes.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder
