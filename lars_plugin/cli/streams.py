# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard streams for a process that was started without them (``>&-``, a service, pythonw)."""

from __future__ import annotations

import contextlib
import os
import sys

__all__ = ["provide_streams"]


def provide_streams() -> None:
    """Put what swallows everything where stdin, stdout or stderr are closed.

    A closed descriptor is given to the next file that is opened, which may be a stem: what a
    library then prints would get into it. So descriptors 0 to 2 are taken first.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                _occupy(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Open until the process ends, as those that it stands for.
            stream = open(os.devnull, "w", encoding="utf-8", errors="replace")  # noqa: SIM115
            setattr(sys, name, stream)


def _occupy(number: int) -> None:
    got = os.open(os.devnull, os.O_RDWR)
    if got != number:
        os.dup2(got, number)
        os.close(got)
