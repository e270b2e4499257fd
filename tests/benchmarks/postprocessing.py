# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost of post-processing: processor seconds per second of audio, and latency.

    python tests/benchmarks/postprocessing.py [--seconds 20] [--stems 6]

Noise at 44.1 kHz, stereo, in blocks of 4096; one thread. `lars evaluate CLIPS --wiener 1
--gate -40 --redistribute` measures its gain.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from lars_plugin.refine.postprocess import PostProcessing, PostStream

RATE = 44100
BLOCK = 4096

STEPS = (
    PostProcessing(wiener=1.0),
    PostProcessing(gate=-40.0),
    PostProcessing(redistribute=True),
    PostProcessing(wiener=1.0, gate=-40.0, redistribute=True),
)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--stems", type=int, default=6)
    args = arguments.parse_args()
    rng = np.random.default_rng(0)
    stems = rng.uniform(-0.1, 0.1, (args.stems, 2, BLOCK)).astype(np.float32)
    mixture = stems.sum(axis=0)
    blocks = max(1, round(args.seconds * RATE / BLOCK))
    print(f"{args.stems} stereo stems, {blocks * BLOCK / RATE:.1f} s")
    for post in STEPS:
        stream = PostStream(post, args.stems, 2, RATE, range(args.stems))
        start = time.process_time()
        for _ in range(blocks):
            stream.push(mixture, stems)
        spent = time.process_time() - start
        print(
            f"{post!s:40} {spent / (blocks * BLOCK / RATE):.4f} s per second,"
            f" latency {stream.latency_samples} samples"
            f" ({1000 * stream.latency_samples / RATE:.1f} ms)"
        )


if __name__ == "__main__":
    main()
