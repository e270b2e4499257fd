# SPDX-License-Identifier: GPL-3.0-or-later
"""Real-time scheduling: this process before all ordinary ones, as audio programs ask for."""

from __future__ import annotations

import os

from lars_plugin.errors import EngineError

__all__ = ["run_in_real_time"]

# Above ordinary programs, below what sound servers and DAWs give their own threads (60 and more).
_PRIORITY = 10


def run_in_real_time() -> None:
    """Schedule this thread, and all it starts from now on, before all ordinary programs.

    What keeps a core to itself for long is slowed down by the system's own limit (on Linux 95 %
    of each second).

    Raises:
        EngineError: the system has no such thing, or does not allow it.
    """
    if not hasattr(os, "sched_setscheduler"):
        raise EngineError("real-time scheduling is not available on this system; start without it")
    # Taking turns among themselves: a long run of one model must not shut out another's.
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    except OSError as error:
        raise EngineError(
            f"the system does not allow real-time scheduling ({error.strerror}): raise the limit"
            " rtprio of your user to 10 or more (/etc/security/limits.conf), or start without it"
        ) from error
