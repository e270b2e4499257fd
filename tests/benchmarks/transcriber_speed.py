# SPDX-License-Identifier: GPL-3.0-or-later
"""What transcribers cost, on one core.

    taskset -c 0 python tests/benchmarks/transcriber_speed.py

Processor time over the length of the recording, which other work on the machine changes little:
a whole recording by each backend, and a stream, block by block. Each is done several times; the
middle one is shown, with the least and the most.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lars_plugin.demo import perform
from lars_plugin.midi.live_heard import LiveHearing
from lars_plugin.midi.mel import mel_powers
from lars_plugin.midi.transcriber import load_transcriber
from lars_plugin.zoo.transcribers import DEFAULT, LIVE

_RATE = 44100


def ratio(work: Callable[[], object], seconds: float, times: int) -> str:
    """Processor seconds for each second of audio."""
    work()
    found = []
    for _ in range(times):
        begin = time.process_time()
        work()
        found.append((time.process_time() - begin) / seconds)
    return f"{statistics.median(found):.4f} ({min(found):.4f} to {max(found):.4f})"


def play(stream: LiveHearing, wave: NDArray[np.float32]) -> None:
    """The whole recording in blocks of 128."""
    stream.reset()
    for start in range(0, wave.shape[1], 128):
        stream.push(wave[:, start : start + 128])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="default: %(default)s")
    times = parser.parse_args().times
    wave = perform().sum()
    seconds = wave.shape[1] / _RATE
    print(f"{seconds:.1f} s of drums, stereo, 44.1 kHz")
    print(f"{'mel bands alone':32} {ratio(lambda: mel_powers(wave), seconds, times)}")
    for backend in ("openvino", "torch"):
        hear = functools.partial(load_transcriber(DEFAULT, backend=backend).hear, wave, _RATE)
        print(f"{f'{DEFAULT}, {backend}':32} {ratio(hear, seconds, times)}")
    for backend in ("openvino", "torch"):
        stream = LiveHearing(load_transcriber(LIVE, backend=backend), _RATE)
        work = functools.partial(play, stream, wave)
        print(f"{f'{LIVE}, {backend}':32} {ratio(work, seconds, times)}")


if __name__ == "__main__":
    main()
