# SPDX-License-Identifier: GPL-3.0-or-later
"""Forked children: multiprocessing's on Linux, a DataLoader's workers, gunicorn's.

A fork copies memory but only one thread. In the child, thread pools of the parent wait for workers
that no longer exist: PyTorch's pool and OpenVINO's streams would wait for ever.
So PyTorch runs on one thread in such a child, and OpenVINO compiles again.
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
    """The number of forks between this process and the one that imported this module. Objects made
    at another number have lost their threads."""
    return _forks


def settle_torch() -> None:
    """Call before PyTorch computes. In a forked child whose parent had imported PyTorch, it gets
    one thread from the first call on. If the parent never used its threads, the child may set
    more afterwards."""
    global _inherited_torch
    torch = sys.modules.get("torch")
    if not _inherited_torch or not hasattr(torch, "set_num_threads"):
        return
    _inherited_torch = False
    log.info("this process was forked: PyTorch runs on one thread here")
    # With one thread PyTorch does not use its pool, which lost its workers.
    torch.set_num_threads(1)  # type: ignore[union-attr]


def _in_child() -> None:
    global _forks, _inherited_torch
    _forks += 1
    # Not set here: a child that never uses our networks keeps PyTorch's settings.
    _inherited_torch = "torch" in sys.modules


def _forked_before() -> bool:
    """Whether this is a child of multiprocessing's that was forked before we were imported."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and type(module.current_process()).__name__ == "ForkProcess"


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
    _inherited_torch = "torch" in sys.modules and _forked_before()
