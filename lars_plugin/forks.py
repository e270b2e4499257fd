# SPDX-License-Identifier: GPL-3.0-or-later
"""Forked children: multiprocessing's on Linux, a DataLoader's workers, gunicorn's.

A fork copies memory but only one thread. Thread pools that ran in the parent are still there in
the child and wait for workers that are not: PyTorch's would wait for ever, and so would OpenVINO's
streams. So PyTorch runs on one thread in such a child, and OpenVINO compiles again.
"""

from __future__ import annotations

import logging
import os
import sys

__all__ = ["fork_count", "settle_torch"]

log = logging.getLogger(__name__)

_forks = 0
_inherited_torch = False


def fork_count() -> int:
    """How many forks lie between this process and the one that imported this module: what was
    made under another number has threads that are gone."""
    return _forks


def settle_torch() -> None:
    """Called before PyTorch computes: in a forked child whose parent had imported it, it gets one
    thread from the first call on. Whoever knows that the parent never used its threads may give it
    more afterwards."""
    global _inherited_torch
    torch = sys.modules.get("torch")
    if not _inherited_torch or not hasattr(torch, "set_num_threads"):
        return
    _inherited_torch = False
    log.info("this process was forked: PyTorch runs on one thread here")
    # With one thread nothing is handed to the pool, which lost its workers.
    torch.set_num_threads(1)  # type: ignore[union-attr]


def _in_child() -> None:
    global _forks, _inherited_torch
    _forks += 1
    # Not settled here: a child that never uses our networks keeps PyTorch as it is.
    _inherited_torch = "torch" in sys.modules


def _forked_before() -> bool:
    """Whether this is a child of multiprocessing's that was forked before we were imported."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and type(module.current_process()).__name__ == "ForkProcess"


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
    _inherited_torch = "torch" in sys.modules and _forked_before()
