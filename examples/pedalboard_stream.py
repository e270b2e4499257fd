# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a long recording through a StemBoard block by block.

    python examples/pedalboard_stream.py [drums.wav]

Writes streamed.wav into the current folder. Without a file it makes four seconds.
Memory does not grow with the recording, and no sample is lost or moved: the returned blocks are
late by a constant, and flush() returns the rest.
"""

import sys

import numpy as np
from pedalboard import Compressor, Reverb
from pedalboard.io import AudioFile

from lars_plugin import StemBoard
from lars_plugin.synthesis import SAMPLE_RATE, random_kit

if len(sys.argv) > 1:
    source = sys.argv[1]
else:
    source = "drums.wav"
    kit = random_kit(np.random.default_rng(3)).sounds
    drums = np.zeros((2, 4 * SAMPLE_RATE), np.float32)
    for beat in range(8):
        hit = kit["kick"]["kick"] if beat % 2 == 0 else kit["snare"]["center"]
        start = beat * SAMPLE_RATE // 2
        hit = hit[: drums.shape[1] - start]
        drums[:, start : start + len(hit)] += 0.5 * hit
    with AudioFile(source, "w", SAMPLE_RATE, 2, bit_depth=24) as file:
        file.write(drums)


def make_board() -> StemBoard:
    return StemBoard(
        separator="lars-mini",
        stems={"kick": [Compressor(threshold_db=-20, ratio=4)], "snare": [Reverb(room_size=0.2)]},
        gains={"hihat": -4},
    )


board = make_board()
with AudioFile(source) as reader:
    rate, channels = reader.samplerate, reader.num_channels
    latency = board.prepare(rate, channels)
    print(f"latency {latency} samples, {latency / rate:.2f} s")
    with AudioFile("streamed.wav", "w", rate, channels, bit_depth=32) as out:
        while reader.tell() < reader.frames:
            out.write(board(reader.read(rate // 4), rate, reset=False))
        out.write(board.flush())

# The same in one call, for comparison.
with AudioFile(source) as reader, AudioFile("streamed.wav") as streamed:
    whole = make_board()(reader.read(reader.frames), rate)
    difference = np.abs(streamed.read(streamed.frames) - whole).max()
print(f"differs from the whole by {difference:.1e}")
print("streamed.wav")
