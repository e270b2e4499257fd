# SPDX-License-Identifier: GPL-3.0-or-later
"""Ray, where it is installed: connecting to a cluster, and its absence in one line."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from lars_plugin.errors import BridgeError, InputError

__all__ = ["connect", "import_ray", "reason_of", "room_for", "run_on_workers"]

Item = TypeVar("Item")


def import_ray() -> Any:
    """The module ``ray``.

    Raises:
        InputError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "Ray is not installed: pip install 'lars-plugin[cluster]', here and on all nodes"
        ) from error
    return ray


def connect(address: str) -> Any:
    """Connect this process to a cluster, unless it is connected; returns the module ``ray``.

    Args:
        address: ``auto``, ``HOST:PORT``, ``ray://HOST:PORT``, or ``local`` for a new cluster of
            this machine alone.

    Raises:
        InputError: Ray is not installed.
        BridgeError: there is no cluster, or it does not answer.
    """
    ray = import_ray()
    if ray.is_initialized():
        return ray
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if address == "local" else None,
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BridgeError(
            f"cannot connect to Ray at {address}: {reason[:300]}; start a cluster with `ray start"
            " --head`, or give --address"
        ) from error
    return ray


def reason_of(error: Exception) -> str:
    """One of Ray's errors in one line: of a traceback, what was raised there."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    traceback = any(line.startswith("File ") for line in lines)
    return (lines[-1] if traceback else " ".join(lines))[:300]


def room_for(ray: Any, wanted: Mapping[str, float]) -> int:
    """How many workers the cluster's nodes can hold, busy or not.

    Args:
        ray: connected.
        wanted: what one of them takes of a node: ``CPU``, ``GPU``, ``memory`` in bytes. Of those
            that take nothing, one for each node.
    """
    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            have = node["Resources"]
            fits = [int(have.get(kind, 0) / some + 1e-6) for kind, some in wanted.items() if some]
            total += min(fits) if fits else 1
    return total


def run_on_workers(
    ray: Any,
    start: Callable[[], Any],
    items: Sequence[Item],
    *,
    workers: int,
    attempts: int = 3,
) -> Iterator[tuple[Item, Any]]:
    """Call ``do(item)`` of actors for all items, one at a time each, and give results as they come.

    An actor that dies is replaced; its item is tried again.

    Args:
        ray: connected.
        start: makes an actor.
        items: what goes to them.
        workers: how many.
        attempts: that an item may have.

    Yields:
        Each item with its result, or with the exception that its last attempt ended with.
    """
    waiting = deque((item, 1) for item in items)
    free = [start() for _ in range(min(workers, len(items)))]
    busy: dict[Any, tuple[Any, Item, int]] = {}
    try:
        while waiting or busy:
            while waiting and free:
                actor, (item, attempt) = free.pop(), waiting.popleft()
                busy[actor.do.remote(item)] = (actor, item, attempt)
            done, _ = ray.wait(list(busy), num_returns=1)
            actor, item, attempt = busy.pop(done[0])
            try:
                result = ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                result = error  # a bug; the actor is well
            except ray.exceptions.RayError as error:
                with contextlib.suppress(Exception):
                    ray.kill(actor, no_restart=True)
                actor, result = start(), error
                if attempt < attempts:
                    waiting.append((item, attempt + 1))
                    free.append(actor)
                    continue
            free.append(actor)
            yield item, result
    finally:
        for actor in (*free, *(actor for actor, _, _ in busy.values())):
            with contextlib.suppress(Exception):
                ray.kill(actor, no_restart=True)
