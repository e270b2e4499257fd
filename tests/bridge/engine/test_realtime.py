# SPDX-License-Identifier: GPL-3.0-or-later
"""Real-time scheduling: the whole engine gets it, or a sentence that says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setscheduler"), reason="the system has no real-time scheduling"
)

_CLAIM = """
import os, threading
from lars_plugin.bridge.engine.realtime import run_in_real_time
from lars_plugin.errors import EngineError
if {drop} and os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
try:
    run_in_real_time()
except EngineError as error:
    print("refused", error)
else:
    found = []
    thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
    thread.start()
    thread.join()
    print("real time" if found == [os.SCHED_RR] == [os.sched_getscheduler(0)] else found)
"""


def _said(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_this_thread_and_those_it_starts_run_before_ordinary_ones_where_that_is_allowed() -> None:
    probe = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))"
    allowed = not subprocess.run(
        [sys.executable, "-c", probe], stderr=subprocess.DEVNULL, check=False
    ).returncode
    said = _said(_CLAIM.format(drop=False))
    assert said == "real time" if allowed else said.startswith("refused")


def test_who_may_not_is_told_which_limit_to_raise() -> None:
    import resource

    if os.geteuid() and resource.getrlimit(resource.RLIMIT_RTPRIO)[1] >= 10:
        pytest.skip("this user may")
    said = _said(_CLAIM.format(drop=True))
    assert said.startswith("refused")
    assert "rtprio" in said
