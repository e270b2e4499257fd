# SPDX-License-Identifier: GPL-3.0-or-later
"""Drum stems to a MIDI file, quantised half of the way.

    python examples/drums_to_midi.py [folder of stems]

Without a folder it plays four beats on a synthetic kit, so that it runs anywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lars_plugin import Stems, read_audio, to_midi, transcribe
from lars_plugin.synthesis import SAMPLE_RATE, random_kit


def four_beats() -> Stems:
    """Kick, snare and hi-hat at 120 BPM, ``(1, samples)`` each."""
    kit = random_kit(np.random.default_rng(1)).sounds
    pattern = {"kick": [0.5, 1.5], "snare": [1.0, 2.0], "hihat": [0.5 + k / 4 for k in range(8)]}
    stems = {}
    for name, times in pattern.items():
        sound = next(iter(kit[name].values())) * 0.5
        stems[name] = np.zeros((1, 3 * SAMPLE_RATE), np.float32)
        for time in times:
            begin = round(time * SAMPLE_RATE)
            part = sound[: stems[name].shape[1] - begin]
            stems[name][0, begin : begin + len(part)] += part
    return Stems(stems, SAMPLE_RATE)


def main() -> None:
    if len(sys.argv) > 1:
        read = {path.stem: read_audio(path) for path in sorted(Path(sys.argv[1]).glob("*.wav"))}
        rate = next(iter(read.values()))[1]
        stems = Stems({name: wave for name, (wave, _) in read.items()}, rate)
    else:
        stems = four_beats()
    hits = transcribe(stems)  # model="lars-mini" for stems that it made
    for hit in hits:
        print(f"{hit.time:7.3f} s  {hit.stem:<6} {hit.articulation:<9} velocity {hit.velocity}")
    to_midi(hits, "drums.mid", tempo=120, grid="1/16", strength=0.5)
    print("drums.mid")


if __name__ == "__main__":
    main()
