# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions come and go, a thousand of them: memory, threads and descriptors stay."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lars_plugin.bridge.local_engine import EngineProcess


def usage(pid: int) -> tuple[int, int, int]:
    """(resident KiB, threads, descriptors)"""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return int(values["VmRSS"].split()[0]), int(values["Threads"]), descriptors


def test_a_thousand_sessions_that_come_and_go_leave_nothing_behind(
    start: Callable[[], EngineProcess],
) -> None:
    block = np.full((2, 512), 0.25, np.float32)
    with start() as engine, engine.client() as observer:
        pid = engine.process.pid

        def churn(count: int) -> None:
            for number in range(count):
                client = engine.client()
                client.open("live" if number % 2 else "chunked", [44100, 48000][number % 3 % 2])
                client.process(block, patience=10)
                client.close()  # with its stems unread
            while observer.status()["sessions"]:
                observer.ping()

        churn(100)
        before = usage(pid)
        churn(900)
        after = usage(pid)
        assert after[1] <= before[1]
        assert after[2] <= before[2]
        assert after[0] - before[0] < 8192
