# SPDX-License-Identifier: GPL-3.0-or-later
"""Waking a thread that sleeps: a byte through a pair of sockets.

A queue's lock takes three times as long: the thread that it wakes finds that the other still holds
the interpreter, and goes to sleep once more.
"""

from __future__ import annotations

import socket

__all__ = ["Waker"]


class Waker:
    """One thread sleeps in ``wait`` (or selects on ``fileno``); any other may ``wake`` it.

    The news lies elsewhere, in a deque: it is put there before ``wake`` and looked at after
    ``wait`` or ``clear``, so that nothing is missed.

    Args:
        seconds: that ``wait`` sleeps at most.
    """

    def __init__(self, seconds: float) -> None:
        self._in, self._out = socket.socketpair()
        self._in.setblocking(False)
        self._out.settimeout(seconds)
        self._woken = False

    def fileno(self) -> int:
        """For ``select``: readable after ``wake``; then ``clear``."""
        return self._out.fileno()

    def wake(self) -> None:
        """End the sleep, or the next one at once. From any thread or signal handler."""
        if not self._woken:
            self._woken = True
            try:
                self._in.send(b"\0")
            except OSError:
                return  # full: it is awake anyway; closed: it never sleeps again

    def wait(self) -> bool:
        """Sleep until ``wake``; False when the time was up first."""
        try:
            self._out.recv(64)
        except TimeoutError:
            return False
        # Only now: a wake in between sends no byte, but its news is looked at next.
        self._woken = False
        return True

    clear = wait

    def close(self) -> None:
        """No more sleep."""
        self._in.close()
        self._out.close()
