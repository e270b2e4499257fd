# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips scored by the workers of a Ray cluster. They read the clips where they lie: the folder must
have the same path on all nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lars_plugin.cluster import connect, reason_of, room_for, run_on_workers
from lars_plugin.errors import EngineError, LarsError
from lars_plugin.evaluation.clips import Clip
from lars_plugin.evaluation.run import Elsewhere, score_clip
from lars_plugin.evaluation.scoring import Row
from lars_plugin.evaluation.systems import System
from lars_plugin.evaluation.variants import load_variant

__all__ = ["on_ray"]


class _Scorer:
    """An actor: systems that stay open."""

    def __init__(self, systems: Sequence[System], threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._systems = {system.name: system for system in systems}

    def do(self, item: tuple[Clip, tuple[str, ...]]) -> list[tuple[str, list[Row] | Exception]]:
        """Score systems on a clip."""
        clip, names = item
        try:
            recording = load_variant(clip)
        except LarsError as error:
            return [(name, error) for name in names]
        found: list[tuple[str, list[Row] | Exception]] = []
        for name in names:
            try:
                found.append((name, score_clip(clip, recording, self._systems[name], _never)))
            except LarsError as error:
                found.append((name, error))
            except Exception as error:
                # As text: another process may not know its type.
                found.append((name, RuntimeError(repr(error))))
        return found


def _never() -> bool:
    return False


def on_ray(address: str, *, cpus: float, gpus: float, jobs: int | None) -> Elsewhere:
    """Has :func:`~lars_plugin.evaluation.run.evaluate` score on a cluster.

    Args:
        address: of the cluster.
        cpus, gpus: that a worker takes.
        jobs: workers; None: as many as the cluster has room for.

    Raises:
        InputError: Ray is not installed.
        BridgeError: there is no cluster.
    """
    ray = connect(address)

    def elsewhere(
        systems: Sequence[System], work: Sequence[tuple[Clip, Sequence[System]]]
    ) -> Iterator[tuple[Clip, str, list[Row] | Exception]]:
        scorer = ray.remote(_Scorer).options(num_cpus=cpus, num_gpus=gpus, max_restarts=0)
        shared = ray.put(list(systems))

        def start() -> object:
            return scorer.remote(shared, max(1, int(cpus)))

        workers = jobs or max(1, room_for(ray, {"CPU": cpus, "GPU": gpus}))
        items = [(clip, tuple(system.name for system in missing)) for clip, missing in work]
        for (clip, names), result in run_on_workers(ray, start, items, workers=workers):
            if isinstance(result, Exception):
                lost = EngineError(f"its worker failed each time: {reason_of(result)}")
                yield from ((clip, name, lost) for name in names)
            else:
                yield from ((clip, name, rows) for name, rows in result)

    return elsewhere
