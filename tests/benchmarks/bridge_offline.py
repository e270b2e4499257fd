# SPDX-License-Identifier: GPL-3.0-or-later
"""Offline over the bridge against ``Separator`` in process: the time, and that it is the same."""

from __future__ import annotations

import time

import bridge_models
import numpy as np
import torch
from bridge_common import parser, start_engine, write

from lars_plugin.separation.separator import Separator


def main() -> None:
    arguments = parser(__doc__, "bridge_offline")
    arguments.add_argument("--model", default="lars-mini")
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--repeats", type=int, default=3)
    args = arguments.parse_args()
    if args.quick:
        args.seconds, args.repeats = 3.0, 1
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, int(args.seconds * 44100)))
    audio = audio.astype(np.float32)
    # The engine is started with one thread; another count here changes last bits and the time.
    torch.set_num_threads(1)
    separator = Separator(bridge_models.MODELS[args.model]())
    alone, through = [], []
    with start_engine() as engine, engine.client(timeout=60) as client:
        client.open(args.model, mode="offline")
        separator.separate(audio[:, :100000], 44100)  # both warm
        client.separate(audio[:, :100000])
        for _ in range(args.repeats):
            start = time.perf_counter()
            wanted = separator.separate(audio, 44100)
            middle = time.perf_counter()
            made = client.separate(audio)
            alone.append(middle - start)
            through.append(time.perf_counter() - middle)
            same = all(np.array_equal(made[name], wanted[name]) for name in wanted)
    results = {
        "model": args.model,
        "audio_seconds": args.seconds,
        "separator_seconds": [round(value, 3) for value in alone],
        "bridge_seconds": [round(value, 3) for value in through],
        "ratio": round(float(np.median(through) / np.median(alone)), 3),
        "bit_identical": same,
    }
    write(args.out, "bridge_offline", results)


if __name__ == "__main__":
    main()
