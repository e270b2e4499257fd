# SPDX-License-Identifier: GPL-3.0-or-later
"""Remix a drum recording: a chain of effects for each drum, gains, and one for the whole.

    python examples/pedalboard_remix.py [drums.wav]

Writes remix.wav into the current folder. Without a file it makes a short one.
"""

import sys

import numpy as np
from pedalboard import Compressor, Delay, Gain, HighpassFilter, Limiter, Reverb
from pedalboard.io import AudioFile

from lars_plugin import StemBoard
from lars_plugin.synthesis import SAMPLE_RATE, random_kit


def one_bar() -> np.ndarray:
    """A bar of rock at 120 beats per minute on a synthetic kit, ``(channels, samples)``."""
    kit = random_kit(np.random.default_rng(7)).sounds
    audio = np.zeros((2, 2 * SAMPLE_RATE), np.float32)
    hits = [(beat / 2, "hihat", "closed", 0.25) for beat in range(8)]
    hits += [(0, "kick", "kick", 0.6), (2, "kick", "kick", 0.6), (2.5, "kick", "kick", 0.5)]
    hits += [(1, "snare", "center", 0.5), (3, "snare", "center", 0.5)]
    for beat, stem, sound, level in hits:
        start = int(beat * SAMPLE_RATE / 2)
        wave = kit[stem][sound][: audio.shape[1] - start]
        audio[:, start : start + len(wave)] += level * wave
    return audio


if len(sys.argv) > 1:
    with AudioFile(sys.argv[1]) as file:
        audio, sample_rate = file.read(file.frames), file.samplerate
else:
    audio, sample_rate = one_bar(), SAMPLE_RATE

board = StemBoard(
    pre=[HighpassFilter(30)],
    separator="lars-mini",
    stems={
        "kick": [Compressor(threshold_db=-18, ratio=4, attack_ms=20), Gain(3)],
        "snare": [Reverb(room_size=0.3, wet_level=0.25)],
        "hihat": [Delay(delay_seconds=0.125, feedback=0.2, mix=0.25)],
    },
    gains={"hihat": -3, "crash": -6},
    post=[Limiter(threshold_db=-1)],
)

remix = board(audio, sample_rate)
assert remix.shape == audio.shape

with AudioFile("remix.wav", "w", sample_rate, remix.shape[0]) as out:
    out.write(remix)

for name, wave in board.process_stems(audio, sample_rate).items():
    level = 20 * np.log10(max(float(np.sqrt(np.mean(wave**2))), 1e-6))
    print(f"{name:8} {level:6.1f} dB")
print("remix.wav")
