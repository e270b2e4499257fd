# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread that loads plugins of others, for the life of the process.

A plugin format has one thread on which plugins are made: that of the first one. Any other, later,
is refused by pedalboard ("must be reloaded on the main thread"). An engine has no main thread to
spare for plugins that take seconds, so it has this one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["end_on_plugin_thread", "on_plugin_thread", "start_on_plugin_thread"]

Result = TypeVar("Result")

_THREAD = ThreadPoolExecutor(1, "plugins")


def on_plugin_thread(work: Callable[[], Result]) -> Result:
    """Have it done there, in turn, and wait for its result, or what it raises."""
    return _THREAD.submit(work).result()


def end_on_plugin_thread(things: list[object] | deque[Any]) -> None:
    """Let go of plugins there, where they were made, after what is being done there. The caller
    must have no others of these references."""
    _THREAD.submit(things.clear)


def start_on_plugin_thread(work: Callable[[], None]) -> None:
    """Have it done there, in turn, and do not wait. It must deal with its own errors."""
    _THREAD.submit(work)
