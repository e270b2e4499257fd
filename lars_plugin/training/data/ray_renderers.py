# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts rendered by the workers of a Ray cluster, in place of processes of this machine.

The folders of kits, grooves and music must have the same paths on all nodes. Each worker has two
excerpts under way at most, so that a trainer that draws slowly is not sent more than it takes.
"""

from __future__ import annotations

import contextlib
import logging
import queue
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lars_plugin.cluster import connect, reason_of

if TYPE_CHECKING:
    from lars_plugin.training.data.pool import PoolConfig

__all__ = ["RayRenderers"]

log = logging.getLogger(__name__)

_UNDER_WAY = 2
# Workers in a row that die without having rendered anything.
_DEATHS = 4


class _Renderer:
    """An actor: one source of excerpts."""

    def __init__(self, config: PoolConfig, seed: int) -> None:
        from lars_plugin.training.data.pool import make_source

        self._config, self._source = config, make_source(config, seed)

    def render(self) -> list[NDArray[np.float16]]:
        """The excerpts that are cut out of one rendering."""
        from lars_plugin.training.data.pool import render_pieces

        return render_pieces(self._config, self._source)


class RayRenderers:
    """Rendering workers; those that die, or whose node is gone, are replaced.

    Args:
        config: of the pool.

    Raises:
        InputError: Ray is not installed.
        BridgeError: there is no cluster.
    """

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._ray = connect(config.address)
        self._make = self._ray.remote(_Renderer).options(num_cpus=1, max_restarts=0)
        self._begun = self._deaths = 0
        self._calls: dict[Any, Any] = {}
        self._ready: deque[NDArray[np.float16]] = deque()
        for _ in range(config.workers):
            self._start()

    def _start(self) -> None:
        # Every worker has a seed of its own, one that takes another's place too.
        actor = self._make.remote(self._config, self._config.seed + 7919 * self._begun)
        self._begun += 1
        for _ in range(_UNDER_WAY):
            self._calls[actor.render.remote()] = actor

    def get(self, timeout: float) -> NDArray[np.float16]:
        """An excerpt.

        Raises:
            queue.Empty: none came within so many seconds.
        """
        if not self._ready:
            done, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=timeout)
            for call in done:
                self._take(call)
        if not self._ready:
            raise queue.Empty
        return self._ready.popleft()

    def _take(self, call: Any) -> None:
        actor = self._calls.pop(call)
        try:
            self._ready.extend(np.array(piece) for piece in self._ray.get(call))
        except self._ray.exceptions.RayError as error:
            log.warning("a rendering worker is gone: %s", reason_of(error))
            self._deaths += 1
            self._calls = {c: other for c, other in self._calls.items() if other is not actor}
            with contextlib.suppress(Exception):
                self._ray.kill(actor, no_restart=True)
            if self.alive():
                self._start()
            return
        self._deaths = 0
        self._calls[actor.render.remote()] = actor

    def alive(self) -> bool:
        """Whether excerpts will come."""
        return self._deaths < _DEATHS

    def close(self) -> None:
        """End the workers."""
        for actor in {id(actor): actor for actor in self._calls.values()}.values():
            with contextlib.suppress(Exception):
                self._ray.kill(actor, no_restart=True)
