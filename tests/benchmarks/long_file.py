# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory and time of `lars separate` on a long file, by the process itself.

    python tests/benchmarks/long_file.py                       # an hour, with lars-mini
    python tests/benchmarks/long_file.py --minutes 10 -- --model mdx23c-small --preset fast

Arguments after `--` go to `lars separate`. Peak memory is the process's largest resident set.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lars_plugin.audio import AudioWriter
from lars_plugin.demo import perform

_LIMIT = 1.5e9  # bytes, for the embedded model


def write_long_file(path: Path, minutes: float) -> None:
    """The demo's performance repeated, with a little noise so that no two repetitions are equal."""
    rng = np.random.default_rng(0)
    wave = perform().sum()
    with AudioWriter(path, 44100, 2, bits="16") as writer:
        left = round(minutes * 60 * 44100)
        while left:
            block = wave[:, :left] + rng.standard_normal(wave[:, :left].shape) * 1e-3
            writer.write(block.astype(np.float32))
            left -= block.shape[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("options", nargs="*", help="for `lars separate`")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        write_long_file(path, args.minutes)
        call = [sys.executable, "-m", "lars_plugin", "separate", str(path), "-o", folder]
        start = time.perf_counter()
        subprocess.run([*call, *args.options], check=True)
        elapsed = time.perf_counter() - start
        written = sum(stem.stat().st_size for stem in (Path(folder) / "long").iterdir())
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"audio     {args.minutes:8.1f} min, stereo, 44.1 kHz")
    print(f"written   {written / 1e9:8.2f} GB")
    print(f"peak RSS  {peak / 1e9:8.2f} GB (limit for the embedded model {_LIMIT / 1e9:.1f} GB)")
    print(f"time      {elapsed:8.1f} s, real-time ratio {elapsed / args.minutes / 60:.4f}")
    return int(peak > _LIMIT)


if __name__ == "__main__":
    sys.exit(main())
