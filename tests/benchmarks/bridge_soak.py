# SPDX-License-Identifier: GPL-3.0-or-later
"""A thousand sessions opened, used and closed: memory, threads and descriptors must stay flat."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from bridge_common import parser, start_engine, write


def usage(pid: int) -> dict[str, int]:
    """Of a process, from /proc."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return {
        "resident_kib": int(values["VmRSS"].split()[0]),
        "threads": int(values["Threads"]),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
    }


def main() -> None:
    arguments = parser(__doc__, "bridge_soak")
    arguments.add_argument("--sessions", type=int, default=1000)
    args = arguments.parse_args()
    if args.quick:
        args.sessions = 30
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 1024)).astype(np.float32)
    seen: dict[int, dict[str, int]] = {}
    start = time.perf_counter()
    with start_engine() as engine, engine.client(timeout=60) as observer:
        for number in range(1, args.sessions + 1):
            with engine.client(timeout=60) as client:
                mode = "live" if number % 2 else "offline"
                client.open("identity", [44100, 48000, 96000][number % 3], mode=mode)
                for _ in range(5):
                    client.process(wave, patience=5)
                if number % 3:
                    client.flush()
            if number % (args.sessions // 10) == 0:
                while observer.status()["sessions"]:
                    time.sleep(0.01)
                seen[number] = usage(engine.process.pid)
    results = {"seconds": round(time.perf_counter() - start, 1), "after_sessions": seen}
    write(args.out, "bridge_soak", results)


if __name__ == "__main__":
    main()
